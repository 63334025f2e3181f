"""Amendments: the replacement of an order that works, which is another order at the broker.

The new one has an id of its own and is journaled before it is asked for. That the request was taken is no replacement
yet: it has happened when the broker says that the old order was replaced or that the new one works, and came to
nothing when the new one was rejected. A fill that comes first has won; `qty` counts it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gpi.formats.execution import OrderRequest
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.bucket import ORDER
from gpi.tools.brokers.gate import flips
from gpi.tools.brokers.holds import ACTIVE
from gpi.tools.brokers.life import LIVE, Life, reason
from gpi.tools.brokers.outbox import Job

if TYPE_CHECKING:
    from gpi.tools.brokers.clerk import Clerk


def amend(clerk: Clerk, request: OrderRequest, now_ns: int, now: float) -> None:
    """Ask the broker for it, or tell the session that the order stays as it is."""
    first = clerk.blotter.numbered.get(request.order_id)
    if first is None or not any(each.open for each in first.line):
        return  # its end has been told, or is being told
    life = first.current
    if life.top is not None and life.top.combined:
        life.kept(reason("MALFORMED"), request.ts_event)
        clerk.blotter.touch(life)
        return
    key = wire.key(request.symbol)
    why, body, rest = _checked(clerk, request, life, key, now_ns, now)
    if why:
        life.kept(reason(why), request.ts_event)
        clerk.blotter.touch(life)
        return
    if rest <= 0:
        clerk.withdraw(life, now_ns, now)  # as much as has filled already: the rest is not wanted
        return
    first.versions += 1
    client_id = f"{first.client_id}r{first.versions}"
    body["client_order_id"] = client_id
    new = Life(_amended(life.request, request, body), client_id, body, rest, before=life, top=life.top)
    clerk.journal.intend(client_id, new.request, body, now_ns, f"in the place of {life.client_id}")
    life.after = new
    clerk.blotter.place(new)
    clerk.outbox.add(Job(ORDER, "replace", "PATCH", f"/orders/{life.broker_id}", body, client_id, key, now))


def _checked(
    clerk: Clerk, request: OrderRequest, life: Life, key: str, now_ns: int, now: float
) -> tuple[str, dict[str, Any], Decimal]:
    """(reason, request without its id, what would be unfilled); with a reason it is not sent."""
    nothing = Decimal(0)
    clerk.throttle(now)
    if clerk.holds.level != ACTIVE:
        return "TRADING_STATE", {}, nothing
    if key in clerk.holds.blocks or life.state != LIVE or life.end or life.withdrawing or life.after is not None:
        return "RECONCILING", {}, nothing
    if clerk.stale(request, now_ns):
        return "STALE_DATA", {}, nothing
    try:
        body, qty = wire.replacement(
            request, life.request, clerk.instruments[request.instrument_id], life.filled_before
        )
    except (wire.Unsendable, KeyError):
        return "MALFORMED", {}, nothing
    if qty is not None and (life.top or life.legs):
        return "MALFORMED", {}, nothing  # the sizes of a family go together, and Alpaca changes one order
    rest = life.leaves if qty is None else qty - life.executions.filled
    if flips(clerk.blotter, life.request, key, rest, life):
        return "INSUFFICIENT_QTY", {}, nothing
    return "", body, rest


def _amended(was: OrderRequest, request: OrderRequest, body: dict[str, Any]) -> OrderRequest:
    """The ask as it is from then on, in the numbers that are sent."""
    changed: dict[str, Any] = {"ts_event": request.ts_event}
    if "qty" in body:
        changed["qty"] = request.qty
    for name, field in (("limit_price", "px"), ("stop_price", "stop_px")):
        if name in body:
            changed[field] = float(body[name])
    if "trail" in body:
        changed["trail"] = request.trail
    return was._replace(**changed)
