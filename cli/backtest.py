"""gpi backtest: the trading engine over recorded data."""

import typer

from gpi.cli import desk
from gpi.cli.io import Tool, trading

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Example: gpi replay lake/date=2026-11-19 | gpi featurize | gpi embed | "
    "gpi backtest --strategy momentum --param horizon_s=5 --out runs/a"
)
@trading
def backtest(
    strategy: desk.Strategy = "market_making",
    param: desk.Param = None,
    limits: desk.Limits = None,
    fees: desk.Fees = "auto",
    cash: desk.Cash = 1_000_000.0,
    feed_ms: desk.FeedMs = 0.0,
    order_ms: desk.OrderMs = 1.0,
    response_ms: desk.ResponseMs = 1.0,
    out: desk.OutDir = None,
    fill: desk.Fill = "conservative",
    hours: desk.Hours = False,
    self_trade: desk.SelfTrade = "allow",
    luld: desk.Luld = 0,
    account_rules: desk.AccountRules = "any",
    seed: desk.Seed = 0,
    latency: desk.Latency = None,
    unshortable: desk.Unshortable = None,
    breaker: desk.Breaker = None,
    option_slippage: desk.OptionSlippage = None,
    kill_row: desk.KillRow = None,
    answers: desk.Answers = None,
) -> Tool:
    """Run a strategy over recorded ticks: queue position, latencies, fees, partial fills and halts included.

    The same engine as `gpi trade --paper`: the same stream gives the same orders and fills.
    """
    delays = (feed_ms, order_ms, response_ms)
    rules = (fill, hours, self_trade, luld, seed, option_slippage, account_rules)
    terms = desk.Terms(
        strategy, param, limits, fees, cash, delays, kill_row, answers, rules, latency, unshortable, breaker
    )
    return desk.desk(terms, out, None)
