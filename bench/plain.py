"""A Python strategy that does nothing beside a compiled one, on the same rows: what the border between them costs."""

from __future__ import annotations

from bench.harness import interleaved, machine, report_rates
from bench.hftbacktest_race import Ours
from bench.records import records

IDLE = f"{__file__}:Idle"


class Idle:
    """Sees every tick, wants nothing."""

    def on_tick(self, view: object) -> None:
        """Nothing."""


def main() -> None:
    """Rows a second of each."""
    ticks = records(1)
    print(f"# {machine()}")
    runs = {"compiled": Ours(ticks, most=-1.0).run, "Python": Ours(ticks, IDLE).run}
    report_rates(interleaved(runs, 5), ticks.rows, "rows/s", "compiled")


if __name__ == "__main__":
    main()
