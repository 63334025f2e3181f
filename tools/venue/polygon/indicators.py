"""Technical indicators of Polygon's REST, worked out from the venue's own bars: SMA, EMA, RSI, MACD.

Parameters, defaults and answers as documented for /v1/indicators. Every value is made of the bars up to its own, the
last one as far as its minutes have closed. An exponential average begins with the mean of its first window, as in
TA-Lib; the RSI smooths as Wilder did; a window that is not full has no value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from aiohttp import web

from gpi.tools.venue.data import series
from gpi.tools.venue.data.bars import Array
from gpi.tools.venue.data.messages import plain
from gpi.tools.venue.data.tape import Tape
from gpi.tools.venue.polygon.rest import MS, aggregate, spanned, whole
from gpi.tools.venue.refusals import Refusal, failed
from gpi.tools.venue.world import World

SPANS: Final = ("minute", "hour", "day", "week", "month", "quarter", "year")
SERIES: Final = {"open": 1, "high": 2, "low": 3, "close": 4}
WINDOW: Final = {"sma": 50, "ema": 50, "rsi": 14}
MOST: Final = 5_000  # values of a page
LONGEST: Final = 10_000  # bars of a window
Values = dict[str, Array]


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """/v1/indicators/{sma|ema|rsi|macd}/{ticker}."""
    tape = world.tape
    assert isinstance(tape, Tape)

    async def handle(request: web.Request) -> web.Response:
        try:
            return _answered(tape, request)
        except Refusal as wrong:
            return failed(400, str(wrong))

    return [web.get("/v1/indicators/{kind:sma|ema|rsi|macd}/{ticker}", handle)]


def _answered(tape: Tape, request: web.Request) -> web.Response:
    query, kind = request.query, request.match_info["kind"]
    unit, of = query.get("timespan") or "day", query.get("series_type") or "close"
    if unit not in SPANS or of not in SERIES:
        raise series.refused("invalid timespan or series_type")
    asked = spanned(request, 10, MOST)
    each = tape.directory.find(request.match_info["ticker"])
    bars = np.empty((0, 8)) if each is None else tape.store.longer(each, 1, unit)
    values, window = worked_out(kind, bars[:, SERIES[of]], query)
    known = np.flatnonzero(np.isfinite(values["value"]))
    at = bars[known, 0].astype(np.int64)
    inside = (at >= asked.start) & (at <= asked.end)
    if asked.after is not None:
        inside &= at < asked.after[1] if asked.desc else at > asked.after[1]
    rows = known[inside][:: -1 if asked.desc else 1]
    page = rows[: asked.limit]
    used = bars[max(0, int(page.min()) - window + 1) : int(page.max()) + 1] if len(page) else bars[:0]
    ends = [int(used[k, 0]) // MS for k in (0, -1)] if len(used) else [0, 0]
    url = request.url.with_query(limit=max(1, len(used)), sort="desc").with_path(
        f"/v2/aggs/ticker/{request.match_info['ticker']}/range/1/{unit}/{ends[0]}/{ends[1]}", keep_query=True
    )
    under: dict[str, Any] = {"url": str(url)}
    if query.get("expand_underlying", "").lower() == "true":
        under["aggregates"] = [aggregate(bar) for bar in used[::-1]]
    shown = [{"timestamp": int(bars[k, 0]) // MS, **{name: plain(float(v[k])) for name, v in values.items()}}
             for k in page]  # fmt: skip
    body: dict[str, Any] = {"results": {"underlying": under, "values": shown}}
    if len(rows) > len(page):
        token = series.token(request.match_info["ticker"], int(bars[page[-1], 0]), 0)
        words = {k: v for k, v in query.items() if k not in ("cursor", "apiKey")} | {"cursor": token}
        body["next_url"] = str(request.url.with_query(words))
    return whole(body)


def worked_out(kind: str, prices: Array, query: Mapping[str, str]) -> tuple[Values, int]:
    """An indicator at every bar (NaN while it has none), and of how many bars a value is made. Raises Refusal."""
    if kind == "macd":
        short, long, signal = (
            series.number(query.get(f"{name}_window"), f"{name}_window", 1, LONGEST, usual)
            for name, usual in (("short", 12), ("long", 26), ("signal", 9))
        )
        line = ema(prices, short) - ema(prices, long)
        smooth = ema(line, signal)
        known = np.isfinite(smooth)
        line = np.where(known, line, np.nan)
        return {"value": line, "signal": smooth, "histogram": line - smooth}, max(short, long) + signal - 1
    window = series.number(query.get("window"), "window", 1, LONGEST, WINDOW[kind])
    made = {"sma": sma, "ema": ema, "rsi": rsi}[kind](prices, window)
    return {"value": made}, window + (kind == "rsi")


def sma(prices: Array, window: int) -> Array:
    """The mean of the last `window` prices; NaN before there are so many."""
    found = np.full(len(prices), np.nan)
    if len(prices) >= window:
        found[window - 1 :] = np.lib.stride_tricks.sliding_window_view(prices, window).mean(axis=1)
    return found


def ema(prices: Array, window: int) -> Array:
    """The exponential mean with weight 2 / (window + 1), begun by the mean of the first full window of numbers."""
    return _smoothed(prices, window, 2.0 / (window + 1))


def rsi(prices: Array, window: int) -> Array:
    """Wilder's relative strength index, 0..100; 50 where nothing moved."""
    moves = np.diff(prices, prepend=np.nan)
    up, down = (_smoothed(np.where(np.isnan(moves), np.nan, np.maximum(way * moves, 0.0)), window, 1.0 / window)
                for way in (1, -1))  # fmt: skip
    both = up + down
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(both > 0, 100.0 * up / both, np.where(np.isnan(both), np.nan, 50.0))


def _smoothed(numbers: Array, window: int, weight: float) -> Array:
    found = np.full(len(numbers), np.nan)
    first = int(np.argmax(np.isfinite(numbers))) if np.isfinite(numbers).any() else len(numbers)
    if first + window > len(numbers):
        return found
    now = float(numbers[first : first + window].mean())
    found[first + window - 1] = now
    for k in range(first + window, len(numbers)):
        now += weight * (float(numbers[k]) - now)
        found[k] = now
    return found
