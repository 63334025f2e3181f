"""gpi embed: append an embedding and an outlook from a trained encoder."""

from pathlib import Path
from typing import Annotated

import typer

from gpi.cli.io import Tool, piped

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: gpi replay day.parquet | gpi featurize | gpi embed --model models/mine --to table")
@piped
def embed(
    model: Annotated[
        Path | None, typer.Option(help="A model directory (gpi train tick --out); else the shipped one.")
    ] = None,
) -> Tool:
    """Append `embedding`, `direction` (probabilities of down, flat, up) and `volatility` (bps) to every row.

    NaN until an instrument's window is full. Served without torch; one window per call, so that the answer never
    depends on how the stream was cut.
    """
    from gpi.formats.models import read_model
    from gpi.tools.embed.tick import SHIPPED, tick_embedding

    folder = model or SHIPPED
    return Tool(tick_embedding(folder), facts={"model": read_model(folder).digest})
