"""Polygon's (Massive's) REST out of the store: quotes, trades, aggregates, the last of each.

A gap in `q` is refilled here: /v3/quotes and /v3/trades give sequence_number, the very number of the stream, for
timestamps in nanoseconds. Pages go on at next_url. Errors are {"status": "ERROR", "error": ...}.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC
from itertools import pairwise
from typing import Any, Final

import numpy as np
from aiohttp import web

from gpi.formats.instruments import Instrument
from gpi.formats.market import calendar
from gpi.formats.words import HIDDEN, OFF_EXCHANGE
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data import series
from gpi.tools.venue.data.bars import NEW_YORK, Array
from gpi.tools.venue.data.messages import plain
from gpi.tools.venue.data.names import polygon_ticker
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.refusals import Refusal, answer, failed
from gpi.tools.venue.world import World

EXCHANGE: Final = {"equity": 15, "option": 313, "crypto": 1, "index": 0}
OFF: Final = 4  # FINRA's TRFs
PAGE: Final = 1_000
MULTIPLIED: Final = {"month": 1_000, "quarter": 1_000, "year": 1_000}  # the longest bars
TRF: Final = 201
MS: Final = 1_000_000


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Everything but snapshots and market status."""
    tape = world.tape
    assert isinstance(tape, Tape)
    rest = _Rest(world, tape)
    return [
        web.get("/v3/quotes/{ticker}", rest.ticks(w.QUOTE)), web.get("/v3/trades/{ticker}", rest.ticks(w.TRADE)),
        web.get("/v2/last/nbbo/{ticker}", rest.last_quote), web.get("/v2/last/trade/{ticker}", rest.last_trade),
        web.get("/v1/last/crypto/{one}/{other}", rest.last_coin),
        web.get("/v2/aggs/ticker/{ticker}/prev", rest.previous),
        web.get("/v2/aggs/ticker/{ticker}/range/{amount}/{unit}/{first}/{last}", rest.aggregates),
        web.get("/v2/aggs/grouped/locale/{locale}/market/{market}/{day}", rest.grouped),
        web.get("/v1/open-close/{ticker}/{day}", rest.open_close),
    ]  # fmt: skip


def whole(body: dict[str, Any]) -> web.Response:
    """An answer with its status and request id."""
    return answer({"status": "OK", "request_id": uuid.uuid4().hex, **body})


def trade(each: Instrument, ints: Array, nums: Array) -> dict[str, Any]:
    """A trade of /v3/trades."""
    ts, number = int(ints[w.I_TS]), int(ints[w.I_Q])
    off = bool(ints[w.I_FLAGS] & OFF_EXCHANGE)
    shown = {
        "conditions": conditions(each, ints), "exchange": OFF if off else EXCHANGE[each.asset_class],
        "participant_timestamp": ts, "price": plain(float(nums[w.N_PX])),
        "size": plain(float(nums[w.N_SZ])),
    }  # fmt: skip
    if each.asset_class != "option":
        shown["id"] = str(number)
    if each.asset_class == "crypto":
        return shown
    shown |= {"sequence_number": number, "sip_timestamp": ts}
    if each.asset_class == "equity":
        shown |= {"tape": 3} | ({"trf_id": TRF, "trf_timestamp": ts} if off else {})
    return shown


def conditions(each: Instrument, ints: Array) -> list[int]:
    """The conditions of a trade, as on the socket."""
    if each.asset_class == "crypto":
        return [1 if ints[w.I_SIDE] < 0 else 2]
    return [209] if each.asset_class == "option" else [0, 21] if ints[w.I_FLAGS] & HIDDEN else [0]


def quote(each: Instrument, ints: Array, nums: Array) -> dict[str, Any]:
    """A quote of /v3/quotes."""
    ts, where = int(ints[w.I_TS]), EXCHANGE[each.asset_class]
    bid, bid_sz, ask, ask_sz = (plain(float(x)) for x in nums[:4])
    shown = {"ask_exchange": where, "ask_price": ask, "ask_size": ask_sz, "bid_exchange": where, "bid_price": bid,
             "bid_size": bid_sz, "sequence_number": int(ints[w.I_Q]), "sip_timestamp": ts}  # fmt: skip
    if each.asset_class == "equity":
        shown |= {"participant_timestamp": ts, "tape": 3, "conditions": [1]}  # type: ignore[dict-item]
    return shown


def aggregate(bar: Array) -> dict[str, Any]:
    """A bar as an aggregate."""
    t, o, h, low, c, v, vw, n = (float(x) for x in bar)
    return {"v": plain(v), "vw": plain(vw), "o": plain(o), "c": plain(c), "h": plain(h), "l": plain(low),
            "t": int(t) // MS, "n": int(n)}  # fmt: skip


class _Rest:
    """The routes over one tape."""

    def __init__(self, world: World, tape: Tape) -> None:
        self.world, self.tape = world, tape

    def _found(self, request: web.Request) -> Instrument | None:
        return self.tape.directory.find(request.match_info["ticker"])

    def ticks(self, channel: int) -> Callable[[web.Request], Any]:
        """A page of quotes or trades: timestamp[.gt .gte .lt .lte], order, limit, cursor."""

        async def handle(request: web.Request) -> web.Response:
            each = self._found(request)
            try:
                asked = spanned(request, PAGE, 50_000)
            except Refusal as wrong:
                return failed(400, str(wrong))
            if each is None:
                return whole({"results": []})
            try:
                store = self.tape.store
                past = await series.past_ticks(store, [each], polygon_ticker, channel, asked)
                ints, nums = series.ticks_between(store, each, channel, asked, past.get(each.id))
            except Refusal as wrong:
                return failed(400, str(wrong))
            shown = quote if channel == w.QUOTE else trade

            def rows(_: Instrument, __: series.Span) -> tuple[Array, Array, Callable[[int], dict[str, Any]]]:
                return ints[:, w.I_TS], ints[:, w.I_Q], lambda k: shown(each, ints[k], nums[k])

            found, token = series.pages([each], polygon_ticker, asked, rows)
            body: dict[str, Any] = {"results": found.get(polygon_ticker(each), [])}
            if token is not None:
                words = {k: v for k, v in request.query.items() if k not in ("cursor", "apiKey")} | {"cursor": token}
                body["next_url"] = str(request.url.with_query(words))
            return whole(body)

        return handle

    async def last_trade(self, request: web.Request) -> web.Response:
        """The last trade of a share or option."""
        each = self._found(request)
        last = None if each is None else self.tape.store.latest(each.id, w.TRADE)
        if each is None or last is None:
            return failed(404, "Data not found.")
        shown = trade(each, *last)
        ts = shown["participant_timestamp"]
        stock = {"z": 3} if each.asset_class == "equity" else {}
        return whole({"results": {
            "T": polygon_ticker(each), "c": shown["conditions"], "f": ts, "i": shown.get("id", ""), "p": shown["price"],
            "q": int(last[0][w.I_Q]), "r": TRF, "s": shown["size"], "t": ts, "x": shown["exchange"], "y": ts, **stock,
        }})  # fmt: skip

    async def last_quote(self, request: web.Request) -> web.Response:
        """The last quote."""
        each = self._found(request)
        last = None if each is None else self.tape.store.latest(each.id, w.QUOTE)
        if each is None or last is None:
            return failed(404, "Data not found.")
        shown = quote(each, *last)
        ts = shown["sip_timestamp"]
        return whole({"results": {
            "P": shown["ask_price"], "S": shown["ask_size"], "T": polygon_ticker(each), "X": shown["ask_exchange"],
            "p": shown["bid_price"], "q": shown["sequence_number"], "s": shown["bid_size"], "t": ts,
            "x": shown["bid_exchange"], "y": ts, "z": 3,
        }})  # fmt: skip

    async def last_coin(self, request: web.Request) -> web.Response:
        """The last trade of a pair."""
        one, other = request.match_info["one"], request.match_info["other"]
        each = self.tape.directory.find(one + other)
        last = None if each is None else self.tape.store.latest(each.id, w.TRADE)
        if each is None or last is None:
            return failed(404, "Data not found.")
        shown = trade(each, *last)
        told = {"conditions": shown["conditions"], "exchange": shown["exchange"], "price": shown["price"],
                "size": shown["size"], "timestamp": shown["participant_timestamp"] // MS}  # fmt: skip
        return answer({"last": told, "request_id": uuid.uuid4().hex, "status": "success", "symbol": f"{one}-{other}"})

    async def aggregates(self, request: web.Request) -> web.Response:
        """Bars of any length between two days or times."""
        info, each = request.match_info, self._found(request)
        try:
            zone = UTC if info["ticker"].startswith("X:") else NEW_YORK
            first, last = series.instant(info["first"], zone), series.last_instant(info["last"], zone)
            limit = series.number(request.query.get("limit"), "limit", 1, 50_000, 5_000)
            amount = series.number(info["amount"], "multiplier", 1, MULTIPLIED.get(info["unit"], 100_000), 1)
            after, desc = series.after(request.query.get("cursor")), series.descending(request.query, "sort", "asc")
            if info["unit"] not in ("minute", "hour", "day", "week", "month", "quarter", "year"):
                raise series.refused(f"'{info['unit']}' is not a valid timespan here: nothing below a minute is kept")
        except Refusal as wrong:
            return failed(400, str(wrong))
        bars = np.empty((0, 8))
        if each is not None:
            bars = self.tape.store.longer(each, amount, info["unit"])
            begun = bars[:, 0].astype(np.int64)  # floats would take the last nanosecond of a day for the next
            bars = bars[(begun >= first) & (begun <= last)]
        if after is not None:
            bars = bars[bars[:, 0] < after[1]] if desc else bars[bars[:, 0] > after[1]]
        bars = bars[::-1] if desc else bars
        shown = [aggregate(bar) for bar in bars[:limit]]
        body: dict[str, Any] = {"ticker": info["ticker"], "queryCount": len(bars), "resultsCount": len(shown),
                                "adjusted": True, "results": shown, "count": len(shown)}  # fmt: skip
        if not shown:
            del body["results"], body["count"]
        elif len(bars) > limit:
            token = series.token(info["ticker"], int(bars[limit - 1, 0]), 0)
            body["next_url"] = str(request.url.update_query(cursor=token))
        return whole(body)

    def _of_day(self, each: Instrument, start: int) -> Array:
        """The minutes of a day; where the past tells nothing shorter, its one bar."""
        for bars in (self.tape.store.longer(each, 1, "minute"), self._days(each)):
            found = bars[(bars[:, 0] >= start) & (bars[:, 0] < start + 86400 * 10**9)] if len(bars) else bars
            if len(found):
                return found
        return np.empty((0, 8))

    def _days(self, each: Instrument) -> Array:
        return self.tape.store.longer(each, 1, "day")

    async def previous(self, request: web.Request) -> web.Response:
        """The last day that is over."""
        each = self._found(request)
        days = np.empty((0, 8)) if each is None else self._days(each)
        days = days[days[:, 0] < series.days_ago(self.world.clock.now(), 0)] if len(days) else days
        ticker = request.match_info["ticker"]
        shown = [{"T": ticker, **aggregate(days[-1])}] if len(days) else []
        return whole({"ticker": ticker, "queryCount": len(shown), "resultsCount": len(shown), "adjusted": True,
                      "results": shown, "count": len(shown)})  # fmt: skip

    async def grouped(self, request: web.Request) -> web.Response:
        """One day of a whole market."""
        kind = {"stocks": "equity", "crypto": "crypto"}.get(request.match_info["market"], "")
        start = series.instant(request.match_info["day"], UTC if kind == "crypto" else NEW_YORK)
        found = []
        for each in self.world.instruments:
            if each.asset_class == kind:
                days = self._days(each)
                found += [{"T": polygon_ticker(each), **aggregate(day)} for day in days if int(day[0]) == start]
        count = len(found)
        return whole({"queryCount": count, "resultsCount": count, "count": count, "adjusted": True, "results": found})

    async def open_close(self, request: web.Request) -> web.Response:
        """Open, high, low and close of a day, with what was traded before and after the session."""
        each, text = self._found(request), request.match_info["day"]
        start = series.instant(text, NEW_YORK)
        minutes = np.empty((0, 8)) if each is None else self._of_day(each, start)
        session = calendar.session(calendar.day_of(start + 43200 * 10**9))
        if each is None or session is None or not len(minutes):
            return failed(404, "Data not found.")
        at = minutes[:, 0]
        cuts = (session.early_open, session.open, session.close, session.late_close)
        early, main, late = (minutes[(at >= a) & (at < b)] for a, b in pairwise(cuts))
        main = main if len(main) else minutes
        body = {"from": text, "symbol": polygon_ticker(each), "open": plain(float(main[0, 1])),
                "high": plain(float(main[:, 2].max())), "low": plain(float(main[:, 3].min())),
                "close": plain(float(main[-1, 4])), "volume": plain(float(minutes[:, 5].sum())), "status": "OK",
                "preMarket": plain(float(early[0, 1])) if len(early) else None,
                "afterHours": plain(float(late[-1, 4])) if len(late) else None}  # fmt: skip
        return answer({key: value for key, value in body.items() if value is not None})


def spanned(request: web.Request, usual: int, most: int) -> series.Span:
    """What a query asks for: timestamp[.gt .gte .lt .lte], order, limit, cursor; a bare day is the whole of it,
    whichever side it bounds. Raises Refusal."""
    query = request.query
    zone = UTC if request.match_info.get("ticker", "").upper().startswith("X:") else NEW_YORK
    start, end = -series.FOREVER, series.FOREVER
    if query.get("timestamp"):
        start, end = (read(query["timestamp"], zone) for read in (series.instant, series.last_instant))
    for word, way, shift in (("gt", 0, 1), ("gte", 0, 0), ("lt", 1, -1), ("lte", 1, 0)):
        text = query.get(f"timestamp.{word}")
        if text:
            bound = (series.last_instant if word in ("gt", "lte") else series.instant)(text, zone) + shift
            start, end = (max(start, bound), end) if way == 0 else (start, min(end, bound))
    limit = series.number(query.get("limit"), "limit", 1, most, usual)
    return series.Span(start, end, limit, series.descending(query, "order", "desc"), series.after(query.get("cursor")))
