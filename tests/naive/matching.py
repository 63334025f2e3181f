"""The venue by its definition: one instrument, prices in whole ticks, lists and dicts.

The semantics are those told in `gpi.tools.kernels.exchange.matching`; the queue model is hftbacktest's
RiskAdverseQueueModel.
"""

from math import inf
from typing import Any

Order = dict[str, Any]
Level = list[float]


def shown(levels: list[Level], side: int, px: float, depth: int) -> float:
    """Size at `px` on our side: 0 where nobody can be, infinite beyond the visible book."""
    at = [size for level, size in levels if level == px]
    if at:
        return at[0]
    return 0.0 if len(levels) < depth or side * px > side * levels[-1][0] else inf


class Venue:
    """`fills`: (ts, order id, qty, px, maker); `ends`: (ts, order id, word, leaves)."""

    def __init__(self, depth: int) -> None:
        self.depth, self.phase = depth, "waiting"
        self.book: dict[int, list[Level]] = {1: [], -1: []}
        self.taken: dict[int, dict[float, float]] = {1: {}, -1: {}}
        self.resting: list[Order] = []
        self.fills: list[tuple[Any, ...]] = []
        self.ends: list[tuple[Any, ...]] = []

    def crossed(self) -> bool:
        """Is the best bid above the best offer?"""
        bids, asks = self.book[1], self.book[-1]
        return bool(bids and asks and bids[0][0] > asks[0][0])

    def fill(self, order: Order, ts: int, qty: float, px: float, maker: bool) -> None:
        """Execute; an order with nothing left is gone."""
        order["leaves"] -= qty
        self.fills.append((ts, order["id"], qty, px, maker))
        if not order["leaves"]:
            self.resting = [other for other in self.resting if other is not order]

    def take(self, order: Order, level: Level) -> float:
        """What is left of a displayed level after all that we took of it, as far as the order wants it."""
        taken = self.taken[-order["side"]]
        got = min(order["leaves"], level[1] - taken.get(level[0], 0.0))
        taken[level[0]] = taken.get(level[0], 0.0) + got
        return float(got)

    def sweep(self, order: Order, ts: int) -> bool:
        """Take displayed levels, best first; is there more to find behind the last visible one?"""
        for level in self.book[-order["side"]]:
            if not order["market"] and order["side"] * (level[0] - order["px"]) > 0:
                return False
            got = self.take(order, level)
            if got:
                self.fill(order, ts, got, level[0], False)
            if not order["leaves"]:
                return False
        return len(self.book[-order["side"]]) == self.depth

    def arrive(self, order: Order, ts: int) -> None:
        """Reject, take, rest or expire."""
        if self.phase != "open":
            return self.ends.append((ts, order["id"], "rejected", order["leaves"]))
        deeper = not self.crossed() and self.sweep(order, ts)
        if not order["leaves"]:
            return None
        if order["market"] or order["ioc"]:
            return self.ends.append((ts, order["id"], "expired", order["leaves"]))
        queue = 0.0 if deeper else shown(self.book[order["side"]], order["side"], order["px"], self.depth)
        order.update(sweeping=deeper, queue=queue)
        self.resting.append(order)

    def withdraw(self, order_id: int, ts: int) -> None:
        """Cancel, if a fill has not been faster."""
        for order in [o for o in self.resting if o["id"] == order_id]:
            self.resting.remove(order)
            self.ends.append((ts, order_id, "canceled", order["leaves"]))

    def ranked(self, side: int) -> list[Order]:
        """Our orders of one side in price-time order."""
        return sorted((o for o in self.resting if o["side"] == side), key=lambda o: (-side * o["px"], o["id"]))

    def trade(self, ts: int, aggressor: int, px: float, size: float, hidden: bool) -> None:
        """Through our price fills; at our price eats the queue first."""
        for side in [s for s in (1, -1) if s != aggressor and self.phase == "open"]:
            for order in self.ranked(side):
                through = side * (order["px"] - px)
                if through < 0 or (through == 0 and hidden):
                    continue
                reach = size if through > 0 else size - order["queue"]
                if through == 0:
                    order["queue"] = max(0.0, order["queue"] - size)
                if min(order["leaves"], reach) > 0:
                    size -= min(order["leaves"], reach)
                    self.fill(order, ts, min(order["leaves"], reach), order["px"], True)

    def quote(self, ts: int) -> None:
        """A refreshed book: crossing liquidity fills, queues shorten."""
        for order in [*self.ranked(1), *self.ranked(-1)] if self.phase == "open" and not self.crossed() else []:
            if order["sweeping"]:
                order["sweeping"] = self.sweep(order, ts)
            for level in self.book[-order["side"]] if not order["sweeping"] else []:
                crosses = order["side"] * (level[0] - order["px"]) <= 0
                got = self.take(order, level) if crosses else 0.0
                if got:
                    self.fill(order, ts, got, order["px"], True)
            if not order["sweeping"]:
                seen = shown(self.book[order["side"]], order["side"], order["px"], self.depth)
                order["queue"] = min(order["queue"], seen)

    def best(self, side: int, level: Level | None) -> None:
        """A quote of the best level alone: what is not worse than it has gone, the rest stands."""
        behind = [old for old in self.book[side] if level and side * (level[0] - old[0]) > 0]
        self.book[side] = [list(level), *behind][: self.depth] if level else []

    def tick(self, tick: dict[str, Any]) -> None:
        """Status, then the trade, then the quote of one tick."""
        if "halt" in tick:
            self.phase = "halted" if tick["halt"] else "waiting" if self.phase == "halted" else self.phase
            if tick["halt"]:
                self.book, self.taken = {1: [], -1: []}, {1: {}, -1: {}}
        if "trade" in tick:
            self.trade(tick["ts"], *tick["trade"])
        if "bids" in tick or "bid" in tick:
            self.refresh(tick)
            if self.phase == "waiting" and self.book[1] and self.book[-1] and not self.crossed():
                self.phase = "open"
            self.quote(tick["ts"])

    def refresh(self, tick: dict[str, Any]) -> None:
        """Put a quote into the book."""
        if "bids" in tick:
            self.book = {1: [list(x) for x in tick["bids"]], -1: [list(x) for x in tick["asks"]]}
        else:
            self.best(1, tick["bid"])
            self.best(-1, tick["ask"])
        for side, levels in self.book.items():  # taken stays taken while the level stands, up to its size
            old = self.taken[side]
            self.taken[side] = {px: min(old[px], size) for px, size in levels if px in old}


def played(
    ticks: list[dict[str, Any]], requests: list[tuple[int, int, str, Any]], depth: int, venue: Venue | None = None
) -> Venue:
    """A venue, or the one given, after all ticks; requests: (tick it was sent after, arrival, "new" | "cancel", order
    | id)."""
    venue, left = venue or Venue(depth), list(requests)
    for number, tick in enumerate(ticks):
        while left and left[0][0] < number and left[0][1] <= tick["ts"]:
            _, at, what, wish = left.pop(0)
            venue.arrive(wish, at) if what == "new" else venue.withdraw(wish, at)
        venue.tick(tick)
    return venue
