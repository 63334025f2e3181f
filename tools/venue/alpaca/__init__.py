"""Alpaca's faces: trading and market-data REST, sockets, and the words they use."""
