"""lumibot: an ordinary strategy that trades a bracket, and its Alpaca broker's methods, on clients of the venue."""

import datetime
import os

os.environ.update({"LUMIBOT_TELEMETRY": "false", "IS_BACKTESTING": "false", "LUMIBOT_DISABLE_DOTENV": "1"})
from alpaca.data.historical import CryptoHistoricalDataClient, OptionHistoricalDataClient, StockHistoricalDataClient
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream
from lumibot.brokers import Alpaca
from lumibot.entities import Asset, Order
from lumibot.strategies import Strategy
from lumibot.traders import Trader
from say import VENUE, call, leave, until

at = {"api_key": VENUE["key"], "secret_key": VENUE["secret"], "url_override": VENUE["url"]}
CONFIG = {"API_KEY": VENUE["key"], "API_SECRET": VENUE["secret"], "PAPER": True}


def broker_at_the_venue():
    """Its broker with clients of the venue, as its documentation says: injected."""
    from lumibot.data_sources import AlpacaData

    data = AlpacaData(
        CONFIG,
        delay=0,
        stock_client=StockHistoricalDataClient(**at),
        crypto_client=CryptoHistoricalDataClient(**at),
        option_client=OptionHistoricalDataClient(**at),
    )
    return Alpaca(CONFIG, data_source=data, trading_client=TradingClient(**at), polling_interval=0.5)


class AtVenue(Alpaca):
    """Its broker with keys, as most run it: the streams of the venue instead of polling."""

    def _create_trading_client(self):
        return TradingClient(**at)

    def _get_stream_object(self):
        return TradingStream(VENUE["key"], VENUE["secret"], url_override=f"{VENUE['ws']}/stream")


def streaming_broker():
    """The same broker, told of fills by its stream."""
    polled = broker.data_source
    return AtVenue(CONFIG, data_source=polled)


class Bracket(Strategy):
    """Buys once, with a profit and a loss that end it."""

    filled = ()
    entry = None

    def initialize(self):
        self.sleeptime = "1S"
        self.set_market("24/7")

    def on_trading_iteration(self):
        if self.entry is None:
            price = self.get_last_price("AAPL")
            self.entry = self.create_order(
                "AAPL",
                3,
                "buy",
                order_class=Order.OrderClass.BRACKET,
                secondary_limit_price=round(price * 1.2, 2),
                secondary_stop_price=round(price * 0.8, 2),
            )
            self.submit_order(self.entry)

    def on_filled_order(self, position, order, price, quantity, multiplier):
        told = {"price": float(price), "quantity": float(quantity), "symbol": order.asset.symbol}
        self.filled = (*self.filled, told)


def plain(order):
    """An order of lumibot in the venue's words."""
    return {
        "id": str(order.identifier),
        "client_order_id": "",
        "asset": order.asset.symbol,
        "qty": str(order.quantity),
        "side": str(order.side).partition("_")[0],
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "order_class": str(order.order_class),
    }


broker = call("Alpaca", broker_at_the_venue)
if broker is None:
    leave()
share, coin = Asset("AAPL"), Asset("BTC", asset_type="crypto")
usd = Asset("USD", asset_type="forex")
option = Asset("AAPL", asset_type="option", expiration=datetime.date(2026, 1, 16), strike=190, right="CALL")
call("get_timestamp", broker.get_timestamp)
call("is_market_open", broker.is_market_open)
call("get_time_to_open", broker.get_time_to_open)
call("get_time_to_close", broker.get_time_to_close)
call("_get_balances_at_broker", lambda: broker._get_balances_at_broker(usd, None))
call("get_last_price", lambda: broker.get_last_price(share))
call("get_last_price: coin", lambda: broker.get_last_price(coin, quote=usd))
call("get_last_price: option", lambda: broker.get_last_price(option))
call("get_quote", lambda: vars(broker.get_quote(share)))
call("get_chains", lambda: broker.get_chains(share))
call("get_historical_account_value", broker.get_historical_account_value)
call("get_cash_events", lambda: broker.get_cash_events())
call("get_historical_prices", lambda: len(broker.data_source.get_historical_prices(share, 5, "minute").df))


def strategy(trading_broker):
    """The whole of it: a trader, a strategy, a bracket that fills."""
    trading = Bracket(broker=trading_broker, name="bracket")
    trader = Trader(logfile="", quiet_logs=True)
    trader.add_strategy(trading)
    trader.run_all_async()
    until(lambda: trading.filled, 25)
    at_venue = TradingClient(**at).get_order_by_id(trading.entry.identifier)
    told = {
        "id": str(trading.entry.identifier),
        "client_order_id": "",
        "qty": str(trading.entry.quantity),
        "symbol": "AAPL",
    }
    return {"order": told, "filled": trading.filled, "legs": [str(each.status) for each in at_venue.legs or []]}


call("strategy: a bracket, told by the stream", lambda: strategy(streaming_broker()))


def submitted(name, **words):
    """Submit an order through the broker; what it gave, in the venue's words."""
    asset = words.pop("asset", share)
    order = Order("driver", asset, quote=usd, **words)
    return call(name, lambda: plain(broker._submit_order(order))) and order


submitted("submit: market", quantity=5, side="buy")
resting = submitted("submit: limit", quantity=2, side="buy", limit_price=150.5, time_in_force="gtc")
submitted("submit: stop", quantity=2, side="buy", stop_price=250.5)
submitted(
    "submit: stop limit",
    quantity=2,
    side="buy",
    stop_price=250.5,
    stop_limit_price=251,
    order_type=Order.OrderType.STOP_LIMIT,
)
submitted("submit: trailing", quantity=1, side="sell", trail_percent=10, order_type=Order.OrderType.TRAIL)
submitted("submit: coin", asset=coin, quantity=0.1, side="buy")
submitted("submit: option", asset=option, quantity=1, side="buy_to_open", limit_price=3.9)
bracket = submitted(
    "submit: bracket",
    quantity=1,
    side="buy",
    order_class=Order.OrderClass.BRACKET,
    secondary_limit_price=250,
    secondary_stop_price=140,
)
submitted("submit: oto", quantity=1, side="buy", order_class=Order.OrderClass.OTO, secondary_stop_price=140)


def parsed():
    """Every order of the venue, as lumibot parses it; each child of a bracket too."""
    found = [broker._parse_broker_order(each, "driver") for each in broker._pull_broker_all_orders()]
    if not found or any(each is None for each in found):
        raise ValueError("an order was not parsed")
    return [plain(each) for each in found]


call("_parse_broker_order: all", parsed)
if bracket:

    def children():
        found = broker._flatten_order(
            broker._parse_broker_order(broker._pull_broker_order(bracket.identifier), "driver")
        )
        if len(found) != 3:
            raise ValueError(f"{len(found)} orders, not 3")
        return [plain(each) for each in found]

    call("_flatten_order: bracket", children)
if resting:
    call("modify_order", lambda: broker._modify_order(resting, limit_price=149.5))
call(
    "positions",
    lambda: [
        {"symbol": each.asset.symbol, "quantity": str(each.quantity)}
        for each in broker._parse_broker_positions(broker._pull_broker_positions(), None)
    ],
)
if resting:
    call("cancel_order", lambda: broker.cancel_order(resting))


call(
    "_parse_broker_order: a bracket that Alpaca itself recorded",
    lambda: plain(broker._parse_broker_order(VENUE["recorded"], "driver")),
)


call("strategy: a bracket, polled", lambda: strategy(broker_at_the_venue()))
leave()
