"""The broker's own gate: whether an order may be sent now, by what holds trading back and by what works already."""

from __future__ import annotations

from decimal import Decimal

from gpi.formats.execution import OrderRequest
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.executions import ZERO
from gpi.tools.brokers.holds import ACTIVE, Holds
from gpi.tools.brokers.life import INTENT, Life


def refuses(holds: Holds, blotter: Blotter, request: OrderRequest, key: str, waiting: Life | None = None) -> str:
    """Why an order may not be sent now, "" when it may.

    Two orders cannot reduce the same shares: what works already on this side reduces first. `waiting`: the order
    itself, judged again when its turn comes; of those that wait with it none counts.
    """
    if holds.level == ACTIVE and key not in holds.blocks:
        return ""
    position = blotter.position(key)
    for life in blotter.open:
        counts = life is not waiting and (waiting is None or life.state != INTENT)
        if counts and life.request.side == request.side and wire.key(life.request.symbol) == key:
            position += request.side * life.leaves
    return holds.refuses(key, request.side, request.qty, float(position))


def flips(blotter: Blotter, request: OrderRequest, key: str, qty: Decimal, instead_of: Life | None = None) -> bool:
    """Would this close more than is held and not held by our orders? The broker would refuse it.

    The session asks the same of itself, a fill or two behind us. One order counts of those of which only one can fill.
    `instead_of`: the order that it is to replace.
    """
    position = blotter.position(key)
    if position * request.side >= 0:
        return False
    working = [
        each for each in blotter.open if each.request.side == request.side and wire.key(each.request.symbol) == key
    ]
    held = sum((_held(each) for each in working if each is not instead_of), ZERO)
    return qty > abs(position) - held


def _held(life: Life) -> Decimal:
    """What an order holds of a position; a replacement under way and its order hold the larger of the two."""
    if life.before is not None and life.before.open:
        return ZERO
    top = life.top
    if top is not None and (
        (life.request.parent and top.open) or any(_siblings(life, each) for each in (top, *top.legs))
    ):
        return ZERO
    return max(life.leaves, life.after.leaves if life.after is not None else ZERO)


def _siblings(life: Life, other: Life) -> bool:
    return other.open and other.request.order_id == life.request.sibling
