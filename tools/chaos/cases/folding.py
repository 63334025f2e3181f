"""F03: updates that come twice, late and in any order, through the very fold that a live trader uses."""

from __future__ import annotations

import copy
import random
from collections import Counter
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from gpi.formats.execution import OrderRequest
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.rows import Case, Row

SHUFFLES: Final = 100  # of one history
TIME: Final = "2026-11-20T15:00:{:02d}.{:09d}Z"
Message = tuple[str, dict[str, Any]]  # where it comes from: update, order (a look by REST), activity


def shuffled_updates(lab: Lab, case: Case) -> None:
    """A history of a few orders; folded in order once, then shuffled, doubled and delayed many times."""
    requests, history = _history(case.dice)
    wanted = _folded(lab, requests, history, case)
    for _ in range(min(SHUFFLES, case.units)):
        case.seen.count("shuffles")
        found = _folded(lab, requests, _shuffled(history, case.dice), case)
        if not case.seen.expect(found == wanted, f"a shuffle ends elsewhere: {_difference(found, wanted)}"):
            return


def _history(dice: random.Random) -> tuple[list[tuple[str, OrderRequest]], list[Message]]:
    """Some orders, and everything a broker would say of them, in order."""
    requests: list[tuple[str, OrderRequest]] = []
    history: list[Message] = []
    for number in range(1, dice.randint(2, 4)):
        client_id = f"gpi-PA1-x-1-{number}"
        side = dice.choice((1, -1))
        qty = dice.randint(1, 20) * 5
        requests.append((client_id, OrderRequest(1, number, number, 0, "SPY", side, 1, 3, float(qty), 100.0)))
        history += _order(dice, client_id, number, side, qty)
    return requests, history


def _order(dice: random.Random, client_id: str, number: int, side: int, qty: int) -> list[Message]:
    """new, some fills, an end; each as an update, sometimes also seen by REST and in the activities."""
    clock = [number * 10_000]

    def tick() -> str:
        clock[0] += dice.randint(1, 999)
        return TIME.format(number, clock[0])

    def order(status: str, filled: int) -> dict[str, Any]:
        return {
            "id": f"broker-{number}", "client_order_id": client_id, "symbol": "SPY", "status": status,
            "side": "buy" if side > 0 else "sell", "qty": str(qty), "filled_qty": str(filled), "updated_at": tick(),
        }  # fmt: skip

    said: list[Message] = [("update", {"event": "new", "order": order("new", 0), "timestamp": tick()})]
    filled, fills = 0, dice.randint(0, 4)
    for at in range(fills):
        whole = at == fills - 1 and dice.random() < 0.6
        part = qty - filled if whole else max(1, (qty - filled) // dice.randint(2, 4))
        if part <= 0 or filled + part > qty:
            break
        filled += part
        status = "filled" if filled == qty else "partially_filled"
        execution = str(UUID(int=dice.getrandbits(128), version=4))
        event = "fill" if filled == qty else "partial_fill"
        when, price = tick(), f"{100 + dice.randint(-5, 5) / 100:.2f}"
        told = {"event": event, "order": order(status, filled), "timestamp": when, "execution_id": execution}
        said.append(("update", {**told, "qty": str(part), "price": price}))
        if dice.random() < 0.3:
            said.append(("order", order(status, filled)))
        if dice.random() < 0.3:
            activity = {"id": f"20261120::{execution if dice.random() < 0.5 else 'own-' + execution}"}
            activity |= {"order_id": f"broker-{number}", "qty": str(part), "price": price, "cum_qty": str(filled)}
            said.append(("activity", {**activity, "transaction_time": when}))
    if filled < qty:
        end = dice.choice(("canceled", "expired"))
        said.append(("update", {"event": end, "order": order(end, filled), "timestamp": tick()}))
    return said


def _shuffled(history: list[Message], dice: random.Random) -> list[Message]:
    """Some twice or thrice; then any order, or only neighbours swapped, or one held back to the end."""
    many = [each for each in history for _ in range(dice.choice((1, 1, 1, 2, 3)))]
    way = dice.randrange(3)
    if way == 0:
        dice.shuffle(many)
    elif way == 1:
        for at in range(len(many) - 1):
            if dice.random() < 0.4:
                many[at], many[at + 1] = many[at + 1], many[at]
    else:
        many.append(many.pop(dice.randrange(len(many))))
    return many


def _folded(lab: Lab, requests: list[tuple[str, OrderRequest]], messages: list[Message], case: Case) -> dict[str, Any]:
    """What it all comes to; on the way no filled quantity ever goes down."""
    blotter = lab.room("blotter")(requests)
    heard: Counter[tuple[Any, ...]] = Counter()
    most: dict[str, Decimal] = {}
    for source, data in _orders_first(messages):
        getattr(blotter, source)(copy.deepcopy(data) if source != "order" else lab.room("told")(data))
        for report in blotter.reports():
            heard[report.order_id, report.action, report.qty if report.px == report.px else 0, repr(report.px)] += 1
        blotter.work()
        for client_id, life in blotter.lives.items():
            filled = life.executions.filled
            if filled < most.get(client_id, Decimal(0)):
                case.seen.violate(f"the filled quantity of {client_id} went down to {filled}")
            most[client_id] = filled
    twice = [each for each, times in heard.items() if times > 1 and each[1] != FILLED]
    case.seen.expect(not twice, f"told more than once: {twice}")
    lives = {
        client_id: (life.state, life.end, life.executions.filled, life.executions.value, life.broker_id)
        for client_id, life in blotter.lives.items()
    }
    return {"lives": lives, "expected": dict(blotter.expected), "heard": dict(heard)}


FILLED: Final = 8


def _orders_first(messages: list[Message]) -> list[Message]:
    """An activity names an order by the broker's id alone: the first word of an order comes before it."""
    known: set[str] = set()
    early: list[Message] = []
    late: list[Message] = []
    for source, data in messages:
        if source == "activity" and data["order_id"] not in known:
            late.append((source, data))
            continue
        early.append((source, data))
        told = data.get("order", data)
        known.add(told.get("id", ""))
        early += [each for each in late if each[1]["order_id"] in known]
        late = [each for each in late if each[1]["order_id"] not in known]
    return early + late


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    for part in wanted:
        for key in {*wanted[part], *found[part]}:
            one, other = found[part].get(key), wanted[part].get(key)
            if one != other:
                return f"{part} {key}: {one}, in order {other}"
    return ""


ROWS: Final = (
    Row(
        "F03",
        "updates, looks by REST and activities doubled, delayed and shuffled, through the trader's fold",
        "the final state as in order; no execution twice; the filled quantity never goes down",
        shuffled_updates,
        short=500,
        long=10_000,
        units=SHUFFLES,
    ),
)
