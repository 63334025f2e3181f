"""alpaca-trade-api: every method of REST and AsyncRest, and its Stream."""

import asyncio
import json
import os
import pathlib
import threading
import time

from say import VENUE, Watched, call, leave, until

os.environ.update(
    {"APCA_API_BASE_URL": VENUE["url"], "APCA_API_DATA_URL": VENUE["url"], "APCA_API_STREAM_URL": VENUE["ws"]}
)
import alpaca_trade_api as tradeapi
from alpaca_trade_api.rest import TimeFrame
from alpaca_trade_api.rest_async import AsyncRest

ORDERS = json.loads((pathlib.Path(__file__).parent / "orders.json").read_text())
api = Watched(tradeapi.REST(VENUE["key"], VENUE["secret"], VENUE["url"]))
start, end, option = VENUE["start"], VENUE["end"], VENUE["option"]

stream = tradeapi.Stream(
    VENUE["key"], VENUE["secret"], base_url=VENUE["url"], data_stream_url=VENUE["ws"], data_feed="iex"
)
heard = {}


def hearing(name):
    async def hear(each):
        heard.setdefault(name, each)

    return hear


stream.subscribe_trade_updates(hearing("trade updates"))
for name, symbol in [
    ("trades", "AAPL"),
    ("quotes", "AAPL"),
    ("bars", "AAPL"),
    ("updated_bars", "AAPL"),
    ("daily_bars", "AAPL"),
    ("statuses", "TSLA"),
    ("lulds", "TSLA"),
    ("crypto_trades", "BTC/USD"),
    ("crypto_quotes", "BTC/USD"),
    ("crypto_bars", "BTC/USD"),
    ("crypto_updated_bars", "BTC/USD"),
    ("crypto_daily_bars", "BTC/USD"),
    ("crypto_orderbooks", "BTC/USD"),
    ("news", "AAPL"),
]:
    call(
        f"Stream.subscribe_{name}",
        lambda name=name, symbol=symbol: getattr(stream, f"subscribe_{name}")(hearing(name), symbol),
    )
running = threading.Thread(target=stream.run, daemon=True)
running.start()
time.sleep(2)

call("get_account", api.get_account)
call("get_account_configurations", api.get_account_configurations)
call(
    "update_account_configurations",
    lambda: api.update_account_configurations(
        no_shorting=False, dtbp_check="entry", trade_confirm_email="none", suspend_trade=False
    ),
)
call("get_clock", api.get_clock)
call("get_calendar", lambda: api.get_calendar("2026-01-05", "2026-01-09"))
call("list_assets", lambda: api.list_assets(status="active", asset_class="us_equity"))
call("get_asset", lambda: api.get_asset("AAPL"))
made = {}
for name, body in ORDERS:
    if name != "mleg":  # no order without a symbol
        made[name] = call(
            f"submit_order: {name}", lambda body=body, name=name: api.submit_order(**body, client_order_id=f"py {name}")
        )
call("Stream: trade updates", lambda: until(lambda: heard.get("trade updates")))
call("list_orders", lambda: api.list_orders(status="all", limit=500, nested=True))
call(
    "list_orders: filters",
    lambda: api.list_orders(
        status="open", after=start, until=end, direction="asc", symbols=["AAPL", "MSFT"], side="buy"
    ),
)
call("get_order", lambda: api.get_order(made["bracket"].id, nested=True))
call("get_order_by_client_order_id", lambda: api.get_order_by_client_order_id("py limit gtc"))
call(
    "replace_order", lambda: api.replace_order(made["limit gtc"].id, qty="4", limit_price="349.5", time_in_force="gtc")
)
call("cancel_order", lambda: api.cancel_order(made["stop"].id))
call("list_positions", api.list_positions)
call("get_position", lambda: api.get_position("AAPL"))
call("cancel_all_orders", api.cancel_all_orders)
call("close_position: part", lambda: api.close_position("AAPL", qty=1))
call("close_position", lambda: api.close_position("SPY"))
call("close_all_positions", api.close_all_positions)
call("get_activities", lambda: api.get_activities(activity_types="FILL", page_size=5, direction="desc"))
call("get_portfolio_history", lambda: api.get_portfolio_history(period="1D", timeframe="1Min", extended_hours=True))

listed = call("create_watchlist", lambda: api.create_watchlist("py", ["AAPL"]))
call("get_watchlists", api.get_watchlists)
call("get_watchlist", lambda: api.get_watchlist(listed.id))
call("get_watchlist_by_name", lambda: api.get_watchlist_by_name("py"))
call("add_to_watchlist", lambda: api.add_to_watchlist(listed.id, "MSFT"))
call("update_watchlist", lambda: api.update_watchlist(listed.id, name="py more", symbols=["AAPL", "SPY"]))
call("delete_from_watchlist", lambda: api.delete_from_watchlist(listed.id, "SPY"))
call("delete_watchlist", lambda: api.delete_watchlist(listed.id))

for rows in ("trades", "quotes"):
    call(f"get_{rows}", lambda rows=rows: getattr(api, f"get_{rows}")("AAPL", start, end, limit=7).df.shape)
    call(
        f"get_{rows}_iter",
        lambda rows=rows: list(getattr(api, f"get_{rows}_iter")(["AAPL", "MSFT"], start, end, limit=7)),
    )
    call(
        f"get_crypto_{rows}",
        lambda rows=rows: getattr(api, f"get_crypto_{rows}")("BTC/USD", start, end, limit=7).df.shape,
    )
    call(
        f"get_crypto_{rows}_iter",
        lambda rows=rows: list(getattr(api, f"get_crypto_{rows}_iter")("BTC/USD", start, end, limit=7)),
    )
call("get_bars", lambda: api.get_bars("AAPL", TimeFrame.Minute, VENUE["day"], VENUE["day"], adjustment="raw").df.shape)
call("get_bars_iter", lambda: list(api.get_bars_iter(["AAPL", "MSFT"], TimeFrame.Minute, start, end, limit=7)))
call("get_crypto_bars", lambda: api.get_crypto_bars("BTC/USD", TimeFrame.Minute, start, end).df.shape)
call("get_crypto_bars_iter", lambda: list(api.get_crypto_bars_iter("BTC/USD", TimeFrame.Minute, start, end, limit=7)))
for what in ("bar", "trade", "quote"):
    call(f"get_latest_{what}", lambda what=what: getattr(api, f"get_latest_{what}")("AAPL"))
    call(f"get_latest_{what}s", lambda what=what: getattr(api, f"get_latest_{what}s")(["AAPL", "MSFT"]))
    call(
        f"get_latest_crypto_{what}s",
        lambda what=what: getattr(api, f"get_latest_crypto_{what}s")(["BTC/USD", "ETH/USD"]),
    )
call("get_snapshot", lambda: api.get_snapshot("AAPL"))
call("get_snapshots", lambda: api.get_snapshots(["AAPL", "MSFT"]))
call("get_crypto_snapshot", lambda: api.get_crypto_snapshot("BTC/USD"))
call("get_crypto_snapshots", lambda: api.get_crypto_snapshots(["BTC/USD"]))
call("get_latest_crypto_orderbook", lambda: api.get_latest_crypto_orderbook("BTC/USD"))
call("get_latest_crypto_orderbooks", lambda: api.get_latest_crypto_orderbooks(["BTC/USD"]))
call("get_news", lambda: api.get_news("AAPL", limit=5))
call("get_news_iter", lambda: list(api.get_news_iter("AAPL", limit=5)))
api.uncalled("get", "post", "put", "patch", "delete", "data_get", "response_wrapper", "close")

rest = AsyncRest(key_id=VENUE["key"], secret_key=VENUE["secret"])
for name, words in [
    ("get_bars_async", ("AAPL", start, end, TimeFrame.Minute)),
    ("get_trades_async", ("AAPL", start, end)),
    ("get_quotes_async", ("AAPL", start, end)),
    ("get_latest_trade_async", ("AAPL",)),
    ("get_latest_quote_async", ("AAPL",)),
]:
    call(f"AsyncRest.{name}", lambda name=name, words=words: str(asyncio.run(getattr(rest, name)(*words)))[:200])

for name in (
    "trades",
    "quotes",
    "bars",
    "updated_bars",
    "daily_bars",
    "statuses",
    "lulds",
    "crypto_trades",
    "crypto_quotes",
    "crypto_bars",
    "crypto_updated_bars",
    "crypto_daily_bars",
    "crypto_orderbooks",
    "news",
):
    patience = 2 if name == "news" or "crypto" in name else 12  # the first are not told here
    call(f"Stream: {name}", lambda name=name, patience=patience: until(lambda: heard.get(name), patience))
call("Stream.is_open", stream.is_open)
for name, symbol in [
    ("trades", "AAPL"),
    ("quotes", "AAPL"),
    ("bars", "AAPL"),
    ("updated_bars", "AAPL"),
    ("daily_bars", "AAPL"),
    ("statuses", "TSLA"),
    ("lulds", "TSLA"),
    ("crypto_trades", "BTC/USD"),
    ("news", "AAPL"),
]:
    call(f"Stream.unsubscribe_{name}", lambda name=name, symbol=symbol: getattr(stream, f"unsubscribe_{name}")(symbol))
leave()
