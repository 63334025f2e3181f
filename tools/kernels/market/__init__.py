"""A simulated market: who trades, posts or cancels next."""
