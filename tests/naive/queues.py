"""A venue that keeps every order of the book in a line, ours among the others': price, then time, nothing else."""

from collections import defaultdict
from typing import Any

from tests.naive.matching import Order, Venue

ADD, REDUCE, DELETE, EXECUTE = 1, 2, 3, 4


class Lines(Venue):
    """`lines[side, px]`: who stands there, oldest first; others as [ref, size], ours as the orders themselves."""

    def __init__(self, depth: int, standing: list[tuple[int, int, int, float]]) -> None:
        super().__init__(depth)
        self.lines: dict[tuple[int, int], list[Any]] = defaultdict(list)
        for ref, side, px, size in standing:  # before the recording began
            self.lines[side, px].append([ref, size])

    def arrive(self, order: Order, ts: int) -> None:
        """As any venue; what stays goes to the end of its line."""
        super().arrive(order, ts)
        if any(order is other for other in self.resting) and not order["market"]:
            self.lines[order["side"], order["px"]].append(order)

    def event(self, ts: int, act: int, ref: int, side: int, px: int, size: float) -> None:
        """Something happens to an order of the book; what trades there, our orders before it get first."""
        line = self.lines[side, px]
        if act == ADD:
            return line.append([ref, size])
        at = next(k for k, one in enumerate(line) if not isinstance(one, dict) and one[0] == ref)
        if act == EXECUTE and self.phase == "open":
            left = size
            for order in self.ranked(side):
                better = order["market"] or side * (order["px"] - px) > 0
                if (better or any(order is one for one in line[:at])) and left:
                    got = min(order["leaves"], left)
                    left -= got
                    self.fill(order, ts, got, px if order["market"] else order["px"], not order["market"])
        line[at][1] -= size
        if act == DELETE or not line[at][1]:
            del line[at]
        return None

    def tick(self, tick: dict[str, Any]) -> None:
        """The event, then what any venue makes of the row; a trade that names its order was the event."""
        if "event" in tick:
            self.event(tick["ts"], *tick["event"])
            tick = {key: value for key, value in tick.items() if key != "trade"}
        super().tick(tick)
