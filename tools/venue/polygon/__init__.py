"""Polygon's (Massive's) faces: REST, snapshots, reference, sockets, and the words they use."""
