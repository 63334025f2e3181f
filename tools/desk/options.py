"""The options of a session, once: the command line makes its flags of them, Python its keywords, a run its setup.

A field's `help`, `flag` and `least`, `most` are for whoever offers it; its default says its type. `setup` or `rule`
name the field of `gpi.tools.backtest.setup.Setup` or `Rules` that takes it as it is; `gpi.tools.desk.setting` reads the
rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


def told(default: Any, words: str, **more: Any) -> Any:
    """A field with what a person is told of it."""
    return field(default=default, metadata={"help": words, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything a session can be asked for, as given."""

    strategy: str = told("market_making", "market_making, momentum, an installed one, file.py or file.py:Class.")
    param: list[str] | None = told(None, "A strategy parameter, name=value; repeat.", flag="--param")
    limits: Path | None = told(None, "Risk limits (TOML); else the shipped, conservative ones.")
    fees: str = told(
        "auto", "Fees by date: zero, alpaca_equity, alpaca_option, alpaca_index_option, binance_spot ...; auto."
    )
    cash: float = told(1_000_000.0, "Starting cash.", least=0, setup="cash")
    feed_ms: float = told(0.0, "Feed latency, ms.", least=0)
    order_ms: float = told(1.0, "Order latency, ms of event time.", least=0)
    response_ms: float = told(1.0, "Latency of fills and acknowledgements, ms.", least=0)
    fill: str = told(
        "conservative",
        "How recorded liquidity fills: conservative, queue, whole, fifo, alpaca-paper.",
        rule="fill",
    )
    hours: bool = told(
        False, "Plain orders of shares and options sleep outside the regular session.", flag="--hours", rule="hours"
    )
    self_trade: str = told(
        "allow", "An order that could meet our own: allow, refuse, cancel-oldest.", rule="self_trade"
    )
    luld: int = told(0, "Limit up - limit down bands of this tier on shares; 0: none.", least=0, most=2, rule="bands")
    account_rules: str = told(
        "any",
        "alpaca: an order closes no more than is held and free; coins are not sold short. Else any.",
        rule="account",
    )
    seed: int = told(0, "Of what is drawn: partial fills of alpaca-paper.", setup="seed")
    latency: list[str] | None = told(
        None,
        "2ms, lognormal:floor=1ms,median=2ms,sigma=0.5, FILE.parquet (recorded) or quantiles:FILE.parquet, for "
        "orders, cancels and answers; order=..., cancel=..., response=... or feed=... for one; repeat.",
    )
    unshortable: str | None = told(None, "Symbols that nobody lends (AAPL,MSFT): no short of them.")
    breaker: str | None = told(
        None, "Market-wide breakers: SYMBOL:PREVIOUS_CLOSE of the index (SPY:585.20); 7, 13, 20 %."
    )
    option_slippage: str | None = told(None, "Options: share of the spread a fill travels, by legs; 1: all of it.")
    kill_row: int | None = told(None, "Pull the kill switch at this row, as a recorded run did.", setup="kill_row")

    def taken(self, where: str) -> dict[str, Any]:
        """What is taken as it is, by the name of the field that takes it: `where` is "setup" or "rule"."""
        return {each.metadata[where]: getattr(self, each.name) for each in fields(self) if where in each.metadata}
