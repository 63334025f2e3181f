"""gpi capture: a live feed as a stream of ticks."""

import atexit
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gpi.cli import warming
from gpi.cli.io import Tool, source
from gpi.cli.running import running
from gpi.cli.terminal import say
from gpi.tools.desk.options import told

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from gpi.formats.frame import Frame
    from gpi.formats.secrets import Secret
    from gpi.tools.feeds.live.subscription import Subscription

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What is captured, and from where."""

    source: str = told("alpaca", "alpaca, polygon, or venue (a `gpi venue`).")
    asset_class: str = told("stocks", "stocks, options or crypto.")
    symbols: str | None = told(None, "AAPL,MSFT or @tier1 or @FILE; * for all the feed has.")
    channels: str | None = told(None, "trades,quotes,statuses,books; else all but books.")
    feed: str = told("", "iex, sip; indicative, opra; realtime, delayed. Else the first.")
    url: str | None = told(None, "Another host, such as http://127.0.0.1:8700.")
    venue_ready: Path | None = told(None, "The file that `gpi venue --ready` wrote.")
    wire: str = told("alpaca", "Of a venue: alpaca or polygon.")
    key_file: Path | None = told(None, "Keys (TOML or JSON, mode 600); else docs/live.md.")
    levels: int = told(0, "Book levels a side, with --channels books.", least=0, most=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Where it is kept, when it ends, and what a slow reader or a silent feed means."""

    journal: Path | None = told(None, "Keep the messages here; else in ~/.local/state/gpi.")
    from_journal: Path | None = told(None, "No network: tell a journal's stream again.")
    lake: Path | None = told(None, "Write the rows into this lake as well.")
    until: str | None = told(None, "16:00 (New York) or a time with offset.")
    for_: str | None = told(None, "30s, 5m, 6.5h.", flag="--for")
    rows: int | None = told(None, "End after so many rows.", least=1)
    on_full: str = told("block", "A slow reader: block, drop-oldest or conflate.")
    buffer: int = told(262_144, "Rows that may wait for the reader.", least=1)
    mute: float | None = told(None, "Silent seconds before a reconnection; 0: never.", least=0)
    refill: bool = told(True, "Ask REST for what was missed.")
    patience: float = told(600.0, "Seconds without a connection before giving up.", least=0)
    once: bool = told(False, "End when the other side closes or is gone, or a venue's feed is over.", flag="--once")
    stats: float | None = told(None, "Tell the books every so many seconds.", least=0.1)


@app.command(epilog="Example: gpi capture --source alpaca --symbols @tier1 --lake lake/ | gpi featurize --to table")
@source
def capture(feed: Feed, keeping: Keeping) -> Tool:
    """Live trades, quotes and statuses: journaled as they came, then published as ticks, gaps refilled or flagged.

    Keys come from the environment, a file or a keyring, never from the command line (docs/live.md).
    """
    if keeping.from_journal is not None:
        return _retold(keeping.from_journal)
    vendor, url = _where(feed.source, feed.wire, feed.url, feed.venue_ready)
    _check("--asset-class", feed.asset_class, ("stocks", "options", "crypto"))
    _check("--on-full", keeping.on_full, ("block", "drop-oldest", "conflate"))
    names = _symbols(feed.symbols)
    # before the vendors' clients are imported: they look for some
    keys = _keys(vendor, url, feed.key_file or feed.venue_ready)
    from gpi.tools.feeds.live.subscription import Subscription
    from gpi.tools.feeds.spans import seconds, wall_clock

    channels = _words(feed.channels)
    wanted = Subscription(vendor, feed.asset_class, names, channels, feed.feed, url)  # type: ignore[arg-type]
    venue = feed.source == "venue"
    silence = 30.0 if venue else 5.0
    how: dict[str, Any] = {
        "levels": feed.levels,
        "journal": keeping.journal,
        "lake": keeping.lake,
        "rows": keeping.rows,
        "on_full": keeping.on_full,
        "buffer": keeping.buffer,
        "mute": silence if keeping.mute is None else keeping.mute,
        "always": venue or feed.asset_class == "crypto",
        "refill": keeping.refill,
        "venue": venue,
    }
    limits: dict[str, Any] = {"patience_s": keeping.patience, "once": keeping.once, "stats_s": keeping.stats}
    limits["for_s"] = None if keeping.for_ is None else seconds(keeping.for_)
    limits["until_ns"] = None if keeping.until is None else wall_clock(keeping.until)
    return _live(wanted, keys, how, limits)


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    from gpi.formats.errors import UsageError

    if value not in known:
        raise UsageError(f"{option} {value}: choose {', '.join(known)}")


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _live(wanted: "Subscription", keys: tuple["Secret", ...], how: dict[str, Any], limits: dict[str, Any]) -> Tool:
    from gpi.formats.provenance import stamped
    from gpi.formats.trust import private_folder
    from gpi.tools.feeds.live.capturing import Capture
    from gpi.tools.feeds.live.journal import Journal
    from gpi.tools.feeds.live.lock import Lock, state_folder
    from gpi.tools.feeds.live.outlet import Outlet
    from gpi.tools.feeds.live.watchdog import Watchdog
    from gpi.tools.stage import Stream

    warming.before_a_session(lambda words: say(f"gpi capture: {words}", err=True))
    link, rest = wanted.link(keys), wanted.rest(keys) if how["refill"] else None
    intake = wanted.intake(how["levels"], wanted.live)
    venue = wanted.venue_time(keys, min(5.0, how["mute"] / 3 or 5.0)) if how["venue"] else None
    schema = intake.instruments.on(intake.schema)
    name = f"{wanted.key}-{_short(keys[0])}"
    for each in (state_folder().parent, state_folder()):
        private_folder(each, lambda words: say(f"gpi capture: {words}", err=True), tighten=True)
    locks = [Lock(state_folder() / "locks" / f"{name}.lock", f"{link.name} with this key")]
    folder = how["journal"] or state_folder() / name
    locks.append(Lock(folder / "lock", f"{folder}, into which"))
    kept = Journal(folder)
    if kept.cut:
        say(f"gpi capture: cut a torn tail of {kept.cut} bytes off the journal", err=True)
    if kept.damaged is not None:
        say(f"gpi capture: {kept.damaged} is damaged inside; it is left as it is", err=True)
    running_one = Capture(
        link,
        intake,
        Outlet(schema, how["buffer"], how["on_full"]),
        kept,
        Watchdog(how["mute"], how["always"], venue=venue),
        rest,
        lambda words: say(f"gpi capture: {words}", err=True),
        wanted.vendor,
        wanted.about(how["levels"]),
        **limits,
    )

    def conclude() -> None:
        running_one.close()
        say(f"gpi capture: {running_one.books()}", err=True)
        for lock in locks:
            lock.free()

    frames = _limited(running_one.frames(running().stopped, running().waiting), how["rows"])
    if how["lake"] is not None:
        about = stamped(schema, "capture", wanted.about(how["levels"]), {"journal": str(folder)})
        frames = _also_into(how["lake"], frames, about, folder)
    ending = _told(frames, conclude)
    atexit.register(
        ending.close
    )  # a reader that left us, a second Ctrl-C: the lake and the journal are closed all the same
    return Tool(Stream(schema, ending), {"journal": str(folder)}, ending.close, in_any_case=True)


def _retold(folder: Path) -> Tool:
    from gpi.tools.feeds.live.retold import Journaled
    from gpi.tools.stage import Stream

    journaled = Journaled(folder)
    intake = journaled.subscription.intake(journaled.about["levels"], journaled.about["live"])
    schema = intake.instruments.on(intake.schema)
    return Tool(Stream(schema, journaled.frames(intake, running().stopped)))


def _where(source: str, wire: str, url: str | None, ready: Path | None) -> tuple[str, str | None]:
    """The vendor whose wire is spoken, and the host."""
    from gpi.formats.errors import UsageError

    _check("--source", source, ("alpaca", "polygon", "venue"))
    if source != "venue":
        return source, url
    _check("--wire", wire, ("alpaca", "polygon"))
    if url is None and ready is not None:
        from gpi.cli.trading.keys import venue_url

        url = venue_url(ready)
    if url is None:
        raise UsageError("--source venue: say where it is, --venue-ready FILE or --url http://127.0.0.1:PORT")
    return wire, url


def _keys(vendor: str, url: str | None, key_file: Path | None) -> tuple["Secret", ...]:
    from gpi.cli.trading.keys import alpaca_keys, polygon_key

    return alpaca_keys(url, key_file) if vendor == "alpaca" else (polygon_key(url, key_file),)


def _short(key: "Secret") -> str:
    """A key's fingerprint: enough to tell two apart, too little to guess one."""
    from hashlib import blake2b

    return blake2b(key.reveal().encode(), digest_size=4, person=b"gpi.capture").hexdigest()


def _symbols(text: str | None) -> tuple[str, ...]:
    """Symbols, tiers, and files of symbols (@FILE: separated by commas or lines)."""
    from gpi.formats.errors import UsageError
    from gpi.formats.market.universe import TIERS, expand

    if text is None:
        raise UsageError("say what to capture: --symbols AAPL,MSFT or @tier1")
    words: list[str] = []
    for word in text.split(","):
        path = Path(word.strip().removeprefix("@"))
        if word.strip().startswith("@") and word.strip().lower() not in TIERS and path.is_file():
            words += path.read_text(encoding="utf-8").replace("\n", ",").split(",")
        else:
            words.append(word)
    return expand(",".join(words))


def _limited(frames: "Iterator[Frame]", rows: int | None) -> "Iterator[Frame]":
    """The first rows, or all."""
    left = rows
    for frame in frames:
        if left is not None and frame.rows >= left:
            yield frame.slice(0, left).copy()
            return
        yield frame
        left = None if left is None else left - frame.rows


def _also_into(lake: Path, frames: "Iterator[Frame]", schema: Any, journal: Path) -> "Iterator[Frame]":
    """The frames, on their way written into a lake, too; its files appear at the end.

    Raises GpiError, naming lake and journal, when the lake does not take them.
    """
    from gpi.formats.errors import GpiError
    from gpi.formats.parquet import LakeWriter

    def failed(error: OSError) -> GpiError:
        again = f"gpi capture --from-journal {journal} --out {lake}/"
        return GpiError(f"the lake {lake} cannot be written ({error.strerror}): make room, then fill it with {again}")

    written = LakeWriter(lake, schema)
    try:
        for frame in frames:
            if frame.rows or frame.notes:
                try:
                    written.write(frame)
                except OSError as error:
                    raise failed(error) from None
            yield frame
    except GeneratorExit:  # whoever reads us has enough: what came until now is kept
        pass
    except BaseException:
        written.discard()
        raise
    try:
        written.close()
    except OSError as error:
        raise failed(error) from None


def _told(frames: "Iterator[Frame]", conclude: Any) -> "Generator[Frame, None, None]":
    try:
        yield from frames
    finally:
        conclude()
