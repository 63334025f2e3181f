"""Strategies, one file each: what is seen becomes intents."""
