"""Market-wide breakers and LULD pauses: in engine and venue alike, told on the venue's sockets where they happen."""

from datetime import date
from typing import Any

import pytest

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instruments, crypto, equity, option
from gpi.formats.market.calendar import session as trading_day
from gpi.formats.ticks import TICKS
from gpi.formats.words import ACTIONS, GTC, HALTED, PAUSED, REASONS
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Rules, Setup, unlimited
from gpi.tools.backtest.traded import Traded, joined
from gpi.tools.stage import load, save
from gpi.tools.venue.exchange import Exchange
from tests.laws import same
from tests.test_venue_data import Venue, run, world_of
from tests.trading import INSTANT, frame, scripted

MINUTE = 60 * 10**9
TABLE = Instruments([equity("SPY"), equity("AAPL"), option("AAPL300118C00100000"), crypto("BTC/USD")])


def opening(day: date) -> Any:
    """A session's times."""
    found = trading_day(day)
    assert found is not None
    return found


MONDAY, TUESDAY = opening(date(2024, 6, 10)), opening(date(2024, 6, 11))


def story(*falls: tuple[int, int]) -> list[dict[str, Any]]:
    """SPY trades at (ns, cents); all are quoted a second before, and every five minutes from there for an hour."""
    ticks: list[dict[str, Any]] = []
    quotes = {0: (9_000, 9_002), 1: (10_000, 10_002), 2: (500, 510), 3: (6_000, 6_010)}
    times = sorted({ts + n * 5 * MINUTE for ts, _ in falls for n in range(13)} | {ts - 10**9 for ts, _ in falls})
    for ts in times:
        ticks += [{"ts": ts + i, "i": i, "bid": (bid, 99), "ask": (ask, 99)} for i, (bid, ask) in quotes.items()]
    ticks += [{"ts": ts, "i": 0, "trade": (-1, px, 10, False)} for ts, px in falls]
    return sorted(ticks, key=lambda tick: tick["ts"])


def session(script: Any, rules: Rules) -> Session:
    """A session over the four of them."""
    terms: dict[str, Any] = {"latency": INSTANT, "limits": unlimited(), "rules": rules}
    return Session(TABLE.on(TICKS), Setup(scripted(script)[0], **terms))


BREAKER = Rules(breaker=("SPY", 100.0))


def phases(ticks: list[dict[str, Any]], made: Exchange) -> list[tuple[int, int, str]]:
    """(row, flags, symbols) of every pause that the exchange tells."""
    made.tick(frame(ticks))
    return [(p.row, p.flags, "".join(TABLE[i].symbol[0] for i in p.instrument_ids)) for p in made.pauses()]


def exchange(**words: Any) -> Exchange:
    """A venue's, conservative, with a breaker on SPY at 100 unless told."""
    return Exchange(TABLE, fill="conservative", **{"breaker": ("SPY", 100.0), **words})


def test_seven_percent_stops_the_market_for_fifteen_minutes() -> None:
    """At 93.00, not at 93.01; shares and options, not coins; after fifteen minutes a fresh quote opens each again."""
    start = MONDAY.open + 30 * MINUTE
    assert phases(story((start, 9301)), exchange()) == []
    ticks = story((start, 9300))
    told = phases(ticks, exchange())
    assert told[0] == (next(n for n, t in enumerate(ticks) if "trade" in t) + 1, HALTED, "SAA")
    resumed = [row for row, tick in enumerate(ticks) if tick["ts"] >= start + 15 * MINUTE and tick["i"] < 3][:3]
    assert told[1:] == [(row + 1, 0, symbol) for row, symbol in zip(resumed, "SAA", strict=True)]


def test_thirteen_percent_stops_it_again_and_twenty_for_the_day() -> None:
    """7 % only once; 13 % once; 20 % until the evening; the next day is measured from the last trade of this one."""
    start = MONDAY.open + 30 * MINUTE
    falls = [(start, 9300), (start + 20 * MINUTE, 9200), (start + 30 * MINUTE, 8700), (start + 50 * MINUTE, 8000)]
    halts = [row for row, flags, _ in phases(story(*falls), exchange()) if flags == HALTED]
    assert len(halts) == 3
    made = exchange()
    phases(story(*falls), made)
    made.tick(frame(story((MONDAY.close - MINUTE, 8000))))
    assert made.quote(1).phase == 2
    next_day = story((TUESDAY.open + 5 * MINUTE, 7441), (TUESDAY.open + 50 * MINUTE, 7440))  # 93 % of 80.00 is 74.40
    told = phases(next_day, made)
    assert [flags for _, flags, _ in told] == [0, 0, 0, HALTED, 0, 0, 0]


def test_late_falls_stop_nothing_but_the_third() -> None:
    """From 15:25 on only 20 %; outside the regular session nothing."""
    late = MONDAY.close - 35 * MINUTE
    assert [flags for _, flags, _ in phases(story((late - MINUTE, 9300)), exchange())][:1] == [HALTED]
    assert phases(story((late, 9300)), exchange()) == []
    assert [flags for _, flags, _ in phases(story((late, 7900)), exchange())] == [HALTED]
    assert phases(story((MONDAY.open - 30 * MINUTE, 9300)), exchange())[:1] == []


def test_the_engine_stops_where_the_venue_does() -> None:
    """Orders while the market stands are refused, what rests fills nothing; afterwards both go on; in every cut."""
    start = MONDAY.open + 30 * MINUTE
    ticks = story((start, 9300))
    fall = next(n for n, tick in enumerate(ticks) if "trade" in tick)
    ask = [(1, 5.0, 10_002, GTC)]
    script = {1: [(1, 5.0, 9_999, GTC)], fall + 3: [lambda v: v.buy(1.0, 90.02)], fall + 2: ask, fall + 17: ask}

    def whole(cut: int) -> Traded:
        trader, rows = session(script, BREAKER), frame(ticks)
        parts = [trader.step(rows.slice(0, cut))]
        trader.state = load(save(trader.state))
        trader._bind()
        return joined([*parts, trader.step(rows.slice(cut, rows.rows)), trader.finish()])

    got = whole(0)
    said = [(ACTIONS[a], REASONS[r]) for a, r in zip(got.orders["action"], got.orders["reason"], strict=True)]
    assert said.count(("refuse", "MARKET_STATE")) == 1
    assert got.fills["instrument_id"].tolist() == [3, 1]  # the coin at once, the share when the market is open again
    assert got.fills["ts_event"][0] < start + MINUTE and got.fills["ts_event"][1] >= start + 15 * MINUTE
    for cut in (fall, fall + 1, fall + 2, fall + 9):
        for a, b in zip(whole(cut), got, strict=True):
            same(a, b, f"cut at {cut}")


def test_a_breaker_names_a_symbol_of_the_stream_and_a_price() -> None:
    """A typing error never switches it off."""
    with pytest.raises(UsageError, match="--breaker QQQ"):
        session({}, Rules(breaker=("QQQ", 100.0)))
    with pytest.raises(UsageError, match=r"SPY:585\.20"):
        Rules(breaker=("SPY", float("nan")))


def test_pauses_are_told_on_the_sockets_where_they_happen() -> None:
    """A LULD pause in both vendors' words between the quotes around it, a halt of the market for each symbol."""
    world = world_of(TABLE)
    world.exchange = exchange(bands=1)
    start = MONDAY.open + 30 * MINUTE
    calm = [{"ts": start + n, "i": n, "bid": (9_999, 9), "ask": (10_001, 9)} for n in (0, 1)]
    calm += [{"ts": start + 5, "i": 1, "trade": (1, 10_000, 5, False)}]
    limit = [{"ts": start + (n + 1) * 10 * 10**9, "i": 1, "bid": (9_000, 9), "ask": (9_100, 9)} for n in range(4)]
    after = [{"ts": start + 9 * MINUTE, "i": 1, "bid": (9_999, 9), "ask": (10_001, 9)}]
    fall = [{"ts": start + 10 * MINUTE, "i": 0, "trade": (-1, 9_300, 5, False)}]

    async def told(venue: Venue) -> None:
        alpaca = await venue.alpaca(quotes=["AAPL"], statuses=["*"], lulds=["*"])
        polygon = await venue.polygon("/stocks", "LULD.*")
        await world.play(frame([*calm, *limit, *after, *fall]))
        heard: list[Any] = []
        while len(heard) < 11:
            heard += await alpaca.hear()
        assert [m["T"] + m.get("sc", "") for m in heard] == ["q", "q", "q", "q", "sP", "l", "q", "q", "sT", "sH", "sH"]
        assert {m["S"] for m in heard if m["T"] != "q"} == {"AAPL", "SPY"} and heard[4]["S"] == "AAPL"
        assert (heard[5]["u"], heard[5]["d"]) == (105, 95)
        (band,) = await polygon.hear()
        assert (band["ev"], band["T"], band["h"], band["l"]) == ("LULD", "AAPL", 105, 95)

    run(told, world)
    assert PAUSED and world.counters["pauses"] == 4 and world.counters["resumptions"] == 1
