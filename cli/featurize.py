"""gpi featurize: append the tick features."""

from typing import TYPE_CHECKING, Annotated

import typer

from gpi.cli.io import piped

if TYPE_CHECKING:
    from gpi.tools.stage import Stage

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: gpi replay day.parquet | gpi featurize --microstructure --out features.parquet")
@piped
def featurize(
    microstructure: Annotated[
        bool, typer.Option(help="Also the microstructure set: microprice, flow, VPIN, variance ...")
    ] = False,
) -> "Stage":
    """Append `features` (ten floats, docs/features.md) to every tick; NaN until each is defined."""
    from gpi.tools.features.tick import tick_features

    if not microstructure:
        return tick_features()
    from gpi.tools.features.microstructure import microstructure as microstructure_features

    return tick_features() | microstructure_features()
