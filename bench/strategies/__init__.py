"""Strategies made for measuring."""
