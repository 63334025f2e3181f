"""Truth: everything the venue knows, for tests that compare it with what a trader believes."""

from __future__ import annotations

from typing import Any

from gpi.tools.venue.accounts.account import Account, Fill
from gpi.tools.venue.accounts.margin import worth
from gpi.tools.venue.accounts.orders import SIDES, wire
from gpi.tools.venue.alpaca.activities import activity_id
from gpi.tools.venue.alpaca.portfolio import position_json
from gpi.tools.venue.money import stamp, text
from gpi.tools.venue.world import World


def truth(world: World, brief: bool = False) -> dict[str, Any]:
    """The state of the venue; decimals as exact strings. `brief`: without the lists that grow (orders, fills)."""
    return {
        "now": world.clock.now(),
        "time": stamp(world.clock.now()),
        "feed": world.feed,
        "rows": world.rows,
        "accounts": {key_id: _account(world, each, brief) for key_id, each in world.accounts.accounts.items()},
        "counters": dict(world.counters),
        "faults": world.faults.state(),
        "listening": world.accounts.updates.state(),
        "tape": world.tape.state(),
    }


def _account(world: World, account: Account, brief: bool) -> dict[str, Any]:
    now = worth(account, world.accounts.prices)
    said: dict[str, Any] = {
        "id": account.id,
        "start": text(account.start),
        "cash": text(account.cash),
        "fees": text(account.fees),
        "equity": text(now.equity),
        "buying_power": text(now.buying_power),
        "suspended": account.config["suspend_trade"],
        "open_orders": len(account.working),
        "positions": {p.instrument.symbol: position_json(world, account, p) for p in account.positions.values()},
        "adjustments": [{"ts": ts, "cash": text(cash), "why": why} for ts, cash, why in account.adjustments],
    }
    if not brief:
        said["orders"] = [_order(order) for order in account.orders.values()]
        said["fills"] = [_fill(fill) for fill in account.fills]
    return said


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "execution_id": fill.id,
        "activity_id": activity_id(fill),
        "ts": fill.ts,
        "client_order_id": fill.order.client_order_id,
        "order_id": fill.order.id,
        "symbol": fill.instrument.symbol,
        "side": SIDES[fill.side],
        "qty": text(fill.qty),
        "price": text(fill.price),
        "fee": text(fill.fee),
        "busted": fill.busted,
    }


def _order(order: Any) -> dict[str, Any]:
    return {**wire(order, nested=False), "cost": text(order.cost), "from": order.source}
