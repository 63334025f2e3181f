"""A run directory: its files, the keys of its manifest and of its metrics, and what each means.

A key with a dot stands in the table before the dot. What is written where is in `gpi.tools.backtest.run`; a test
compares what a run wrote with these names.
"""

from typing import Final

FILES: Final[dict[str, str]] = {
    "orders.parquet": "orders/1",
    "fills.parquet": "fills/1",
    "equity.parquet": "equity/1",
    "answers.parquet": "answers/1; only of a run at a broker",
    "manifest.json": "everything needed to do the run again; written before the first tick and after the last word",
    "performance_metrics.json": "what the run was worth",
    ".told.log": "what was told so far, until the tables are there (`gpi.told/1`); a backtest has none",
    "part-2, part-3 ...": "the same again, for every restart of a trader at a broker",
}

MANIFEST: Final[dict[str, tuple[str, str]]] = {
    "gpi": ("text", "the version of gpi"),
    "complete": ("truth", "the stream came to its honest end, and everything was written"),
    "provenance": ("list", "the commands that made the stream, first first: command, version, options, facts"),
    "rows": ("table", "rows by name of table"),
    "digests": ("table", "XXH3-128 of the contents by name of table"),
    "ticks": ("number", "rows of the stream that the session saw"),
    "late_ticks": ("number", "of these, rows earlier than one before them"),
    "kill_row": ("number", "rows seen when the kill switch was pulled; null: it was not"),
    "versions": ("table", "python, numba, numpy"),
    "setup.strategy": ("table", "name, params by name, digest of its source"),
    "setup.limits": ("table", "the limits of risk.toml by name"),
    "setup.fees": ("table", "fees where they follow no schedule"),
    "setup.schedule": ("text", "the dated schedule of fees; empty: setup.fees"),
    "setup.latency": ("table", "constant delays, ns"),
    "setup.delays": ("table", "delays that are drawn or recorded; null: none"),
    "setup.terms": ("table", "tick size, lot size, multiplier, class of fees by instrument_id"),
    "setup.cash": ("money", "to start with"),
    "setup.seed": ("number", "of what is drawn"),
    "setup.trading_state": ("number", "to start with: 0 active, 1 reducing, 2 halted"),
    "setup.rules": ("table", "how recorded liquidity fills, hours, bands, breakers, the account's rules, options"),
    "setup.external": ("truth", "orders went to a broker outside"),
    "start.cash": ("money", "of the account when the session began"),
    "start.equity": ("money", "cash and the positions found, at `positions`' prices"),
    "start.positions": ("list", "symbol, qty, px of what was held"),
    "start.told_day": ("list", "the UTC day the broker's journal knew of, and its first equity"),
    "heard": ("table", "`gpi trade`: rows, first, last and digest of the stream's rows that the session heard"),
    "broker": ("table", "at a broker: account, url"),
    "broker_at_the_end": ("table", "at a broker: parted, unknown orders, failure"),
    "recovered": ("truth", "of a run that died: read from its log"),
    "torn_bytes": ("number", "of a run that died: what could not be read at the log's end"),
}

METRICS: Final[dict[str, tuple[str, str]]] = {
    "start_equity": ("money", "when the session began"),
    "final_equity": ("money", "of the last row of equity"),
    "moved": ("money", "came or went beside trading: no profit"),
    "total_pnl": ("money", "final - start - moved"),
    "realized_pnl": ("money", "realised, before fees, average-cost"),
    "fees": ("money", "paid"),
    "return": ("share", "total_pnl over start_equity"),
    "sharpe": ("ratio", "annualised, of returns between samples of equity"),
    "sharpe_standard_error": ("ratio", "of `sharpe`"),
    "sharpe_samples": ("number", "returns it was computed from"),
    "sharpe_sample_s": ("s", "event time between samples"),
    "sharpe_samples_per_year": ("number", "by which it was annualised"),
    "sharpe_year_s": ("s", "trading time of a year"),
    "hit_rate": ("share", "of closing fills that gained"),
    "closing_fills": ("number", "fills that closed something"),
    "max_drawdown": ("share", "greatest 1 - equity / running peak"),
    "turnover": ("ratio", "traded_notional over mean equity"),
    "traded_notional": ("money", "qty x px x multiplier of all fills that were no settlement"),
    "maker_share": ("share", "of traded_notional that rested"),
    "event_time_s": ("s", "from the first to the last row of equity"),
    "ticks": ("number", "as in the manifest"),
    "fills": ("number", "rows of fills"),
    "events": ("table", "rows of orders by action"),
    "refusals": ("table", "rows REFUSE by reason"),
}
"""null where a figure is not defined; of a run without a row of equity only the first two and the last four."""
