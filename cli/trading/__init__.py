"""What commands that trade share: the account and its keys, the desk, a live session."""
