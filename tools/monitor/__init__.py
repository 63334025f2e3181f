"""Latency and progress: with feeds and brokers the only rooms that read a clock."""
