"""Account activities: fills, and what else moved cash or positions; one row each, as Alpaca pages and filters them.

A day's fees are one row a day and class of assets (FEE for shares and options, CFEE for coins), dated as of the day;
while the day runs the row says what has been charged so far. So cash is what the account began with plus what all
rows say, at any moment. What an option's end moved is OPEXP, OPEXC or OPASN; a position from elsewhere JNLS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from aiohttp import web

from gpi.formats.market.calendar import NEW_YORK, day_of
from gpi.formats.words import SECOND
from gpi.tools.venue.accounts.account import Account, Fill, Moved
from gpi.tools.venue.accounts.orders import SIDES
from gpi.tools.venue.door import key_id_of
from gpi.tools.venue.money import EARLIEST, ZERO, dated, instant, maybe, stamp, text, whole
from gpi.tools.venue.refusals import answer, malformed
from gpi.tools.venue.world import World

PAGE: Final = 100
FILL: Final = "FILL"
KINDS: Final = frozenset(
    "FILL ACATC ACATS CFEE CGD CIL CSD CSW DIV DIVCGL DIVCGS DIVFEE DIVFT DIVNRA DIVROC DIVTW DIVTXEX DIVWH EXTRD FEE "
    "FOPT FXTRD INT INTNRA INTPNL INTTW JNL JNLC JNLS MA MEM MISC NC OCT OPASN OPCA OPCSH OPEXC OPEXP OPTRD OPXRC "
    "PTC PTR REORG SC SPIN SPLIT SSO SSP SWP TRANS VOF WH".split()
)
Row = tuple[int, str, dict[str, Any]]  # ns, id, as JSON


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """All kinds, or those named."""

    async def activities(request: web.Request) -> web.Response:
        account = world.accounts[key_id_of(world, request)]
        return answer([shown for _, _, shown in _page(_chosen(account, request), request.query)])

    paths = ("/v2/account/activities", "/v2/account/activities/{kind}")
    return [web.get(path, activities) for path in paths]


def rows(account: Account) -> list[Row]:
    """Every activity of an account, oldest first."""
    found = [(fill.ts, activity_id(fill), fill_json(fill)) for fill in account.fills if not fill.busted]
    found += _fees(account)
    found += [_moved(each) for each in account.moved]
    return sorted(found, key=lambda row: row[:2])


def _chosen(account: Account, request: web.Request) -> list[Row]:
    """Those that a request asks for, oldest first. Raises Refusal."""
    query = request.query
    named = request.match_info.get("kind") or ",".join(query.getall("activity_types", []))
    kinds = {each for each in named.split(",") if each}
    if not kinds <= KINDS:
        raise malformed(f"invalid activity type: {', '.join(sorted(kinds - KINDS))[:40]}")
    category = query.get("category")
    if category not in (None, "", "trade_activity", "non_trade_activity"):
        raise malformed(f"invalid category: {category[:40]}")
    after = instant(query["after"], "after") if query.get("after") else None
    until = instant(query["until"], "until") if query.get("until") else None
    day = query.get("date")
    if day and (after is not None or until is not None):
        raise malformed("date cannot be combined with after or until")
    if day:
        after, until = _span(day)
    return [
        row
        for row in rows(account)
        if (not kinds or row[2]["activity_type"] in kinds)
        and (not category or (row[2]["activity_type"] == FILL) == (category == "trade_activity"))
        and (after is None or row[0] > after)
        and (until is None or row[0] < until)
    ]


def _page(found: list[Row], query: Mapping[str, str]) -> list[Row]:
    size = whole(query.get("page_size"), "page_size", 1, PAGE, PAGE)
    if query.get("direction", "desc") not in ("asc", "desc"):
        raise malformed("direction must be asc or desc")
    if query.get("direction", "desc") == "desc":
        found.reverse()
    token = query.get("page_token")
    if token:
        seen = next((i for i, row in enumerate(found) if row[1] == token), None)
        if seen is None:
            raise malformed(f"invalid page_token: {token[:80]}")
        found = found[seen + 1 :]
    return found[:size]


def _span(text_of_day: str) -> tuple[int, int]:
    """Just before and after a day in New York, ns."""
    asked = dated(text_of_day, EARLIEST)
    first = int(datetime(asked.year, asked.month, asked.day, tzinfo=NEW_YORK).timestamp()) * SECOND
    return first - 1, first + 24 * 3600 * SECOND


def fill_json(fill: Fill) -> dict[str, Any]:
    """A fill as an activity."""
    done = "fill" if fill.leaves == 0 else "partial_fill"
    return {
        "id": activity_id(fill),
        "activity_type": FILL,
        "transaction_time": stamp(fill.ts),
        "type": done,
        "price": text(fill.price),
        "qty": text(fill.qty),
        "side": SIDES[fill.side],
        "symbol": fill.order.symbol,
        "leaves_qty": text(fill.leaves),
        "order_id": fill.order.id,
        "cum_qty": text(fill.cumulative),
        "order_status": "filled" if done == "fill" else "partially_filled",
    }


def activity_id(fill: Fill) -> str:
    """Time to the millisecond, then the execution: sorts by time."""
    moment = datetime.fromtimestamp(fill.ts // SECOND, UTC)
    return f"{moment:%Y%m%d%H%M%S}{fill.ts // 1_000_000 % 1000:03d}::{fill.id}"


def _fees(account: Account) -> Iterable[Row]:
    """What each day charged, coins apart from the rest."""
    days: dict[tuple[date, str], Decimal] = {}
    for fill in account.fills:
        if fill.fee and not fill.busted:
            key = day_of(fill.ts), "CFEE" if fill.instrument.asset_class == "crypto" else "FEE"
            days[key] = days.get(key, ZERO) + fill.fee
    for (day, kind), amount in days.items():
        moment = int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * SECOND
        what = "Coin transaction fees" if kind == "CFEE" else "Regulatory and clearing fees"
        yield moment, *_entry(account, f"{day}/{kind}", day, kind, -amount, f"{what} of {day}")


def _moved(each: Moved) -> Row:
    key, when = f"{each.ts}/{each.kind}/{each.symbol}", day_of(each.ts)
    return each.ts, *_entry(None, key, when, each.kind, each.cash, each.why, each.symbol, each.qty, each.price)


def _entry(
    account: Account | None, key: str, day: date, kind: str, cash: Decimal, why: str,
    symbol: str | None = None, qty: Decimal | None = None, price: Decimal | None = None,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """A non-trade activity: its id, and as JSON."""
    name = f"{day:%Y%m%d}000000000::{uuid5(NAMESPACE_URL, f'gpi:activity/{account.id if account else 0}/{key}')}"
    told = {"symbol": symbol, "qty": maybe(qty), "price": maybe(price)}
    return name, {
        "id": name,
        "activity_type": kind,
        "date": day.isoformat(),
        "net_amount": text(cash),
        "description": why,
        "status": "executed",
        **{word: value for word, value in told.items() if value is not None},
    }
