"""A backtest from Python, without the command line: what notebooks, sweeps and workers call.

import gpi

run = gpi.backtest("day.parquet", "market_making", params={"gamma": 0.1}, stages=("featurize", "embed"))
run.metrics["sharpe"], run.fills.to_pandas()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instruments
from gpi.formats.provenance import stamped
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.desk.frames import stream_of
from gpi.tools.desk.options import Options
from gpi.tools.desk.results import Result, read_run
from gpi.tools.desk.setting import fitted_fees, options_of, setup_of
from gpi.tools.embed.tick import tick_embedding
from gpi.tools.features.microstructure import microstructure
from gpi.tools.features.tick import tick_features
from gpi.tools.stage import Stage, Stream
from gpi.tools.strategies.loading import Strategy, load, strategy
from gpi.tools.strategies.parameters import nearest

STAGES: Final[Mapping[str, Callable[[], Stage]]] = {
    "featurize": tick_features, "microstructure": microstructure, "embed": tick_embedding,
}  # fmt: skip


def backtest(
    source: Any,
    strategy: str | type | Any = "market_making",
    *,
    params: Mapping[str, Any] | None = None,
    stages: Sequence[str | Stage] = (),
    symbols: Sequence[str] | None = None,
    instruments: Instruments | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> Result:
    """Run a strategy over recorded ticks and return what it did.

    `source`: a path, several, a Stream, or a table of pandas, polars or pyarrow (`gpi.tools.desk.frames`).
    `strategy`: a name, `file.py:Class`, or the class or module itself, with `params`. `stages`: what is appended to
    every tick first, by the name of the command or as a Stage. `out`: keep the run directory there. `options` are those
    of `gpi backtest` with underscores: cash=50_000, fees="zero", fill="queue", order_ms=5.0 ...

    Raises UsageError for an option, a strategy or a parameter that is not right, BadInput for bad input.
    """
    if "strategy" in options or "param" in options:
        raise UsageError("the strategy is the second argument, its parameters are params={...}")
    asked = options_of(options)
    made = _strategy(strategy, dict(params or {}))
    stream = _staged(stream_of(source, symbols, instruments), stages)
    if out is not None:
        return _run(stream, asked, made, Path(out), True)
    with TemporaryDirectory(prefix="gpi-backtest-") as folder:
        return _run(stream, asked, made, Path(folder) / "run", False)


def _strategy(given: Any, params: dict[str, Any]) -> Strategy:
    if isinstance(given, str):
        return load(given, params)
    return strategy(given, params, getattr(given, "__name__", "strategy").rpartition(".")[2])


def _staged(stream: Stream, stages: Sequence[str | Stage]) -> Stream:
    for each in (stages,) if isinstance(stages, (str, Stage)) else stages:
        if isinstance(each, str):
            if each not in STAGES:
                raise UsageError(f"no stage {each!r}{nearest(each, STAGES)}")
            each = STAGES[each]()
        stream = each(stream)
    return stream


def _run(stream: Stream, options: Options, made: Strategy, out: Path, keep: bool) -> Result:
    schema = stamped(stream.schema, "backtest", {"strategy": made.name}, {"strategy": made.digest})
    setup = fitted_fees(setup_of(options, strategy=made), options.fees, stream)
    session = Session(schema, setup)
    directory, complete = Run(out, session, schema), False
    try:
        for frame in stream.frames:
            directory.add(session.step(frame))
        complete = True
    finally:
        directory.add(session.finish())
        directory.close(complete)
    return read_run(out, keep)
