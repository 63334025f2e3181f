"""The table that ends every run, on stderr."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpi.tools.backtest.session import Session
    from gpi.tools.monitor.latency import Latencies


def summary(session: "Session", metrics: dict[str, Any] | None, latencies: "Latencies", out: Path | None) -> None:
    """What the run did: money, statistics with their standard error, orders, latencies per stage."""
    from rich.table import Table

    from gpi.cli.terminal import console

    screen = console(width=None)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _lines(session, metrics):
        table.add_row(name, value)
    screen.print(table)
    screen.print(_stages(latencies))
    if out is not None:
        screen.print(f"run: {out}   prove it: {proof(out)}", soft_wrap=True)


def proof(out: Path) -> str:
    """The command that repeats a run, as a shell takes it: with the recording, where its ticks came live."""
    import shlex

    from gpi.tools.backtest.manifest import manifest_of

    words = ["gpi", "verify", str(out)]
    steps = manifest_of(out)["provenance"]
    captured = [step for step in steps if step["command"] == "capture"]
    if captured:
        words += ["--recording", str(captured[-1]["facts"].get("journal", "JOURNAL"))]
    elif not any(step["command"] in ("replay", "simulate") for step in steps):
        words += ["--recording", "FILE"]  # of unknown origin: whoever kept it knows where
    return shlex.join(words)


def _lines(session: "Session", metrics: dict[str, Any] | None) -> list[tuple[str, str]]:
    from gpi.tools.backtest import opening

    account = session.account
    start, profit = opening.start_equity(session.state), opening.profit(session.state)
    lines = [
        ("strategy", f"{session.setup.strategy.name}, {int(session.clock.row):,} ticks"),
        ("equity", f"{account.equity:,.2f}  (start {start:,.2f}, cash {account.cash:,.2f})"),
        ("P&L", f"{profit:+,.2f} after fees of {account.fees:,.2f}"),
    ]
    beside = account.equity - start - profit
    if abs(beside) >= 0.005:
        lines.append(("beside it", f"{beside:+,.2f} came or went without an order"))
    if metrics is None:
        return lines
    m = metrics
    events, refusals = m["events"], m["refusals"]
    lines += [
        (
            "Sharpe",
            f"{_number(m.get('sharpe'))} +- {_number(m.get('sharpe_standard_error'))} (standard error, a year's)",
        ),
        ("hit rate", f"{_share(m.get('hit_rate'))} of {m.get('closing_fills', 0):,} closing fills"),
        ("drawdown", _share(m.get("max_drawdown"))),
        ("turnover", f"{_number(m.get('turnover'))} x equity, maker {_share(m.get('maker_share'))}"),
        ("orders", ", ".join(f"{name} {count:,}" for name, count in events.items()) or "none"),
    ]
    if refusals:
        lines.append(("refused", ", ".join(f"{reason} {count:,}" for reason, count in refusals.items())))
    return lines


def _stages(latencies: "Latencies") -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("stage", "frames", "p50 us", "p99 us", "ns/row"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for row in latencies.summary():
        table.add_row(
            str(row["stage"]), f"{row['frames']:,}", f"{row['p50_us']:,.1f}", f"{row['p99_us']:,.1f}",
            f"{row['ns_per_row']:,.0f}",
        )  # fmt: skip
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
