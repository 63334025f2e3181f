"""Follow the book: a strategy in plain Python. Its compiled twin is `follow_fast.py`."""

from gpi.tools.strategies.view import View


class Follow:
    """Buy when the displayed book leans to the bid, sell when it leans to the offer, leave after `hold_s`."""

    def __init__(self, threshold: float = 0.6, qty: float = 100.0, hold_s: float = 5.0) -> None:
        self.threshold = threshold
        self.qty = qty
        self.hold_ns = int(hold_s * 1e9)
        self.entered: dict[int, int] = {}

    def on_tick(self, view: View) -> None:
        """One tick: wait for our orders, leave when it is time, enter when the book leans."""
        if view.phase != 1 or view.orders or not view.bid_px < view.ask_px:
            return
        if view.position != 0:
            if view.ts - self.entered.get(view.instrument_id, 0) >= self.hold_ns:
                if view.position > 0:
                    view.sell(view.position, view.bid_px, tif="ioc")
                else:
                    view.buy(-view.position, view.ask_px, tif="ioc")
        elif view.imbalance > self.threshold:
            self.entered[view.instrument_id] = view.ts
            view.buy(self.qty, view.ask_px, tif="ioc")
        elif view.imbalance < -self.threshold:
            self.entered[view.instrument_id] = view.ts
            view.sell(self.qty, view.bid_px, tif="ioc")
