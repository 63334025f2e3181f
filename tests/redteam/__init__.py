"""What an adversary would send: each test is one thing that must not work."""
