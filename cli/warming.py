"""A warm interpreter for the chaos suite: everything imported and every kernel loaded, before it is forked."""

from typing import Any


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
    from importlib import import_module

    from gpi.cli.main import COMMANDS, load

    for name in COMMANDS:
        if name != "train":
            load(name)
    for room in (
        "venue.venue",
        "feeds.pace",
        "backtest.run",
        "backtest.answered",
        "brokers.alpaca",
        "feeds.capturing",
        "feeds.alpaca",
        "feeds.polygon",
    ):
        import_module(f"gpi.tools.{room}")
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as null:
        line = f"simulate --events 500 --levels 0 | featurize | trade --paper --out {folder}/run"
        with contextlib.redirect_stderr(null), contextlib.suppress(SystemExit):
            carried_out(["run", line, "--out", f"{folder}/out.arrow"])
    _warm_exchange()
    _warm_session()


def _warm_exchange() -> None:
    """Load the kernels behind the venue."""
    from gpi.formats.instruments import Instruments, equity
    from gpi.formats.orders import DAY, LIMIT, MARKET
    from gpi.tools.venue.exchange import Exchange, Request
    from gpi.tools.venue.rows import told

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
    from gpi.cli.desk import Terms, fitted_fees, prepared
    from gpi.formats import answers, orders
    from gpi.formats.instruments import KEY, Instruments, equity
    from gpi.formats.ticks import TICKS
    from gpi.tools.backtest.session import Session
    from gpi.tools.chaos.strategies import named
    from gpi.tools.stage import Stream
    from gpi.tools.venue.rows import told

    table = Instruments([equity("WARM")]).to_json().encode()
    schema = TICKS.with_metadata({**TICKS.metadata, KEY.encode(): table})
    terms = Terms(named("Churn"), ["every=1"], None, "zero", 1e6, (0.0, 0.0, 0.0), None)
    session = Session(schema, fitted_fees(prepared(terms, external=True), "zero", Stream(schema, iter(()))))
    quote = {"bid": [99, 100], "ask": [101, 100], "trade": [101, 50, 1]}
    for ts in range(1, 9):
        session.step(told(0, 0, quote, ts * 10**9))
        for ask in session.asks():
            actions = (orders.ACCEPTED, orders.FILLED, orders.CANCELED)
            session.answer(
                [answers.Answer(ask.ts_event, each, ask.order_id, 0, 1, 1.0, 100.0, 9.0) for each in actions]
            )
    session.answer([answers.Answer(0, orders.FILLED, 999, 0, 1, 1.0, 100.0)])
    session.answer([answers.Answer(0, each, 0, 0, 0, 0.0, 1.0) for each in range(answers.STATE, answers.CASH + 1)])
    session.wind_down()
    session.finish()
