"""Chaos: what the system must survive, done to the real commands on purpose, and counted."""
