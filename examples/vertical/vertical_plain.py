"""Sell a vertical spread for a credit, buy it back when most of it is earned. Its compiled twin is `vertical.py`."""

from math import floor

from gpi.tools.strategies.view import View


class Vertical:
    """`sold` and `bought` are instrument ids; the rest as in `vertical.py`."""

    def __init__(
        self, sold: float = 0.0, bought: float = 1.0, units: float = 1.0, give: float = 0.4, keep: float = 0.5
    ) -> None:
        self.sold, self.bought = int(sold), int(bought)
        self.units, self.give, self.keep = units, give, keep
        self.seen: dict[int, View] = {}
        self.done = False

    def on_tick(self, view: View) -> None:
        """One tick: remember the leg's quote; when both stand and nothing works, open the spread or close it."""
        if view.instrument_id not in (self.sold, self.bought):
            return
        self.seen[view.instrument_id] = view
        short, cover = self.seen.get(self.sold), self.seen.get(self.bought)
        if view.phase != 1 or view.orders or self.done or short is None or cover is None:
            return
        if not (short.bid_px > 0.0 and cover.bid_px > 0.0):
            return
        mid = 0.5 * (cover.bid_px + cover.ask_px - short.bid_px - short.ask_px)
        if short.position == 0.0 and cover.position == 0.0:
            net, side = mid + self.give * (cover.ask_px - short.bid_px - mid), 1
        elif short.position < 0.0 and cover.position > 0.0:
            net, side = -mid + self.give * (short.ask_px - cover.bid_px + mid), -1
            if not net <= self.keep * (short.avg_px - cover.avg_px):
                return
            self.done = True
        else:
            return
        net = floor(net / view.tick_size) * view.tick_size
        view.multi_leg([(self.sold, -side, 1), (self.bought, side, 1)], self.units, net)
