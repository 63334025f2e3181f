"""The venue's half: what reaches it, how it fills, what it answers. No trader, no account."""
