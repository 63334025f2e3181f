"""Ledgers: every account of the venue, and what the exchange's events mean to each."""

from typing import Any


class Ledgers:
    """All accounts by key id."""

    def settle(self, events: list[Any]) -> None:
        """Book what the exchange reported, in order, and tell the trade_updates sockets."""
