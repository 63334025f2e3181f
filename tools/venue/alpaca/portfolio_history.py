"""Portfolio history: the equity curve in steps, over a period, with profit and loss against its beginning."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from aiohttp import web

from gpi.formats.market.calendar import day_of, state
from gpi.formats.words import DAY_NS, SECOND
from gpi.tools.venue.accounts.account import Account
from gpi.tools.venue.alpaca.activities import KINDS, rows
from gpi.tools.venue.data.bars import NEW_YORK, midnight
from gpi.tools.venue.door import key_id_of
from gpi.tools.venue.money import instant
from gpi.tools.venue.refusals import answer, malformed, unprocessable
from gpi.tools.venue.world import World

STEPS: Final = {"1Min": 60, "5Min": 300, "15Min": 900, "1H": 3600, "1D": 86_400}  # seconds
LATEST: Final = 4_000_000_000 * SECOND
UNITS: Final = {"D": 1, "W": 7, "M": 30, "A": 365}  # days, near enough for a period
PERIOD: Final = re.compile(r"([0-9]{1,3})([DWMA])")
FINE_DAYS: Final = (7, 30)  # below: a minute a step, a quarter of an hour; from there on days
HOURS: Final = {
    "market_hours": ("regular",), "extended_hours": ("pre", "regular", "post"),
    "continuous": ("closed", "pre", "regular", "post"),
}  # fmt: skip


class Asked(NamedTuple):
    """What of the curve is wanted: start <= time <= end, ns."""

    start: int
    end: int
    step: str
    states: tuple[str, ...]
    daily: bool  # profit and loss begin anew each day


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """The one page."""

    async def history(request: web.Request) -> web.Response:
        account = world.accounts[key_id_of(world, request)]
        query = request.query
        kinds = [each for each in query.get("cashflow_types", "").split(",") if each not in ("", "NONE")]
        if kinds != ["ALL"] and not set(kinds) <= KINDS:
            raise malformed("invalid cashflow_types")
        return answer(curve(account, asked(query, world.clock.now()), kinds))

    return [web.get("/v2/account/portfolio/history", history)]


def asked(query: Mapping[str, str], now: int) -> Asked:
    """The question of a query; two of start, end and period at most. Raises Refusal 422."""
    words = {name: query.get(name) or None for name in ("start", "end", "period", "date_end")}
    if words["start"] and words["end"] and words["period"]:
        raise unprocessable("only two of start, end and period can be specified")
    until = words["end"] or words["date_end"]
    end = now if until is None else instant(until, "end") + (DAY_NS - 1 if len(until) == 10 else 0)
    span = _days(words["period"] or "1M") * DAY_NS
    start = max(0, end - span) if words["start"] is None else instant(words["start"], "start")
    if words["start"] and words["period"]:
        end = start + span
    if not 0 <= start <= end < LATEST:
        raise unprocessable("start and end must be times after 1970, start first")
    days = (end - start) / DAY_NS
    step = query.get("timeframe") or ("1Min" if days < FINE_DAYS[0] else "15Min" if days < FINE_DAYS[1] else "1D")
    if step not in STEPS:
        raise malformed(f"invalid timeframe: {step[:40]}")
    if step != "1D" and days > FINE_DAYS[1] + 1:
        raise unprocessable("timeframe must be 1D for periods of more than 30 days")
    usual = "extended_hours" if query.get("extended_hours", "").lower() == "true" else "market_hours"
    hours, reset = query.get("intraday_reporting") or usual, query.get("pnl_reset") or "per_day"
    if hours not in HOURS or reset not in ("per_day", "no_reset"):
        raise malformed("invalid intraday_reporting or pnl_reset")
    return Asked(start, end, step, HOURS["continuous" if step == "1D" else hours], reset == "per_day" and step != "1D")


def _days(period: str) -> int:
    found = PERIOD.fullmatch(period.upper().replace("Y", "A"))
    if found is None or int(found[1]) == 0:
        raise malformed(f"invalid period: {period[:40]}")
    return int(found[1]) * UNITS[found[2]]


def curve(account: Account, ask: Asked, kinds: list[str]) -> dict[str, Any]:
    """The last equity of every step that has one, as JSON."""
    first = bisect_left(account.history, (ask.start,))
    base = account.history[first - 1][1] if first else account.start
    last: dict[int, Decimal] = {}
    against: dict[int, Decimal] = {}
    begun: tuple[int, Decimal] | None = None  # midnight of the day, equity when it began
    before = base
    for ts, equity in account.history[first:]:
        if ts > ask.end:
            break
        day = midnight(ts, False)
        if begun is None or begun[0] != day:
            begun = day, before
        before = equity
        if state(ts) in ask.states:
            step = day if ask.step == "1D" else ts // SECOND // STEPS[ask.step] * STEPS[ask.step] * SECOND
            last[step], against[step] = equity, begun[1] if ask.daily else base
    gains = [(equity - against[step], against[step]) for step, equity in last.items()]
    return {
        "timestamp": [step // SECOND for step in last],
        "equity": [float(equity) for equity in last.values()],
        "profit_loss": [float(gain) for gain, _ in gains],
        "profit_loss_pct": [float(gain / of) if of else None for gain, of in gains],
        "base_value": float(base),
        "base_value_asof": f"{datetime.fromtimestamp(ask.start // SECOND, NEW_YORK):%Y-%m-%d}",
        "timeframe": ask.step,
        "cashflow": _flows(account, list(last), ask.step, kinds),
    }


def _flows(account: Account, steps: list[int], step: str, kinds: list[str]) -> dict[str, list[float]]:
    """Cash that no trade moved, by kind and step."""
    found: dict[str, list[float]] = {}
    for ts, _, shown in rows(account) if kinds else ():
        kind = shown["activity_type"]
        if kind == "FILL" or (kinds != ["ALL"] and kind not in kinds):
            continue
        of = midnight(ts, False) if step == "1D" else ts
        place = bisect_left(steps, of)
        if place < len(steps) and (step != "1D" or day_of(steps[place]) == day_of(ts)):
            found.setdefault(kind, [0.0] * len(steps))[place] += float(shown["net_amount"])
    return found
