"""Trading REST: orders and positions, the verbs that change something and the lists of them.

Nothing here waits between reading a request and settling it: a handler never sees half an event, and never stands
behind a reader of market data that is slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from aiohttp import web

from gpi.tools.venue.accounts.account import Account, Position
from gpi.tools.venue.accounts.amend import cancel, found
from gpi.tools.venue.accounts.entry import submit
from gpi.tools.venue.accounts.orders import SIDES, Order, wire
from gpi.tools.venue.accounts.replacing import replace
from gpi.tools.venue.accounts.tickets import Ticket, read
from gpi.tools.venue.alpaca.assets import CLASSES
from gpi.tools.venue.alpaca.portfolio import position_json
from gpi.tools.venue.door import key_id_of
from gpi.tools.venue.money import floored, given, instant, whole
from gpi.tools.venue.reading import body_of, flag, listed
from gpi.tools.venue.refusals import Refusal, answer, malformed, missing
from gpi.tools.venue.world import World

MOST, USUAL = 500, 50  # orders in one answer
UNKNOWN: Final = "partially_held"  # a status nobody has heard of: the fault unknown-enum


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    """Orders and positions."""
    orders, positions = _Orders(world), _Positions(world)
    return [
        web.post("/v2/orders", orders.post),
        web.get("/v2/orders", orders.list),
        web.delete("/v2/orders", orders.cancel_all),
        web.get("/v2/orders:by_client_order_id", orders.by_client_order_id),
        web.get("/v2/orders/{id}", orders.get),
        web.patch("/v2/orders/{id}", orders.patch),
        web.delete("/v2/orders/{id}", orders.cancel),
        web.get("/v2/positions", positions.list),
        web.delete("/v2/positions", positions.close_all),
        web.get("/v2/positions/{name}", positions.get),
        web.delete("/v2/positions/{name}", positions.close),
    ]


class _Orders:
    def __init__(self, world: World) -> None:
        self.world = world

    def account(self, request: web.Request) -> Account:
        return self.world.accounts[key_id_of(self.world, request)]

    def reply(self, body: dict[str, Any]) -> web.Response:
        """An order, changed by the faults of its reply."""
        for fault in self.world.faults.hits("reply.order"):
            if fault.name == "unknown-enum":
                body["status"] = fault.get("value", UNKNOWN)
            elif fault.name == "extra-fields":
                body |= {"novelty": {"of": ["tomorrow"]}, "commission_v2": "0"}
        return answer(body)

    async def post(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        ticket = read(body, self.world.accounts.assets)
        made = submit(self.world.accounts, self.account(request), ticket)
        self.world.counters["orders.accepted"] += 1
        return self.reply(made)

    async def list(self, request: web.Request) -> web.Response:
        query, nested = request.query, flag(request, "nested")
        limit = whole(query.get("limit"), "limit", 1, MOST, USUAL)
        chosen = _chosen(self.account(request), request, nested)
        if _one_of(query, "direction", ("desc", "asc")) == "desc":
            chosen.reverse()
        return answer([wire(order, nested) for order in chosen[:limit]])

    async def get(self, request: web.Request) -> web.Response:
        return self.reply(wire(found(self.account(request), request.match_info["id"]), flag(request, "nested")))

    async def by_client_order_id(self, request: web.Request) -> web.Response:
        given_id = request.query.get("client_order_id", "")
        order = self.account(request).by_client.get(given_id)
        if order is None:
            raise missing(f"order not found for {given_id}")
        return self.reply(wire(order, flag(request, "nested")))

    async def patch(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        account = self.account(request)
        made = replace(self.world.accounts, account, found(account, request.match_info["id"]), body)
        return self.reply(made)

    async def cancel(self, request: web.Request) -> web.Response:
        account = self.account(request)
        cancel(self.world.accounts, account, found(account, request.match_info["id"]))
        return web.Response(status=204)

    async def cancel_all(self, request: web.Request) -> web.Response:
        return answer(cancel_everything(self.world, self.account(request)), 207)


def cancel_everything(world: World, account: Account) -> list[dict[str, Any]]:
    """Cancel every open order of an account; what became of each request."""
    told = []
    for order in list(account.working.values()):
        if order.parent is not None or not order.open:
            continue
        try:
            cancel(world.accounts, account, order)
            told.append({"id": order.id, "status": 200})
        except Refusal as refused:
            told.append({"id": order.id, "status": refused.status, "body": refused.body})
    for order in [each for each in account.working.values() if each.parent is not None and each.open]:
        if order.open and order.parent is not None and order.parent.instrument is not None:  # exits of a filled entry
            cancel(world.accounts, account, order)
            told.append({"id": order.id, "status": 200})
    return told


def _chosen(account: Account, request: web.Request, nested: bool) -> list[Order]:
    """The orders that a list asks for, oldest first. Raises Refusal."""
    query = request.query
    status = _one_of(query, "status", ("open", "closed", "all"))
    side = _one_of(query, "side", ("", "buy", "sell"))
    after = instant(query["after"], "after") if query.get("after") else None
    until = instant(query["until"], "until") if query.get("until") else None
    for word in ("after_order_id", "before_order_id"):
        if query.get(word):
            at = found(account, query[word]).submitted_at
            after, until = (at, until) if word[0] == "a" else (after, at)
    symbols, classes = listed(request, "symbols"), listed(request, "asset_class") - {"ALL"}
    from_all = account.working.values() if status == "open" else account.orders.values()
    chosen = [
        order
        for order in from_all
        if (status != "closed" or not order.open)
        and (after is None or order.submitted_at > after)
        and (until is None or order.submitted_at < until)
        and (not symbols or order.symbol in symbols or order.symbol.replace("/", "") in symbols)
        and (not classes or (order.instrument is not None and CLASSES[order.instrument.asset_class].upper() in classes))
        and (not side or SIDES[order.side] == side)
    ]
    if not nested:
        return chosen
    tops = {order.id for order in chosen}  # a leg is told inside its top; by itself where the top is not among them
    return [order for order in chosen if order.parent is None or order.parent.id not in tops]


def _one_of(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    """A word of the query, the first of those known where there is none. Raises Refusal."""
    value = query.get(name) or known[0]
    if value not in known:
        raise malformed(f"invalid {name}: {value[:40]}")
    return value


class _Positions:
    def __init__(self, world: World) -> None:
        self.world = world

    def account(self, request: web.Request) -> Account:
        return self.world.accounts[key_id_of(self.world, request)]

    def named(self, account: Account, name: str) -> Position:
        instrument = self.world.accounts.assets.find(name)
        position = None if instrument is None else account.positions.get(instrument.id)
        if position is None:
            raise missing("position does not exist")
        return position

    async def list(self, request: web.Request) -> web.Response:
        account = self.account(request)
        return answer([position_json(self.world, account, each) for each in account.positions.values()])

    async def get(self, request: web.Request) -> web.Response:
        account = self.account(request)
        return answer(position_json(self.world, account, self.named(account, request.match_info["name"])))

    async def close(self, request: web.Request) -> web.Response:
        account = self.account(request)
        position = self.named(account, request.match_info["name"])
        return answer(self.flattened(account, position, _part(request, position)))

    async def close_all(self, request: web.Request) -> web.Response:
        account, told = self.account(request), list[dict[str, Any]]()
        if flag(request, "cancel_orders"):
            cancel_everything(self.world, account)
        for position in list(account.positions.values()):
            symbol = position.instrument.symbol
            try:
                made = self.flattened(account, position, abs(position.qty))
                told.append({"symbol": made["symbol"], "status": 200, "body": made})
            except Refusal as refused:
                told.append({"symbol": symbol, "status": refused.status, "body": refused.body})
        return answer(told, 207)

    def flattened(self, account: Account, position: Position, qty: Decimal) -> dict[str, Any]:
        """A market order that closes `qty` of a position."""
        coin = position.instrument.asset_class == "crypto"
        side = -1 if position.qty > 0 else 1
        ticket = Ticket(position.instrument, side, "market", "gtc" if coin else "day", qty)
        return submit(self.world.accounts, account, ticket)


def _part(request: web.Request, position: Position) -> Decimal:
    """How much of a position to close: qty, percentage, or all."""
    held = abs(position.qty)
    qty, percentage = given(request.query.get("qty"), "qty"), given(request.query.get("percentage"), "percentage")
    if percentage is not None and qty is not None:
        raise malformed("only one of qty or percentage is accepted")
    if percentage is not None:
        if not 0 < percentage <= 100:
            raise malformed("percentage must be between 0 and 100")
        return floored(held * percentage / 100)
    if qty is not None and qty <= 0:
        raise malformed("qty must be > 0")
    return held if qty is None else qty
