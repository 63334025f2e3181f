"""Alpaca's market-data REST: bars, quotes, trades, latest, snapshots and option chains, out of the store.

Rows have the keys of the stream's messages without T and S. Symbols the venue does not know are left out, as by the
real one; what is no longer kept is refused with 400, not shown as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final

import numpy as np
from aiohttp import web

from gpi.formats.instruments import Instrument
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data import series, valuation
from gpi.tools.venue.data.bars import Array
from gpi.tools.venue.data.messages import ALPACA, plain, rfc3339, told
from gpi.tools.venue.data.names import alpaca
from gpi.tools.venue.data.store import Store
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.refusals import Refusal, answer
from gpi.tools.venue.world import World

TICKS: Final = {"quotes": w.QUOTE, "trades": w.TRADE}
CHAIN_PAGE: Final = 100  # contracts, unless a limit says otherwise
OPTION_EXCHANGES: Final = {"C": "Cboe Options Exchange"}
Handle = Callable[[web.Request], Any]


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Everything under /v2/stocks, /v1beta1/options and /v1beta3/crypto/us."""
    tape = world.tape
    assert isinstance(tape, Tape)
    found = []
    for prefix, kind in (("/v2/stocks", "equity"), ("/v1beta1/options", "option"), ("/v1beta3/crypto/us", "crypto")):
        history = _History(world, tape, kind)
        latest = "/latest/{0}" if kind == "crypto" else "/{0}/latest"
        for what in ("bars", "quotes", "trades"):
            if (kind, what) != ("option", "quotes"):  # Alpaca has no history of them
                found.append(web.get(f"{prefix}/{what}", history.several(what)))
            found.append(web.get(prefix + latest.format(what), history.latest(what)))
            if kind == "equity":
                found.append(web.get(f"{prefix}/{{symbol}}/{what}", history.several(what)))
                found.append(web.get(f"{prefix}/{{symbol}}/{what}/latest", history.latest(what)))
        found.append(web.get(f"{prefix}/snapshots", history.snapshots))
        if kind == "equity":
            found.append(web.get(f"{prefix}/{{symbol}}/snapshot", history.snapshots))
        elif kind == "option":
            found.append(web.get(f"{prefix}/snapshots/{{underlying}}", history.chain))
            found.append(web.get(f"{prefix}/meta/exchanges", _constant(OPTION_EXCHANGES)))
        else:
            found.append(web.get(f"{prefix}/latest/orderbooks", history.books))
    return found


def _constant(body: Any) -> Handle:
    async def handle(_: web.Request) -> web.Response:
        return answer(body)

    return handle


def row(instrument: Instrument, ints: Array, nums: Array) -> dict[str, Any]:
    """A quote or trade as REST shows it."""
    shown = told(ALPACA[instrument.asset_class, int(ints[w.I_CHANNEL])], "", ints, nums)
    return {key: value for key, value in shown.items() if key not in ("T", "S")}


def bar(kept: Array) -> dict[str, Any]:
    """A kept bar as REST shows it."""
    t, o, h, low, c, v, vw, n = (float(x) for x in kept)
    return {"t": rfc3339(int(t)), "o": plain(o), "h": plain(h), "l": plain(low), "c": plain(c), "v": plain(v),
            "n": int(n), "vw": plain(vw)}  # fmt: skip


def days_of(store: Store, each: Instrument) -> tuple[Array | None, Array]:
    """The bar of the day so far, if there is one, and those of the days before."""
    day, days = store.day(each), store.longer(each, 1, "day")
    return day, days[days[:, 0] < day[0]] if day is not None and len(days) else days


def closes(tape: Tape, each: Instrument) -> tuple[float, float] | None:
    """The price now, and that of the day before (else the day's first); None before the first trade."""
    day, before = days_of(tape.store, each)
    if day is None:
        return None
    return float(day[4]), float(before[-1][4]) if len(before) else float(day[1])


def open_interest(store: Store, option: Instrument) -> float:
    """No feed here tells open interest: every contract that has been traded on the tape is taken to be open."""
    day, before = days_of(store, option)
    return float(sum(bar[5] for bar in before) + (0.0 if day is None else day[5]))


class _History:
    """The routes of one class of instruments."""

    def __init__(self, world: World, tape: Tape, kind: str) -> None:
        self.world, self.tape, self.kind = world, tape, kind

    @property
    def store(self) -> Store:
        return self.tape.store

    def asked(self, request: web.Request) -> list[Instrument]:
        """The instruments a request names, those we have. Raises Refusal when it names none."""
        names = request.match_info.get("symbol") or request.query.get("symbols", "")
        if not names:
            raise series.refused("symbols is required")
        found = self.tape.directory.all(dict.fromkeys(names.split(",")))
        return [each for each in found if each.asset_class == self.kind]

    def several(self, what: str) -> Handle:
        """A page of bars, quotes or trades."""

        async def handle(request: web.Request) -> web.Response:
            instruments = self.asked(request)
            asked = series.span(request.query, self.world.clock.now(), self.kind == "crypto")
            amount, unit = series.timeframe(request.query.get("timeframe", "1Min"))
            past = {}
            if what != "bars":
                past = await series.past_ticks(self.store, instruments, alpaca, TICKS[what], asked)

            def rows(each: Instrument, span: series.Span) -> tuple[Array, Array, Callable[[int], dict[str, Any]]]:
                if what == "bars":
                    bars = series.bar_rows(self.store, each, span, amount, unit)
                    return bars[:, 0].astype(np.int64), np.zeros(len(bars), np.int64), lambda k: bar(bars[k])
                ints, nums = series.ticks_between(self.store, each, TICKS[what], span, past.get(each.id))
                return ints[:, w.I_TS], ints[:, w.I_Q], lambda k: row(each, ints[k], nums[k])

            found, token = series.pages(instruments, alpaca, asked, rows)
            symbol = request.match_info.get("symbol")
            if symbol is None:
                return answer({what: found, "next_page_token": token})
            return answer({what: found.get(symbol), "symbol": symbol, "next_page_token": token})

        return handle

    def _latest(self, each: Instrument, what: str) -> dict[str, Any] | None:
        if what == "bars":
            minutes = self.store.longer(each, 1, "minute")
            return bar(minutes[-1]) if len(minutes) else None
        found = self.store.latest(each.id, TICKS[what])
        return None if found is None else row(each, *found)

    def latest(self, what: str) -> Handle:
        """The latest bar, quote or trade of each."""

        async def handle(request: web.Request) -> web.Response:
            pairs = [(alpaca(each), self._latest(each, what)) for each in self.asked(request)]
            found = {name: shown for name, shown in pairs if shown is not None}
            symbol = request.match_info.get("symbol")
            if symbol is None:
                return answer({what: found})
            if symbol not in found:
                raise Refusal(404, 40410000, f"no {what[:-1]} found for {symbol}")
            return answer({"symbol": symbol, what[:-1]: found[symbol]})

        return handle

    def _snapshot(self, each: Instrument) -> dict[str, Any]:
        day, before = days_of(self.store, each)
        parts = {
            "latestTrade": self._latest(each, "trades"), "latestQuote": self._latest(each, "quotes"),
            "minuteBar": self._latest(each, "bars"), "dailyBar": None if day is None else bar(day),
            "prevDailyBar": bar(before[-1]) if len(before) else None,
        }  # fmt: skip
        return {name: part for name, part in parts.items() if part is not None}

    def _valued(self, each: Instrument) -> dict[str, Any]:
        shown = {"latestTrade": self._latest(each, "trades"), "latestQuote": self._latest(each, "quotes")}
        greeks = valuation.valued(self.store, each, self.world.clock.now())
        if greeks is not None:
            shown["impliedVolatility"] = greeks.volatility  # type: ignore[assignment]
            shown["greeks"] = {name: getattr(greeks, name) for name in ("delta", "gamma", "rho", "theta", "vega")}
        return {name: part for name, part in shown.items() if part is not None}

    async def snapshots(self, request: web.Request) -> web.Response:
        """Everything latest of each: for shares without an envelope."""
        shown = self._valued if self.kind == "option" else self._snapshot
        pairs = [(alpaca(each), shown(each)) for each in self.asked(request)]
        found = {name: parts for name, parts in pairs if parts}
        symbol = request.match_info.get("symbol")
        if symbol is not None:
            return answer({"symbol": symbol, **found.get(symbol, {})})
        if self.kind == "option":
            return answer({"snapshots": found, "next_page_token": None})
        return answer({"snapshots": found} if self.kind == "crypto" else found)

    async def chain(self, request: web.Request) -> web.Response:
        """The options on an underlying, filtered and paged."""
        query, root = request.query, request.match_info["underlying"].upper()
        contracts = [each for each in self.world.instruments if _listed(each, root, query)]
        asked = series.span({"limit": query.get("limit", str(CHAIN_PAGE)), "page_token": query.get("page_token", "")},
                            self.world.clock.now(), False)  # fmt: skip
        found: dict[str, Any] = {}
        token = None
        for each in sorted(contracts, key=alpaca):
            name = alpaca(each)
            if asked.after is not None and name <= asked.after[0]:
                continue
            if len(found) == asked.limit:
                token = series.token(next(reversed(found)), 0, 0)
                break
            found[name] = self._valued(each)
        return answer({"snapshots": found, "next_page_token": token})

    async def books(self, request: web.Request) -> web.Response:
        """The books of coins as they stand."""
        found = {}
        for each in self.asked(request):
            book = self.store.book(each.id)
            if book is not None:
                shown = told(ALPACA["crypto", w.BOOK], "", book[0], book[1][0], book[1])
                found[alpaca(each)] = {key: shown[key] for key in ("t", "b", "a")}
        return answer({"orderbooks": found})


def _listed(each: Instrument, root: str, query: Any) -> bool:
    """Whether a contract is on this underlying and within the filters of a chain. Raises Refusal for a bad filter."""
    if each.asset_class != "option" or each.expiry is None or each.underlying not in (root, root + "W"):
        return False
    try:
        if query.get("type") and query["type"][0].upper() != each.right:
            return False
        if query.get("root_symbol", each.underlying) != each.underlying:
            return False
        at, low, high = (query.get(f"expiration_date{end}") for end in ("", "_gte", "_lte"))
        if (at and date.fromisoformat(at) != each.expiry) or (low and date.fromisoformat(low) > each.expiry):
            return False
        if high and date.fromisoformat(high) < each.expiry:
            return False
        least, most = float(query.get("strike_price_gte", 0)), float(query.get("strike_price_lte", "inf"))
    except ValueError as wrong:
        raise series.refused(f"invalid filter: {wrong}") from None
    return least <= each.strike <= most
