"""A trading desk for one case: a venue, a market we make, a journal, and traders that come and go."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.ledger import Book, compare
from gpi.tools.chaos.market import SYMBOLS, Market
from gpi.tools.chaos.processes import Child, Processes, until
from gpi.tools.chaos.rows import Case, Seen
from gpi.tools.chaos.strategies import named
from gpi.tools.chaos.venue import Venue

START_S: Final = 30.0  # in which a trader must be reconciled, however busy the machine
FINISH_S: Final = 30.0
LOOSE: Final = """
position_limit = 0.9
gross_exposure = 1.8
cash_reserve = 0.0
daily_loss = 0.9
price_collar = 0.2
stale_data_s = 30.0
order_rate_per_s = 200
max_open_orders = 200
allow_short = true
allow_naked_options = false
option_expiry_s = 3600
max_contracts = 1000
"""


class Desk:
    """`with Desk(lab, case) as desk`: everything it started is gone afterwards."""

    def __init__(
        self,
        lab: Lab,
        case: Case,
        symbols: tuple[str, ...] = SYMBOLS,
        rate_limit: int = 1_000_000,
        venue: tuple[object, ...] = (),
    ) -> None:
        self.lab, self.case = lab, case
        self.commands: Processes = lab.processes(case)
        options = ("--hours", "always", "--rate-limit", rate_limit, "--seed", case.number, "--cash", "1000000", *venue)
        self.venue = Venue(self.commands, *options)
        self.market = Market(self.venue, case.dice, symbols)
        self.limits = case.folder / "risk.toml"
        self.limits.write_text(LOOSE)
        self.journal = case.folder / "orders.sqlite"
        self.kill_file = case.folder / "KILL"
        self.trader: Child | None = None
        self.runs = 0

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *exc: object) -> None:
        self.market.end(honestly=False)
        self.commands.__exit__(*exc)

    @property
    def seen(self) -> Seen:
        """Where the case tells."""
        return self.case.seen

    @property
    def run(self) -> Path:
        """The run directory of the newest trader."""
        return self.case.folder / f"run-{self.runs}"

    def start(
        self,
        strategy: str = "Churn",
        *options: object,
        fresh: bool = False,
        environment: Mapping[str, str] | None = None,
        **parameters: float,
    ) -> Child:
        """A trader on this market; it reconciles before it trades."""
        self.runs += 1
        stdin = self.market.pipe()
        words: list[object] = ["trade", "--broker", "alpaca", "--paper", "--url", self.venue.url]
        words += [] if environment else ["--key-file", self.venue.keys]
        words += ["--strategy", named(strategy), "--limits", self.limits, "--fees", "zero", "--out", self.run]
        words += ["--journal", self.journal, "--kill-file", self.kill_file]
        for key, value in parameters.items():
            words += ["--param", f"{key}={value}"]
        try:
            name = f"trader-{self.runs}"
            self.trader = self.commands.start(
                *words, *options, stdin=stdin, fresh=fresh, name=name, environment=environment
            )
        finally:
            os.close(stdin)
        return self.trader

    def trading(self, timeout_s: float = START_S) -> float | None:
        """Tick until the newest trader listens and has sent something new; seconds that took."""
        before = self._sent()
        began = time.monotonic()

        def ready() -> bool:
            self.market.tick(2)
            return self._sent() > before or not self._trader().alive()

        took = until(ready, timeout_s, 0.01)
        if took is None or not self._trader().alive():
            self.seen.violate("the trader does not trade", self._trader().said()[-300:].replace("\n", " | "))
            return None
        return time.monotonic() - began

    def _sent(self) -> int:
        return int(self.venue.brief()["counters"].get("rest.orders.post", 0))

    def crash(self) -> None:
        """kill -9 of the trader; its pipe goes with it."""
        self._trader().kill()
        self.market.end(honestly=False)

    def finish(self, wanted: int = 0) -> int:
        """The stream ends honestly: orders are cancelled, the run is told; its exit code."""
        self.market.end()
        code = self._trader().wait(FINISH_S)
        self.seen.expect(code == wanted, f"I7: exit {code}, wanted {wanted}: {self._trader().last_line()}")
        return code

    def book(self) -> Book | None:
        """The journal as it lies on the disk."""
        return Book(self.journal) if self.journal.exists() else None

    def judge(self, settled: bool = True) -> None:
        """I1 to I5, now."""
        book = self.book()
        if book is None:
            self.seen.violate("I1", "there is no journal")
            return
        compare(book, self.venue.account(), self.seen, settled)

    def settled(self, timeout_s: float) -> float | None:
        """Seconds until the journal holds every fill of the venue; None: never."""

        def same() -> bool:
            book = self.book()
            if book is None:
                return False
            probe = Seen()
            compare(book, self.venue.account(), probe)
            return not probe.violations

        return until(same, timeout_s, 0.05)

    def alive(self) -> bool:
        """Whether the newest trader runs."""
        return self._trader().alive()

    def last_line(self) -> str:
        """The last thing the newest trader said."""
        return self._trader().last_line()

    def stop(self) -> None:
        """SIGSTOP."""
        self._trader().send(signal.SIGSTOP)

    def _trader(self) -> Child:
        assert self.trader is not None
        return self.trader
