"""A plain loop over alpaca-py, as its documentation suggests: submit, listen for fills, keep a position in a variable.

    python plain_bot.py --url http://127.0.0.1:8700 --orders 50 --every 0.05 --seed 1

It is here for comparison: `gpi chaos --plain 5` runs it against the same venue, faults and seeds as gpi itself, and
counts what it sends twice, never hears of, gets wrong, or waits for without end. Nothing in it is made to fail.
Keys come from ALPACA_API_KEY and ALPACA_SECRET_KEY; the last line on stdout is what it believes, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest
from alpaca.trading.stream import TradingStream


class Bot:
    """Buys and sells in turn; believes what its stream tells it."""

    def __init__(self, url: str, symbol: str, state: Path | None) -> None:
        keys = os.environ["ALPACA_API_KEY"], os.environ["ALPACA_SECRET_KEY"]
        self.client = TradingClient(*keys, url_override=url)
        self.stream = TradingStream(*keys, url_override=url.replace("http", "ws") + "/stream")
        self.symbol, self.state = symbol, state
        self.position = 0.0
        self.sent = self.failed = self.fills = 0
        if state is not None and state.exists():
            self.position = float(json.loads(state.read_text())["position"])

    async def on_update(self, update: Any) -> None:
        """A trade update: fills move the position."""
        if getattr(update.event, "value", update.event) in ("fill", "partial_fill"):
            sign = 1 if update.order.side == OrderSide.BUY else -1
            self.position += sign * float(update.qty)
            self.fills += 1
            self.save()

    def save(self) -> None:
        """Keep the position for the next start."""
        if self.state is not None:
            self.state.write_text(json.dumps({"position": self.position}))

    def listen(self) -> None:
        """The stream in a thread of its own."""
        self.stream.subscribe_trade_updates(self.on_update)
        threading.Thread(target=self.stream.run, daemon=True).start()

    def order(self, side: OrderSide, qty: int, price: float) -> None:
        """One limit order; an error is counted and the loop goes on."""
        request = LimitOrderRequest(
            symbol=self.symbol, qty=qty, side=side, time_in_force=TimeInForce.DAY, limit_price=round(price, 2)
        )
        self.sent += 1
        try:
            self.client.submit_order(request)
        except APIError as wrong:
            self.failed += 1
            sys.stderr.write(f"order {self.sent} failed: {wrong}\n")
        except Exception as wrong:  # a torn connection, an answer that cannot be read
            self.failed += 1
            sys.stderr.write(f"order {self.sent} failed: {type(wrong).__name__}: {wrong}\n")


def main() -> None:
    """Send the orders, wait a little for the last fills, say what is believed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--symbol", default="SPY")
    parser.add_argument("--orders", type=int, default=50)
    parser.add_argument("--every", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--price", type=float, default=100.0)
    parser.add_argument("--settle", type=float, default=2.0)
    parser.add_argument("--state", type=Path)
    given = parser.parse_args()
    dice = random.Random(given.seed)
    bot = Bot(given.url, given.symbol, given.state)
    bot.listen()
    time.sleep(1.0)
    for _ in range(given.orders):
        side = OrderSide.BUY if bot.position <= 0 else OrderSide.SELL
        away = 1.05 if side is OrderSide.BUY else 0.95
        lot = dice.randint(1, 9) * 10
        bot.order(side, lot if side is OrderSide.BUY else int(bot.position), given.price * away)
        time.sleep(given.every)
    time.sleep(given.settle)
    believed = {"position": bot.position, "sent": bot.sent, "failed": bot.failed, "fills": bot.fills}
    print(json.dumps(believed), flush=True)
    os._exit(0)  # the stream's thread has no way to be told to stop in time


if __name__ == "__main__":
    main()
