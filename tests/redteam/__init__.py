"""Hostile folders, streams, names and neighbours: what is tried here must come to nothing."""
