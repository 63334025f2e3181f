"""gpi venue: a local exchange that real clients connect to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli import setting
from gpi.cli.flags import spread
from gpi.cli.terminal import say
from gpi.tools.desk.options import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gpi.formats.frame import Frame
    from gpi.tools.stage import Stream
    from gpi.tools.venue.tls import Certificate
    from gpi.tools.venue.venue import Options

MOST_CASH = 10**12  # in any account: cash times prices keep all their digits
app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the venue is reached, whom it knows, and how long it serves."""

    port: int = told(0, "0 takes a free one; the ready line names it.", least=0, most=65535)
    ready: Path | None = told(None, "Write the ready line here (mode 600), with the secret.")
    token: str | None = told(None, "Of /gpi/control; else made up.", env="GPI_VENUE_TOKEN")
    key_file: Path | None = told(None, "JSON {key_id, secret}, mode 600; else made up.")
    account: list[str] | None = told(None, "KEY:CASH, another account; repeatable.")
    cash: str = told("100000", "Of the first account.")
    speed: str = told("max", "max, realtime, or N times realtime.")
    wait_for: int = told(0, "Data sockets that must have subscribed first.", least=0)
    stay: bool = told(False, "Serve on after the feed's end, until SIGTERM.", flag="--stay")
    linger: float = told(2.0, "Seconds to serve on after the feed's end.", least=0)
    slow: str = told("wait", "A slow reader holds the feed back (wait) or is cut (drop).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """How its exchange trades, and what goes wrong there."""

    fill: str = told("alpaca-paper", "How orders fill, as in `gpi backtest`.")
    option_slippage: str | None = told(None, "Options: share of the spread a fill travels, by legs; 1: all of it.")
    luld: int = told(0, "LULD bands of this tier on shares; 0: none.", least=0, most=2)
    breaker: str | None = told(None, "Market-wide breakers: SYMBOL:PREVIOUS_CLOSE of the index (SPY:585.20).")
    fees: str = told("alpaca", "alpaca (what it charges, paper too) or zero.")
    hours: str = told("market", "market (shares trade in US sessions) or always.")
    rate_limit: int = told(200, "Requests a minute per account; 0: no limit.", least=0)
    seed: int = told(0, "Of ids, fills and faults.")
    fault: list[str] | None = told(None, "NAME[:k=v,...], repeatable; docs/venue.md.")
    scenario: Path | None = told(None, "Faults from a file ([[fault]] tables, TOML).")


@app.command(
    epilog="Example: gpi simulate --scenario flash-crash | gpi venue --speed 60 --wait-for 1 --ready "
    "/tmp/venue.json; for clients of wss that ask for months: gpi venue day.parquet --tls --history lake/ --stay"
)
@spread
def venue(
    serving: Serving,
    market: Market,
    tls: setting.Tls,
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]", help="Ticks; - or nothing: stdin.")] = None,
    history: setting.History = None,
    sent: Annotated[Path | None, typer.Option(help="Record what was sent, as ticks, in this folder.")] = None,
) -> None:
    """A local exchange on 127.0.0.1: Alpaca's and Polygon's REST and sockets on one port, accounts, orders and faults.

    Reads ticks and plays them; prints one JSON line on stderr when it listens. Ends after the feed (--stay: does not).
    """
    from gpi.formats.appearing import replaceable
    from gpi.formats.secrets import Secret
    from gpi.tools.desk.setting import breaker_of, shares
    from gpi.tools.venue.venue import Options

    if serving.ready is not None:
        replaceable(serving.ready)
    _words(serving.slow, market.hours, market.fill, market.fees)
    names = setting.hosts(tls)
    faults = _faults(market.fault or [], market.scenario)
    stream = _feed(sources or [])
    options = Options(
        accounts=_accounts(serving.key_file, serving.account or [], serving.cash),
        token=Secret(serving.token) if serving.token else None,
        port=serving.port,
        rate_limit=market.rate_limit,
        fill=market.fill,  # type: ignore[arg-type]
        fees=market.fees,
        seed=market.seed,
        slow=serving.slow,
        by_calendar=market.hours == "market",
        faults=faults,
        levels=_levels(stream, market.fill),
        luld=market.luld,
        breaker=breaker_of(market.breaker),
        hosts=names,
        **shares(market.option_slippage),
    )
    how = {"wait_for": serving.wait_for, "stay": serving.stay, "linger": serving.linger}
    with setting.guarded(tls, names) as guarded:
        _serve(options, stream, serving.ready, _pace(serving.speed), sent, how, guarded, history or [])


def _words(slow: str, hours: str, fill: str, fees: str) -> None:
    """Raise UsageError for a choice that there is not."""
    from gpi.tools.venue.exchange import POLICIES

    _one_of("--slow", slow, "wait", "drop")
    _one_of("--hours", hours, "market", "always")
    _one_of("--fill", fill, *POLICIES)
    _one_of("--fees", fees, "alpaca", "zero")


def _faults(fault: list[str], scenario: Path | None) -> tuple[Any, ...]:
    """The faults of the command line and of a file."""
    from gpi.tools.venue.switches import parsed
    from gpi.tools.venue.switches import scenario as scripted

    return (*map(parsed, fault), *(scripted(scenario) if scenario else ()))


def _one_of(name: str, value: str, *known: str) -> None:
    """Raise UsageError for a word that an option does not know."""
    from gpi.formats.errors import UsageError

    if value not in known:
        raise UsageError(f"{name} {value}: choose {', '.join(known)}")


def _serve(
    options: "Options",
    stream: "Stream | None",
    ready: Path | None,
    pace: "Callable[[Iterator[Frame]], Iterable[Frame]]",
    sent: Path | None,
    how: dict[str, Any],
    tls: "tuple[int, Certificate] | None" = None,
    history: Sequence[str] = (),
) -> None:
    import asyncio
    import json
    import signal

    from gpi.formats.instruments import Instruments
    from gpi.tools.venue.data.sent import Sent
    from gpi.tools.venue.venue import fed, held, live, made, opened, ready_line, write_ready
    from gpi.tools.venue.warming import warm

    async def serving() -> None:
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        instruments = Instruments(listed) if stream is None else Instruments.of(stream.schema)
        record = Sent(sent, instruments) if sent else None
        world = made(options, instruments, record, past)
        if stream is None:
            past.begins(world.clock.now())
        feed = None if stream is None else await fed(world, iter(stream.frames), pace)
        at = await opened(world, line, guarded=guarded)
        try:
            if ready is not None:
                write_ready(ready, world, at)
            say(json.dumps(ready_line(world, at)), err=True)
            if ready is None:
                say("gpi venue: secrets, and the token of /gpi/, are told in the file of --ready FILE only", err=True)
            await live(world, feed, stop, **how)
        finally:
            await at.close()
            if record is not None:
                record.close()

    guarded = None if tls is None else (held(tls[0]), tls[1])
    line = held(options.port)  # taken now, answered on when everything stands: no client meets half a venue
    warm(lambda: say("gpi venue: compiling kernels, once: a minute or two", err=True))  # Ctrl-C ends it
    past, listed = setting.past(history)
    asyncio.run(serving())


def _feed(sources: list[str]) -> "Stream | None":
    """The ticks to play; None when there are none: stdin is a terminal, or /dev/null."""
    import os
    import sys

    from gpi.cli.io import opened
    from gpi.formats.ipc import Reader
    from gpi.tools.stage import Stream

    if sources and sources != ["-"]:
        return opened(sources, "venue")
    if not sources and (sys.stdin.isatty() or _null(0)):
        return None
    reader = Reader(os.dup(0))
    return Stream(reader.schema, iter(reader))


def _null(fd: int) -> bool:
    """Is this /dev/null?"""
    import os

    here, null = os.fstat(fd), os.stat(os.devnull)
    return (here.st_dev, here.st_ino) == (null.st_dev, null.st_ino)


def _levels(stream: "Stream | None", fill: str) -> int:
    """Book levels of the stream's frames. Raises SchemaMismatch where orders cannot fill so on them."""
    from gpi.formats.ticks import demand_orders

    if stream is not None:
        demand_orders(fill, stream.schema.names)
    if stream is None or "bids_px" not in stream.schema.names:
        return 0
    return int(stream.schema.field("bids_px").type.list_size)


def _pace(speed: str) -> "Callable[[Iterator[Frame]], Iterable[Frame]]":
    if speed == "max":
        return iter
    from gpi.cli.recorded import pace_of
    from gpi.tools.feeds.pace import paced

    times = pace_of(speed)
    return lambda frames: paced(frames, times)


def _accounts(key_file: Path | None, more: list[str], cash: str) -> dict[str, Any]:
    """Key id -> (secret, cash), the first account first."""
    import secrets

    from gpi.formats.errors import UsageError
    from gpi.formats.secrets import Secret

    found: dict[str, Any] = {}
    if key_file is not None:
        from gpi.cli.trading.keys import alpaca_keys

        keys = alpaca_keys(key_file=key_file)
        found[keys.key_id.reveal()] = (keys.secret, _cash(cash))
    else:
        found["PK" + secrets.token_hex(9).upper()] = (Secret(secrets.token_urlsafe(30)), _cash(cash))
    for each in more:
        key_id, _, amount = each.partition(":")
        if not key_id or not key_id.isascii() or not key_id.isprintable() or key_id in found:
            raise UsageError(f"--account {each}: say KEY:CASH, each key once, in plain letters and digits")
        found[key_id] = (Secret(secrets.token_urlsafe(30)), _cash(amount or cash))
    return found


def _cash(text: str) -> Any:
    from decimal import Decimal, InvalidOperation

    from gpi.formats.errors import UsageError

    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or not 0 <= amount <= MOST_CASH:
        raise UsageError(f"{text!r} is no amount of cash: 0 to {MOST_CASH:,}")
    return amount
