"""gpi venue: a local exchange that real clients connect to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpi.cli import setting
from gpi.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gpi.formats.frame import Frame
    from gpi.tools.stage import Stream
    from gpi.tools.venue.tls import Certificate
    from gpi.tools.venue.venue import Options

MOST_CASH = 10**12  # in any account: cash times prices keep all their digits
app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog="Example: gpi simulate --scenario flash-crash | gpi venue --speed 60 --wait-for 1 --ready "
    "/tmp/venue.json; for clients of wss that ask for months: gpi venue day.parquet --tls --history lake/ --stay"
)
def venue(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]", help="Ticks; - or nothing: stdin.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one; the ready line names it.")] = 0,
    ready: Annotated[Path | None, typer.Option(help="Write the ready line here (mode 600), with the secret.")] = None,
    token: Annotated[str | None, typer.Option(envvar="GPI_VENUE_TOKEN", help="Of /gpi/control; else made up.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="JSON {key_id, secret}, mode 600; else made up.")] = None,
    account: Annotated[list[str] | None, typer.Option(help="KEY:CASH, another account; repeatable.")] = None,
    cash: Annotated[str, typer.Option(help="Of the first account.")] = "100000",
    speed: Annotated[str, typer.Option(help="max, realtime, or N times realtime.")] = "max",
    wait_for: Annotated[int, typer.Option(min=0, help="Data sockets that must have subscribed first.")] = 0,
    stay: Annotated[bool, typer.Option("--stay", help="Serve on after the feed's end, until SIGTERM.")] = False,
    linger: Annotated[float, typer.Option(min=0, help="Seconds to serve on after the feed's end.")] = 2.0,
    slow: Annotated[str, typer.Option(help="A slow reader holds the feed back (wait) or is cut (drop).")] = "wait",
    fill: Annotated[str, typer.Option(help="How orders fill, as in `gpi backtest`.")] = "alpaca-paper",
    option_slippage: Annotated[
        str | None, typer.Option(help="Options: share of the spread a fill travels, by legs; 1: all of it.")
    ] = None,
    luld: Annotated[int, typer.Option(min=0, max=2, help="LULD bands of this tier on shares; 0: none.")] = 0,
    breaker: Annotated[
        str | None, typer.Option(help="Market-wide breakers: SYMBOL:PREVIOUS_CLOSE of the index (SPY:585.20).")
    ] = None,
    fees: Annotated[str, typer.Option(help="alpaca (what it charges, paper too) or zero.")] = "alpaca",
    hours: Annotated[str, typer.Option(help="market (shares trade in US sessions) or always.")] = "market",
    rate_limit: Annotated[int, typer.Option(min=0, help="Requests a minute per account; 0: no limit.")] = 200,
    seed: Annotated[int, typer.Option(help="Of ids, fills and faults.")] = 0,
    fault: Annotated[list[str] | None, typer.Option(help="NAME[:k=v,...], repeatable; docs/venue.md.")] = None,
    scenario: Annotated[Path | None, typer.Option(help="Faults from a file ([[fault]] tables, TOML).")] = None,
    history: setting.History = None,
    tls: setting.Tls = False,
    tls_port: setting.TlsPort = 0,
    tls_name: setting.TlsName = None,
    tls_cert: setting.TlsCert = None,
    tls_key: setting.TlsKey = None,
    sent: Annotated[Path | None, typer.Option(help="Record what was sent, as ticks, in this folder.")] = None,
) -> None:
    """A local exchange on 127.0.0.1: Alpaca's and Polygon's REST and sockets on one port, accounts, orders and faults.

    Reads ticks and plays them; prints one JSON line on stderr when it listens. Ends after the feed (--stay: does not).
    """
    from gpi.formats.appearing import replaceable
    from gpi.formats.secrets import Secret
    from gpi.tools.desk.setting import breaker_of, shares
    from gpi.tools.venue.venue import Options

    if ready is not None:
        replaceable(ready)
    _words(slow, hours, fill, fees)
    names = setting.hosts(tls, tls_name or [], tls_cert, tls_key)
    faults = _faults(fault or [], scenario)
    stream = _feed(sources or [])
    options = Options(
        accounts=_accounts(key_file, account or [], cash), token=Secret(token) if token else None, port=port,
        rate_limit=rate_limit,
        fill=fill,  # type: ignore[arg-type]
        fees=fees, seed=seed, slow=slow, by_calendar=hours == "market", faults=faults, levels=_levels(stream, fill),
        luld=luld, breaker=breaker_of(breaker), hosts=names, **shares(option_slippage),
    )  # fmt: skip
    how = {"wait_for": wait_for, "stay": stay, "linger": linger}
    with setting.guarded(tls, tls_port, names, tls_cert, tls_key) as guarded:
        _serve(options, stream, ready, _pace(speed), sent, how, guarded, history or [])


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
    from gpi.cli.replay import pace_of
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
        from gpi.cli.keys import alpaca_keys

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
