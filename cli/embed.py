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
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Serve it by ONNX Runtime; any other kind of model is anyway.")
    ] = False,
) -> Tool:
    """Append `embedding`, `direction` (probabilities of down, flat, up) and `volatility` (bps) to every row.

    NaN until an instrument's window is full. Served without torch; one window per call, so that the answer never
    depends on how the stream was cut.
    """
    from gpi.formats.models import read_model
    from gpi.tools.embed.tick import KIND, SHIPPED, tick_embedding

    folder = model or SHIPPED
    found = read_model(folder)
    if onnx or found.kind != KIND:
        from gpi.tools.embed.onnx import onnx_embedding  # loads ONNX Runtime

        return Tool(onnx_embedding(folder), facts={"model": found.digest})
    return Tool(tick_embedding(folder), facts={"model": found.digest})
