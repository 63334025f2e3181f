"""Alpaca as a broker: requests, facts, sockets."""
