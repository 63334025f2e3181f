"""Generalized Pattern Intelligence. A package with a file of its own: no other folder called gpi adds to it."""
