"""Polygon's snapshots: tickers of a market, one ticker, a coin's book, option chains and contracts, any tickers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from aiohttp import web

from gpi.formats.instruments import Instrument
from gpi.formats.market import calendar
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.alpaca.history import open_interest
from gpi.tools.venue.data import series, valuation
from gpi.tools.venue.data.bars import Array
from gpi.tools.venue.data.messages import plain
from gpi.tools.venue.data.names import polygon_ticker
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.polygon.rest import MS, aggregate, quote, trade, whole
from gpi.tools.venue.refusals import answer, failed
from gpi.tools.venue.world import World

PAGE: Final = 10
MOST: Final = 250
LIVE: Final = "REAL-TIME"
TYPES: Final = {"equity": "stocks", "option": "options", "crypto": "crypto", "index": "indices"}
Shown = dict[str, Any]


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """/v2/snapshot and /v3/snapshot."""
    tape = world.tape
    assert isinstance(tape, Tape)
    shots = _Snapshots(world, tape)
    found = []
    for prefix, kind in (("us/markets/stocks", "equity"), ("global/markets/crypto", "crypto")):
        path = f"/v2/snapshot/locale/{prefix}"
        found += [web.get(f"{path}/tickers", shots.market(kind)), web.get(f"{path}/tickers/{{ticker}}", shots.ticker)]
        found += [web.get(f"{path}/{{direction:gainers|losers}}", shots.movers(kind))]
    return [
        *found,
        web.get("/v2/snapshot/locale/global/markets/crypto/tickers/{ticker}/book", shots.book),
        web.get("/v3/snapshot/options/{underlying}", shots.chain),
        web.get("/v3/snapshot/options/{underlying}/{ticker}", shots.contract),
        web.get("/v3/snapshot/indices", shots.universal("index")), web.get("/v3/snapshot", shots.universal(None)),
    ]  # fmt: skip


class _Snapshots:
    """The routes over one tape."""

    def __init__(self, world: World, tape: Tape) -> None:
        self.world, self.tape = world, tape

    def _last(self, each: Instrument) -> tuple[Shown | None, Shown | None]:
        """The last quote and trade, as in /v3."""
        a, b = (self.tape.store.latest(each.id, channel) for channel in (w.QUOTE, w.TRADE))
        return (None if a is None else quote(each, *a)), (None if b is None else trade(each, *b))

    def _days(self, each: Instrument) -> tuple[Array, Array, Array]:
        """Minutes, the day so far and the day before; each may be empty."""
        store = self.tape.store
        minutes, today, days = store.longer(each, 1, "minute"), store.day(each), store.longer(each, 1, "day")
        now = np.empty((0, 8)) if today is None else today.reshape(1, -1)
        if len(now):
            days = days[days[:, 0] < now[0, 0]]
        elif not store.past:
            days = days[:0]
        return minutes, now, days[-1:]

    def _ticker(self, each: Instrument) -> Shown:
        """A share or coin as in /v2/snapshot."""
        minutes, day, before = self._days(each)
        asked, last = self._last(each)
        shown: Shown = {"ticker": polygon_ticker(each)}
        updated = 0
        if asked is not None and each.asset_class == "equity":
            shown["lastQuote"] = {"P": asked["ask_price"], "S": asked["ask_size"], "p": asked["bid_price"],
                                  "s": asked["bid_size"], "t": asked["sip_timestamp"]}  # fmt: skip
        if last is not None:
            updated = last["participant_timestamp"]
            ts = updated // MS if each.asset_class == "crypto" else updated
            shown["lastTrade"] = {"c": last["conditions"], "i": last["id"], "p": last["price"], "s": last["size"],
                                  "t": ts, "x": last["exchange"]}  # fmt: skip
        if asked is not None:
            updated = max(updated, asked["sip_timestamp"])
        for name, bars in (("day", day), ("prevDay", before)):
            if len(bars):
                shown[name] = {k: v for k, v in aggregate(bars[-1]).items() if k not in "tn"}
        if len(minutes):
            volume = {"av": plain(float(day[-1, 5]))} if len(day) and each.asset_class == "equity" else {}
            shown["min"] = {**aggregate(minutes[-1]), **volume}
        close = before[-1, 4] if len(before) else day[-1, 1] if len(day) else np.nan
        change = float(day[-1, 4] - close) if len(day) else 0.0
        shown["todaysChange"] = round(change, 6)
        shown["todaysChangePerc"] = round(100 * change / float(close), 6) if close == close and close else 0
        return {**shown, "updated": updated}

    def _of(self, kind: str, tickers: str) -> list[Instrument]:
        named = self.tape.directory.all(tickers.split(",")) if tickers else list(self.world.instruments)
        return [each for each in named if each.asset_class == kind]

    def market(self, kind: str) -> Callable[[web.Request], Any]:
        """Every ticker of a market, or those named."""

        async def handle(request: web.Request) -> web.Response:
            shown = [self._ticker(each) for each in self._of(kind, request.query.get("tickers", ""))]
            count = {"count": len(shown)} if kind == "equity" else {}
            return answer({**count, "status": "OK", "tickers": shown})

        return handle

    def movers(self, kind: str) -> Callable[[web.Request], Any]:
        """The 20 that rose, or fell, most today."""

        async def handle(request: web.Request) -> web.Response:
            way = -1 if request.match_info["direction"] == "gainers" else 1
            shown = sorted(
                (self._ticker(each) for each in self._of(kind, "")), key=lambda s: way * s["todaysChangePerc"]
            )
            shown = [each for each in shown if way * each["todaysChangePerc"] < 0]
            return answer({"status": "OK", "tickers": shown[:20]})

        return handle

    async def ticker(self, request: web.Request) -> web.Response:
        """One ticker."""
        each = self.tape.directory.find(request.match_info["ticker"])
        if each is None or each.asset_class not in ("equity", "crypto"):
            return failed(404, "Ticker not found.")
        return whole({"ticker": self._ticker(each)})

    async def book(self, request: web.Request) -> web.Response:
        """A coin's book, sizes by exchange."""
        each = self.tape.directory.find(request.match_info["ticker"])
        found = None if each is None else self.tape.store.book(each.id)
        if each is None or found is None:
            return failed(404, "Ticker not found.")
        ints, levels = found
        sides = [
            [(plain(p), plain(s)) for p, s in zip(levels[k], levels[k + 1], strict=True) if p == p] for k in (0, 2)
        ]
        bids, asks = ([{"p": p, "x": {"1": s}} for p, s in side] for side in sides)
        spread = plain(float(levels[2, 0] - levels[0, 0])) if bids and asks else 0
        return answer({"status": "OK", "data": {
            "askCount": sum(s for _, s in sides[1]), "asks": asks,
            "bidCount": sum(s for _, s in sides[0]), "bids": bids,
            "spread": spread, "ticker": polygon_ticker(each), "updated": int(ints[w.I_TS]) // MS,
        }})  # fmt: skip

    def _session(self, each: Instrument, wide: bool) -> Shown:
        """The day in long words: `close` and `last_updated` for contracts, what universal snapshots have otherwise."""
        _, day, before = self._days(each)
        if not len(day):
            return {}
        t, o, h, low, c, v, vw, _n = (float(x) for x in day[-1])
        last = float(before[-1, 4]) if len(before) else o
        more = {"vwap": plain(vw), "last_updated": int(t)} if wide else {}
        return {"change": round(c - last, 6), "change_percent": round(100 * (c - last) / last, 6) if last else 0,
                "close": plain(c), "high": plain(h), "low": plain(low), "open": plain(o), "previous_close": plain(last),
                **({} if each.asset_class == "index" else {"volume": plain(v)}), **more}  # fmt: skip

    def _contract(self, each: Instrument, alone: bool = False) -> Shown:
        """An option as in /v3/snapshot/options; `alone`, its exchanges are named."""
        asked, last = self._last(each)
        call = each.right == "C"
        shown: Shown = {"day": self._session(each, True), "details": {
            "contract_type": "call" if call else "put", "exercise_style": "american",
            "expiration_date": each.expiry.isoformat() if each.expiry else "",
            "shares_per_contract": int(each.multiplier), "strike_price": plain(each.strike),
            "ticker": polygon_ticker(each),
        }, "open_interest": plain(open_interest(self.tape.store, each))}  # fmt: skip
        greeks = valuation.valued(self.tape.store, each, self.world.clock.now())
        if greeks is not None:
            shown["greeks"] = {name: getattr(greeks, name) for name in ("delta", "gamma", "theta", "vega")}
            shown["implied_volatility"] = greeks.volatility
        if asked is not None:
            middle = (asked["ask_price"] + asked["bid_price"]) / 2
            exchanges = {key: asked[key] for key in ("ask_exchange", "bid_exchange")} if alone else {}
            shown["last_quote"] = {**_quoted(asked), **exchanges, "midpoint": middle}
            shown["break_even_price"] = round(each.strike + (middle if call else -middle), 6)
        if last is not None:
            keys = ("conditions", "exchange", "price", "sip_timestamp", "size")
            shown["last_trade"] = {**{key: last[key] for key in keys}, "timeframe": LIVE}
        under = valuation.underlying(self.world.instruments, each)
        if under is not None:
            spot = valuation.middle(self.tape.store, under)
            if spot == spot:
                shown["underlying_asset"] = {
                    "change_to_break_even": round(shown.get("break_even_price", each.strike) - spot, 6),
                    "last_updated": self.world.clock.now(), "price": plain(spot), "ticker": polygon_ticker(under),
                    "timeframe": LIVE,
                }  # fmt: skip
        return shown

    async def chain(self, request: web.Request) -> web.Response:
        """The contracts on an underlying, filtered and paged."""
        query, root = request.query, request.match_info["underlying"].removeprefix("I:")
        contracts = [each for each in self.world.instruments
                     if each.asset_class == "option" and each.underlying in (root, root + "W")
                     and _passes(each, query)]  # fmt: skip
        return self._paged(request, contracts, self._contract)

    def _paged(self, request: web.Request, all_: list[Instrument], show: Callable[[Instrument], Shown]) -> web.Response:
        limit = series.number(request.query.get("limit"), "limit", 1, MOST, PAGE)
        after = series.after(request.query.get("cursor"))
        ordered = sorted(all_, key=polygon_ticker, reverse=series.descending(request.query, "order", "asc"))
        if after is not None:
            names = [polygon_ticker(each) for each in ordered]
            if after[0] not in names:
                raise series.refused("invalid cursor")
            ordered = ordered[names.index(after[0]) + 1 :]
        body: Shown = {"results": [show(each) for each in ordered[:limit]]}
        if len(ordered) > limit:
            token = series.token(polygon_ticker(ordered[limit - 1]), 0, 0)
            body["next_url"] = str(request.url.update_query(cursor=token))
        return whole(body)

    async def contract(self, request: web.Request) -> web.Response:
        """One contract."""
        each = self.tape.directory.find(request.match_info["ticker"])
        if each is None or each.asset_class != "option":
            return failed(404, "Options contract not found.")
        return whole({"results": self._contract(each, alone=True)})

    def _any(self, each: Instrument) -> Shown:
        """One entry of a universal snapshot."""
        shown: Shown = {"market_status": _word(calendar.state(self.world.clock.now(), each.asset_class)),
                        "name": each.symbol, "session": self._session(each, False), "ticker": polygon_ticker(each),
                        "type": TYPES[each.asset_class]}  # fmt: skip
        if each.asset_class == "option":
            contract = self._contract(each, alone=True)
            contract["details"] |= {"underlying_ticker": each.underlying}
            del contract["details"]["ticker"]
            wanted = ("break_even_price", "details", "greeks", "implied_volatility", "last_quote", "last_trade",
                      "open_interest", "underlying_asset")  # fmt: skip
            shown |= {key: contract[key] for key in wanted if key in contract}
        elif each.asset_class == "index":
            shown |= {"value": plain(valuation.middle(self.tape.store, each)), "timeframe": LIVE,
                      "last_updated": self.world.clock.now()}  # fmt: skip
        else:
            asked, last = self._last(each)
            if asked is not None:
                shown["last_quote"] = _quoted(asked)
            if last is not None:
                keys = ("conditions", "exchange", "id", "price", "size")
                shown["last_trade"] = {**{key: last[key] for key in keys}, "timeframe": LIVE}
                shown["last_trade"]["last_updated"] = last["participant_timestamp"]
        return shown

    def universal(self, kind: str | None) -> Callable[[web.Request], Any]:
        """Any tickers (of one class); unknown ones are answered one by one."""

        async def handle(request: web.Request) -> web.Response:
            names = request.query.get("ticker.any_of", "")
            if names:
                shown = []
                for name in names.split(","):
                    each = self.tape.directory.find(name)
                    known = each is not None and kind in (None, each.asset_class)
                    nothing = {"error": "NOT_FOUND", "message": "Ticker not found.", "ticker": name}
                    shown.append(self._any(each) if known and each is not None else nothing)
                return whole({"results": shown})
            return self._paged(request, [e for e in self.world.instruments if kind in (None, e.asset_class)], self._any)

        return handle


def _quoted(asked: Shown) -> Shown:
    return {"ask": asked["ask_price"], "ask_size": asked["ask_size"], "bid": asked["bid_price"],
            "bid_size": asked["bid_size"], "last_updated": asked["sip_timestamp"], "timeframe": LIVE}  # fmt: skip


def _word(state: str) -> str:
    return {"regular": "open", "closed": "closed", "pre": "early_trading", "post": "late_trading"}[state]


def _passes(each: Instrument, query: Any) -> bool:
    """The filters of a chain: strike_price, expiration_date (each with .lt .lte .gt .gte), contract_type."""
    if query.get("contract_type", "")[:1].upper() not in ("", each.right):
        return False
    for word, value in (("strike_price", each.strike), ("expiration_date", each.expiry and each.expiry.isoformat())):
        for suffix in ("", ".lt", ".lte", ".gt", ".gte"):
            text = query.get(word + suffix)
            if not text:
                continue
            bound: Any = text if word != "strike_price" else _strike(text)
            held = {"": value == bound, ".lt": value < bound, ".lte": value <= bound, ".gt": value > bound,
                    ".gte": value >= bound}[suffix]  # fmt: skip
            if not held:
                return False
    return True


def _strike(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise series.refused(f"invalid strike_price: {text[:40]}") from None
