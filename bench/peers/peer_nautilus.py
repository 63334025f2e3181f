"""A worker for bench/nautilus_race.py, run by the peers' python: NautilusTrader on the same records."""

import json
import sys
import time
from decimal import Decimal

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import BTC, ETH, USDT
from nautilus_trader.model.data import QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("BINANCE")
EVERY, UNIT, MOST, LATENCY = 100_000_000, "0.01000", 1e6, 1_000_000


class Quoting(Strategy):
    """The rule of bench/strategies/quoting.py."""

    def __init__(self, instruments) -> None:
        super().__init__(StrategyConfig())
        self.traded = instruments
        self.due = dict.fromkeys((i.id for i in instruments), 0)
        self.unit = {i.id: Quantity.from_str(UNIT) for i in instruments}
        self.sent = self.woken = self.filled = 0

    def on_start(self) -> None:
        """Listen."""
        for instrument in self.traded:
            self.subscribe_quote_ticks(instrument.id)
            self.subscribe_trade_ticks(instrument.id)

    def on_quote_tick(self, tick) -> None:
        """Cancel everything and join both sides, every tenth of a second."""
        self.woken += 1
        if tick.ts_event < self.due[tick.instrument_id]:
            return
        self.quote(tick.instrument_id, tick.ts_event, tick.bid_price, tick.ask_price)

    def on_trade_tick(self, tick) -> None:
        """A trade is an event like any other."""
        self.woken += 1
        if tick.ts_event < self.due[tick.instrument_id]:
            return
        last = self.cache.quote_tick(tick.instrument_id)
        if last is not None:
            self.quote(tick.instrument_id, tick.ts_event, last.bid_price, last.ask_price)

    def quote(self, instrument_id, now, bid, ask) -> None:
        """Cancel and quote again."""
        self.due[instrument_id] = now + EVERY
        self.cancel_all_orders(instrument_id)
        position = float(self.portfolio.net_position(instrument_id))
        for side, px, wanted in (
            (OrderSide.BUY, bid, position < MOST),
            (OrderSide.SELL, ask, position > -MOST),
        ):
            if wanted:
                self.submit_order(self.order_factory.limit(instrument_id, side, self.unit[instrument_id], px))
                self.sent += 1

    def on_order_filled(self, event) -> None:
        """Count."""
        self.filled += 1


class Watching(Quoting):
    """Woken by everything, does nothing."""

    def quote(self, instrument_id, now, bid, ask) -> None:
        """Nothing."""
        self.due[instrument_id] = now + EVERY


def pair(symbol, coin):
    """A coin against USDT: cents, five decimals of size, no fees."""
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(symbol), VENUE),
        raw_symbol=Symbol(symbol),
        base_currency=coin,
        quote_currency=USDT,
        price_precision=2,
        size_precision=5,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.00001"),
        margin_init=Decimal("0.01"),
        margin_maint=Decimal("0.01"),
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
        ts_event=0,
        ts_init=0,
    )


def ticks(columns, instruments):
    """The records as QuoteTick and TradeTick objects, in order."""
    made = []
    sides = {1: AggressorSide.BUYER, -1: AggressorSide.SELLER}
    names = (
        "instrument_id",
        "kind",
        "ts_event",
        "bid_px",
        "bid_sz",
        "ask_px",
        "ask_sz",
        "trade_px",
        "trade_sz",
        "side",
    )
    rows = zip(*(columns[name].tolist() for name in names), strict=True)
    for n, (which, kind, ts, bid, bid_sz, ask, ask_sz, px, sz, side) in enumerate(rows):
        own = instruments[which].id
        if kind & 2:
            trade = (Price(px, 2), Quantity(sz, 5), sides[side], TradeId(str(n)))
            made.append(TradeTick(own, *trade, ts, ts))
        else:
            touch = (Price(bid, 2), Price(ask, 2), Quantity(bid_sz, 5), Quantity(ask_sz, 5))
            made.append(QuoteTick(own, *touch, ts, ts))
    return made


def main() -> None:
    """Answer every variant on stdin with a line of figures."""
    loaded = np.load(sys.argv[1])
    columns = {name: loaded[name] for name in loaded.files}
    instruments = [pair("BTCUSDT", BTC), pair("ETHUSDT", ETH)]
    data = ticks(columns, instruments)
    for line in sys.stdin:
        silent = LoggingConfig(bypass_logging=True)
        engine = BacktestEngine(BacktestEngineConfig(logging=silent, run_analysis=False))
        engine.add_venue(
            VENUE,
            OmsType.NETTING,
            AccountType.MARGIN,
            [Money(1_000_000, USDT)],
            latency_model=LatencyModel(LATENCY),
            trade_execution=True,
        )
        for instrument in instruments:
            engine.add_instrument(instrument)
        engine.add_data(data)
        strategy = {"quoting": Quoting, "watching": Watching}[line.strip()](instruments)
        engine.add_strategy(strategy)
        begun = time.perf_counter()
        engine.run()
        seconds = time.perf_counter() - begun
        engine.dispose()
        if strategy.woken != len(data):
            raise SystemExit(f"the strategy was woken {strategy.woken} times, not {len(data)}")
        told = {
            "seconds": seconds,
            "orders": strategy.sent,
            "fills": strategy.filled,
            "wakes": strategy.woken,
        }
        print(json.dumps(told), flush=True)


main()
