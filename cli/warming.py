"""Warm: every kernel compiled once and kept on the disk (`gpi doctor --warm`), or loaded before the chaos suite forks.

A kernel that is not on the disk is compiled by whoever calls it first, which takes a session seconds to minutes in
which it hears nothing. So a session has them compiled before it connects, once for all that start together. GPI_COLD=1:
it does not, and says so; for who must be back at once, with what the disk has.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

PIPELINES: Final = {
    "features, embedding, a compiled strategy": (
        "simulate --events 3000 --levels 0 | featurize | embed | backtest --strategy market_making"
    ),
    "microstructure, books, momentum": (
        "simulate --events 3000 --levels 5 | featurize --microstructure | embed | backtest --strategy momentum"
    ),
}


def carried_out(words: list[str]) -> Any:
    """The very command line, in a forked child."""
    if words[0].endswith(".py"):  # a program that is not ours, to compare with
        import runpy

        return runpy.run_path(words[0], run_name="__main__")
    from gpi.cli.main import main

    return main(words)


def warm() -> None:
    """Import what the commands import and load the kernels they run, once."""
    import contextlib
    import os
    import tempfile

    from gpi.cli.main import COMMANDS, load

    for name in COMMANDS:
        if name != "train":
            load(name)
    import gpi.tools.backtest.answered
    import gpi.tools.backtest.run
    import gpi.tools.brokers.alpaca.broker
    import gpi.tools.desk.alpaca
    import gpi.tools.desk.session
    import gpi.tools.feeds.live.alpaca
    import gpi.tools.feeds.live.capturing
    import gpi.tools.feeds.live.polygon
    import gpi.tools.feeds.pace
    import gpi.tools.venue.venue  # noqa: F401 - to have them loaded

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as null:
        line = f"simulate --events 500 --levels 0 | featurize | trade --paper --out {folder}/run"
        with contextlib.redirect_stderr(null), contextlib.suppress(SystemExit):
            carried_out(["run", line, "--out", f"{folder}/out.arrow"])
    _warm_exchange()
    _warm_session()


def compile_all(say: Callable[[str], None]) -> None:
    """Compile what is not on the disk yet, once, however many processes ask for it; `say` hears of the progress."""
    import fcntl

    from gpi.tools.kernels.jit import cache_folder

    cache_folder().mkdir(parents=True, exist_ok=True)
    with open(_lock(), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _mark().exists():
            return
        works = _works()
        for number, (name, work) in enumerate(works.items(), 1):
            say(f"compiling kernels, once for this machine and version: {name} ({number} of {len(works)})")
            work()
        _mark().touch()


def before_a_session(say: Callable[[str], None]) -> None:
    """Have every kernel compiled before a session connects to anything; `say` is told that it takes minutes.

    In a process of its own: what compiling needs in memory and modules is nothing that a session should keep.
    """
    import os

    from gpi.tools.children import NOWHERE, start

    if os.environ.get("NUMBA_DISABLE_JIT") == "1" or compiled():
        return
    if os.environ.get("GPI_COLD") == "1":
        say("not all kernels are compiled yet, and GPI_COLD=1: this session may have to wait for them")
        return
    say(
        "not all kernels are compiled yet: that is done now, before anything is connected (minutes, once; "
        "`gpi doctor --warm` does it ahead, GPI_COLD=1 goes without)"
    )
    child = start("gpi.cli.main", "doctor", "--warm", stdin=NOWHERE, stdout=NOWHERE)
    try:
        child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()


def compiled() -> bool:
    """Whether everything has been compiled."""
    return _mark().exists()


def _mark() -> Path:
    """There when everything has been compiled, for this place of the sources and this processor."""
    from hashlib import blake2b

    from numba.core.registry import cpu_target

    from gpi.tools.kernels.jit import SOURCES, cache_folder

    stamps = [(str(each), each.stat().st_mtime_ns) for each in SOURCES]
    told = f"{cpu_target.target_context.codegen().magic_tuple()} {stamps}".encode()
    return cache_folder() / f"warm-{blake2b(told, digest_size=8).hexdigest()}"


def _lock() -> Path:
    from gpi.tools.kernels.jit import cache_folder

    return cache_folder() / "warming.lock"


def _works() -> dict[str, Callable[[], None]]:
    """What runs through every room that has kernels, by what it compiles."""
    from functools import partial

    from gpi.tools.feeds.live.decoding import warm as warm_feeds
    from gpi.tools.venue.warming import warm as warm_venue

    works: dict[str, Callable[[], None]] = {"feeds": warm_feeds}
    works |= {name: partial(_quietly, [["run", line]]) for name, line in PIPELINES.items()}
    works["the pattern bank, paper trading"] = _warm_bank
    works["sessions"] = _warm_session
    works["the exchange"] = _warm_exchange
    works["the venue"] = warm_venue
    return works


def _quietly(lines: list[list[str]]) -> None:
    """Command lines one after another, each in a process of its own, as they would be used."""
    from gpi.tools.children import NOWHERE, start

    for words in lines:
        start("gpi.cli.main", *words, stdout=NOWHERE, stderr=NOWHERE).wait()


def _warm_bank() -> None:
    """Rows embedded, remembered, matched, traded and judged."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        embedded = f"{folder}/embedded.arrow"
        match = f"index match --bank {folder}/bank"
        _quietly(
            [
                ["run", "simulate --events 3000 | featurize | embed", "--out", embedded],
                ["index", "build", embedded, "--bank", f"{folder}/bank"],
                ["run", f"replay {embedded} | {match} | trade --paper | risk-check"],
            ]
        )


def _warm_exchange() -> None:
    """Load the kernels behind the venue."""
    from gpi.formats.instruments import Instruments, equity
    from gpi.formats.words import DAY, LIMIT, MARKET
    from gpi.tools.venue.data.rows import told
    from gpi.tools.venue.exchange import Exchange, Request

    exchange = Exchange(Instruments([equity("WARM")]), 1, "alpaca-paper", 0)
    for ts in range(1, 4):
        exchange.tick(told(0, 0, {"bid": [99, 100], "ask": [101, 100], "trade": [101, 50, 1]}, ts * 10**9))
    for kind, px in ((LIMIT, 90.0), (MARKET, float("nan")), (LIMIT, 105.0)):
        number = exchange.submit(Request(0, 1, kind, DAY, 10.0, px))
        exchange.replace(number, qty=5.0)
        exchange.cancel(number)
    exchange.advance(10 * 10**9)
    exchange.events()


def _warm_session() -> None:
    """Load the kernels of a session that trades elsewhere."""
    from gpi.formats.execution import CASH, STATE, ExecutionReport
    from gpi.formats.instruments import KEY, Instruments, equity
    from gpi.formats.ticks import TICKS
    from gpi.formats.words import ACCEPTED, CANCELED, FILLED
    from gpi.tools.backtest.session import Session
    from gpi.tools.chaos.strategies import named
    from gpi.tools.desk.options import Options
    from gpi.tools.desk.setting import fitted_fees, setup_of
    from gpi.tools.stage import Stream
    from gpi.tools.venue.data.rows import told

    table = Instruments([equity("WARM")]).to_json().encode()
    schema = TICKS.with_metadata({**TICKS.metadata, KEY.encode(): table})
    options = Options(strategy=named("Churn"), param=["every=1"], fees="zero", order_ms=0.0, response_ms=0.0)
    session = Session(schema, fitted_fees(setup_of(options, external=True), "zero", Stream(schema, iter(()))))
    quote = {"bid": [99, 100], "ask": [101, 100], "trade": [101, 50, 1]}
    for ts in range(1, 9):
        session.step(told(0, 0, quote, ts * 10**9))
        for request in session.requests():
            actions = (ACCEPTED, FILLED, CANCELED)
            session.hear(
                [ExecutionReport(request.ts_event, each, request.order_id, 0, 1, 1.0, 100.0, 9.0) for each in actions]
            )
    session.hear([ExecutionReport(0, FILLED, 999, 0, 1, 1.0, 100.0)])
    session.hear([ExecutionReport(0, each, 0, 0, 0, 0.0, 1.0) for each in range(STATE, CASH + 1)])
    session.wind_down()
    session.finish()
