"""Numba kernels: arrays in, arrays out; nothing here knows Arrow, files or stages."""
