"""From the options of a session to its setup: the strategy loaded, the limits read, the rules put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, Final

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instruments
from gpi.formats.market.fees import SCHEDULES
from gpi.tools.backtest.contracts import SCHEDULED, scheduled
from gpi.tools.backtest.delays import fitted, parsed
from gpi.tools.backtest.setup import Latency, Rules, Setup
from gpi.tools.desk.options import Options
from gpi.tools.risk.limits import read
from gpi.tools.stage import Stream
from gpi.tools.strategies.loading import Strategy, load
from gpi.tools.strategies.parameters import nearest, parameters

NS_PER_MS: Final = 1_000_000


def setup_of(options: Options, external: bool = False, strategy: Strategy | None = None) -> Setup:
    """The setup of a session, with another strategy than the one named if one is given.

    Raises UsageError for a strategy, parameter or limit that is not right.
    """
    if options.fees not in (*SCHEDULES, "auto"):
        raise UsageError(f"--fees {options.fees}: choose auto, {', '.join(SCHEDULES)}")
    delays_ms = (options.feed_ms, options.order_ms, options.response_ms)
    if not all(isfinite(number) for number in (*delays_ms, options.cash)):
        raise UsageError("cash and latencies must be finite numbers")
    latency, delays = fitted(parsed(options.latency or []), *(round(ms * NS_PER_MS) for ms in delays_ms))
    unlent = tuple(each.strip() for each in (options.unshortable or "").split(",") if each.strip())
    return Setup(
        strategy or load(options.strategy, parameters(options.param or [])),
        read(options.limits),
        latency=Latency(*latency),
        delays=delays,
        rules=Rules(
            unlent=unlent,
            breaker=breaker_of(options.breaker),
            **shares(options.option_slippage),
            **options.taken("rule"),
        ),
        external=external,
        **options.taken("setup"),
    )


def fitted_fees(setup: Setup, fees: str, stream: Stream) -> Setup:
    """The setup with the dated fee schedule of that name; auto: Binance's for crypto, Alpaca's for the rest, by what
    an instrument is where the stream carries several kinds."""
    if fees == "auto":
        kinds = {scheduled(row) for row in Instruments.of(stream.schema) if row.asset_class != "index"}
        fees = "auto" if len(kinds) > 1 else SCHEDULED[next(iter(kinds), 0)]
    return replace(setup, schedule=fees)


def breaker_of(told: str | None) -> tuple[str, float] | None:
    """The index and its previous close of `--breaker`. Raises UsageError for what is no SYMBOL:PRICE."""
    if told is None:
        return None
    symbol, _, close = told.rpartition(":")
    try:
        price = float(close)
    except ValueError:
        price = float("nan")
    if not symbol or not 0.0 < price < float("inf"):
        raise UsageError(f"--breaker {told}: the index and its previous close, such as SPY:585.20")
    return symbol, price


def shares(told: str | None) -> dict[str, Any]:
    """The rule that `--option-slippage` sets, if it is given. Raises UsageError for what are no numbers."""
    if told is None:
        return {}
    try:
        return {"option_slippage": tuple(float(each) for each in told.split(","))}
    except ValueError:
        raise UsageError(f"--option-slippage {told}: numbers by number of legs, such as 0.75,0.66,0.56,0.53") from None


def options_of(given: Mapping[str, Any]) -> Options:
    """Options from keywords. Raises UsageError, naming the nearest, for one that there is not."""
    known = Options.__dataclass_fields__
    for name in given:
        if name not in known:
            raise UsageError(f"a session has no option {name!r}{nearest(name, known)}")
    return Options(**given)
