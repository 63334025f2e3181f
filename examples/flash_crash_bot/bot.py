"""A bot that knows nothing of gpi: alpaca-py and nothing else. It buys, and leaves when it has lost 3 %.

    python bot.py READY.json SPY             borrows what it can, and leaves at any price: what a stop order does
    python bot.py READY.json SPY --careful   buys what it has the cash for, and leaves at its price or not at all

READY.json is what `gpi venue --ready` writes. Against Alpaca itself only the addresses and the key would change.
"""

import argparse
import json
import threading
import time

from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

STOP = 0.03  # loss at which it wants to leave
SILENCE_S = 2.0  # without a quote: the day is over


class Market:
    """The last quote, set by the stream in a thread of its own."""

    def __init__(self, venue: dict, symbol: str) -> None:
        url = venue["url"].replace("http", "ws") + "/v2/iex"
        self.bid = self.ask = 0.0
        self.heard = 0.0
        self.stream = StockDataStream(venue["key_id"], venue["secret"], url_override=url)
        self.stream.subscribe_quotes(self.hear, symbol)
        threading.Thread(target=self.stream.run, daemon=True).start()

    async def hear(self, quote) -> None:
        """As short as it can be: a slow handler is a slow client."""
        if quote.bid_price and quote.ask_price:
            self.bid, self.ask = quote.bid_price, quote.ask_price
            self.heard = time.monotonic()

    def open(self) -> bool:
        """Whether quotes still come."""
        return self.heard == 0.0 or time.monotonic() - self.heard < SILENCE_S


def main() -> None:
    """Buy once, watch, leave once; say what is left."""
    parser = argparse.ArgumentParser()
    parser.add_argument("ready")
    parser.add_argument("symbol")
    parser.add_argument("--careful", action="store_true")
    given = parser.parse_args()
    with open(given.ready) as file:
        venue = json.load(file)["gpi.venue"]
    client = TradingClient(venue["key_id"], venue["secret"], url_override=venue["url"])
    market = Market(venue, given.symbol)
    while not market.ask:
        time.sleep(0.005)
    start = float(client.get_account().equity)
    entry, lever = market.ask, 1.0 if given.careful else 3.0
    bought = client.submit_order(
        MarketOrderRequest(symbol=given.symbol, qty=int(lever * 0.9 * start / entry), side="buy", time_in_force="day")
    )
    leaving = False
    while market.open():
        if market.bid < entry * (1 - STOP) and not leaving:
            client.cancel_orders()
            leave(client, given.symbol, round(entry * (1 - STOP), 2) if given.careful else None)
            leaving = True
        time.sleep(0.002)
    account = client.get_account()
    worth = float(account.equity)
    print(
        f"{'careful' if given.careful else 'reckless'}: bought {bought.qty} at about {entry}; "
        f"equity {start:.0f} -> {worth:.0f} ({100 * (worth / start - 1):+.1f} %)"
    )


def leave(client: TradingClient, symbol: str, price: float | None) -> None:
    """Sell what is held: at this price or better, or at any."""
    held = int(float(client.get_open_position(symbol).qty))
    common = {"symbol": symbol, "qty": held, "side": "sell", "time_in_force": "day"}
    wish = MarketOrderRequest(**common) if price is None else LimitOrderRequest(limit_price=price, **common)
    client.submit_order(wish)


if __name__ == "__main__":
    main()
