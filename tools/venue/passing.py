"""Passing time: what happens after every frame because time has passed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame
from gpi.formats.words import SECOND
from gpi.tools.venue.accounts.entry import enter, must_wait
from gpi.tools.venue.accounts.expiries import expired
from gpi.tools.venue.accounts.ledgers import Ledgers
from gpi.tools.venue.accounts.margin import worth
from gpi.tools.venue.happenings import happen
from gpi.tools.venue.refusals import Refusal

SAMPLE_NS: Final = 60 * SECOND  # of the equity curve


class Passing:
    """To be called after every frame; yields frames that follow from it (halts)."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._sampled = 0

    def __call__(self) -> Iterable[Frame]:
        """Expiries, orders that waited for the open, the equity curve, and the world's faults."""
        ledgers = self._ledgers
        ledgers.passed()
        if ledgers.waiting:
            self._open()
        now = ledgers.world.clock.now()
        expired(ledgers, now)
        ledgers.settle(ledgers.world.exchange.events())  # of the orders that ended by it
        if now - self._sampled >= SAMPLE_NS:
            self._sampled = now
            for account in ledgers.accounts.values():
                account.history.append((now, worth(account, ledgers.prices).equity))
        for fault in ledgers.world.faults.due():
            try:
                yield from happen(ledgers.world, fault.name, fault.detail)
            except (Refusal, UsageError):  # a stranger's order that the rules refuse, a symbol not listed yet
                ledgers.world.counters[f"refused.{fault.name}"] += 1

    def _open(self) -> None:
        for order in list(self._ledgers.waiting):
            if order.open and not must_wait(self._ledgers, order):
                self._ledgers.waiting.remove(order)
                enter(self._ledgers, order)
