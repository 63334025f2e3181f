"""Synthetic markets: seeded order flow, calm or shocked."""
