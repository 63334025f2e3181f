"""gpi simulate: a seeded synthetic market."""

from typing import Annotated

import typer

from gpi.cli.io import Tool, source

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Example: gpi simulate --scenario flash-crash --symbols SPY,NVDA --seed 7 --events 1e6 --out c.parquet"
)
@source
def simulate(
    scenario: Annotated[str, typer.Option(help="calm, flash-crash or halt.")] = "calm",
    symbols: Annotated[str, typer.Option(help="SPY,NVDA or @tier1.")] = "SPY,NVDA",
    seed: Annotated[int, typer.Option(help="The same seed gives the same market, bit for bit.")] = 0,
    events: Annotated[float | None, typer.Option(help="Rows, such as 200000 or 1e6.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds of market time; without both: 23400.")] = None,
    levels: Annotated[int, typer.Option(min=0, max=10, help="Book levels a side; 0: quotes only.")] = 5,
    batch: Annotated[int, typer.Option(min=1, help="Rows per frame.")] = 8192,
) -> Tool:
    """Quotes, trades and depth of an order-flow market of several symbols: calm, a flash crash, a trading halt."""
    from math import isfinite

    from gpi.formats.errors import UsageError
    from gpi.formats.market.universe import expand
    from gpi.tools.market.orderflow import simulate as simulated
    from gpi.tools.market.scenarios import scenario as named

    if events is None and duration is None:
        duration = 23_400.0
    if not all(number is None or isfinite(number) for number in (events, duration)):
        raise UsageError("--events and --duration must be finite numbers")
    count = None if events is None else int(events)
    chosen = expand(symbols)
    stream = simulated(named(scenario), chosen, seed, events=count, duration_s=duration, levels=levels, batch=batch)
    return Tool(stream)
