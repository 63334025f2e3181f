"""Whatever is asked of the venue, in whatever order: its books agree with its fills, and its stream with its books."""

import asyncio
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpi.formats.instruments import Instruments, crypto, equity, option
from gpi.formats.secrets import Secret
from gpi.tools.venue.accounts.amend import cancel
from gpi.tools.venue.accounts.entry import submit
from gpi.tools.venue.accounts.orders import CLOSED
from gpi.tools.venue.accounts.replacing import replace
from gpi.tools.venue.accounts.tickets import read
from gpi.tools.venue.alpaca.portfolio import position_json
from gpi.tools.venue.data.rows import status, told
from gpi.tools.venue.refusals import Refusal
from gpi.tools.venue.truth import truth
from gpi.tools.venue.venue import Options, made
from gpi.tools.venue.world import World
from tests.venues import KEY, MONDAY, SECRET

CALL = option("AAPL260116C00100000")
NAMES = ("AAPL", "BTC/USD", CALL.symbol.replace(" ", ""))
SECOND = 10**9

TYPES = {"AAPL": ("market", "limit", "limit", "stop", "stop_limit", "trailing_stop"), "BTC/USD": ("market", "limit")}
TIFS = {"AAPL": ("day", "day", "gtc", "ioc", "fok"), "BTC/USD": ("gtc", "ioc")}


def _day(seed: int, steps: int = 60) -> list[dict[str, Any]]:
    """A day of requests and ticks; most of them make sense."""
    dice = random.Random(seed)

    def price() -> float:
        return dice.randint(9_700, 10_300) / 100

    def order() -> dict[str, Any]:
        symbol = dice.choice(("AAPL", "AAPL", "AAPL", *NAMES))
        share = symbol == "AAPL"
        return {
            "do": "order",
            "symbol": symbol,
            "side": dice.choice(("buy", "buy", "sell")),
            "type": dice.choice(TYPES.get(symbol, ("market", "limit"))),
            "qty": dice.choice((1, 2, 0.25)) if symbol == "BTC/USD" else dice.randint(1, 150 if share else 3),
            "tif": dice.choice(TIFS.get(symbol, ("day",))),
            "class": dice.choice(("", "", "", "bracket", "oco", "oto")) if share else "",
            "px": price(),
            "stop": price(),
        }

    def tick() -> dict[str, Any]:
        trade = (dice.randint(1, 200), dice.choice(("buy", "sell"))) if dice.random() < 0.7 else None
        words = {"symbol": dice.choice(NAMES), "px": price(), "spread": dice.randint(1, 40), "trade": trade}
        return {"do": "tick", **words, "size": dice.randint(1, 400), "after": dice.randint(0, 120)}

    def change() -> dict[str, Any]:
        which = {"which": dice.randint(0, 50), "px": price(), "qty": dice.randint(1, 300)}
        return {"do": dice.choice(("cancel", "replace")), **which}

    def halt() -> dict[str, Any]:
        return {"do": "halt", "flag": dice.choice((0, 0, 1))}

    made = (order, order, order, tick, tick, tick, tick, change, change, halt)
    return [dice.choice(made)() for _ in range(steps)]


days = st.integers(0, 1 << 32).map(_day)


def _body(words: dict[str, Any]) -> dict[str, Any]:
    """The request as JSON; often one the venue must refuse."""
    kind = words["type"]
    body = {"symbol": words["symbol"], "side": words["side"], "type": kind, "qty": words["qty"]}
    body |= {"time_in_force": words["tif"], "order_class": words["class"]}
    if kind in ("limit", "stop_limit"):
        body["limit_price"] = words["px"]
    if kind in ("stop", "stop_limit"):
        body["stop_price"] = words["stop"]
    if kind == "trailing_stop":
        body["trail_percent"] = 1
    if words["class"]:
        low, high = sorted((words["px"] - 1, words["stop"] + 2))
        profit, loss = (high, low) if (words["side"] == "buy") == (words["class"] != "oco") else (low, high)
        if words["class"] != "oto":
            body["take_profit"] = {"limit_price": round(profit, 2)}
        body["stop_loss"] = {"stop_price": round(loss, 2)}
    return body


async def _lived(day: list[dict[str, Any]], fill: str) -> tuple[World, list[dict[str, Any]]]:
    """The world after a day, and everything its trade_updates said."""
    accounts = {KEY: (Secret(SECRET), Decimal(100_000))}
    table = Instruments([equity("AAPL"), crypto("BTC/USD"), CALL])
    world = made(Options(accounts=accounts, fill=fill), table)  # type: ignore[arg-type]
    said: list[dict[str, Any]] = []
    tell = world.accounts.updates.tell

    def listen(order: Any, event: str, ts: int, **more: Any) -> None:
        said.append({"id": order.id, "event": event, "status": order.status, **more})
        tell(order, event, ts, **more)

    world.accounts.updates.tell = listen  # type: ignore[method-assign]
    world.clock.set(MONDAY)
    for row in range(3):
        await world.play(told(0, row, {"bid": [99.9, 500], "ask": [100.1, 500], "trade": [100, 1]}, MONDAY))
    for step in day:
        try:
            await _step(world, step)
        except Refusal:
            pass
        _sound(world)
    return world, said


async def _step(world: World, step: dict[str, Any]) -> None:
    account = world.accounts[KEY]
    if step["do"] == "order":
        submit(world.accounts, account, read(_body(step), world.accounts.assets))
    elif step["do"] == "tick":
        half = step["spread"] / 100
        tick = {"bid": [round(step["px"] - half, 2), step["size"]], "ask": [round(step["px"] + half, 2), step["size"]]}
        if step["trade"]:
            tick["trade"] = [step["px"], *step["trade"]]
        ts = world.clock.now() + step["after"] * SECOND
        await world.play(told(0, NAMES.index(step["symbol"]), tick, ts))
    elif step["do"] == "halt":
        await world.play(status(0, [0, 2], world.clock.now(), step["flag"]))
    else:
        orders = list(account.orders.values())
        if orders:
            order = orders[step["which"] % len(orders)]
            if step["do"] == "cancel":
                cancel(world.accounts, account, order)
            else:
                words = {"qty": step["qty"]} | ({"limit_price": step["px"]} if order.limit_price else {})
                replace(world.accounts, account, order, words)


def _sound(world: World) -> None:
    """The books of the account, from its fills alone."""
    account = world.accounts[KEY]
    held: dict[int, Decimal] = defaultdict(Decimal)
    filled: dict[str, Decimal] = defaultdict(Decimal)
    cash = account.start
    for fill in account.fills:
        size = Decimal(str(fill.instrument.multiplier))
        held[fill.instrument.id] += fill.side * fill.qty
        filled[fill.order.id] += fill.qty
        cash -= fill.side * fill.qty * fill.price * size + fill.fee
    assert account.cash == cash
    assert {i: p.qty for i, p in account.positions.items()} == {i: qty for i, qty in held.items() if qty}
    for order in account.orders.values():
        assert order.filled_qty == filled[order.id] <= order.size
        assert (order.id in account.working) == order.open == (order.status not in CLOSED)
        assert (order.status == "filled") == (order.filled_qty == order.size)
        assert order.status != "new" or order.filled_qty == 0
    coin = account.positions.get(1)
    assert coin is None or coin.qty > 0, "no coin is ever short"
    for position in account.positions.values():
        free = Decimal(position_json(world, account, position)["qty_available"])
        assert 0 <= free * (1 if position.qty > 0 else -1) <= abs(position.qty)


@pytest.mark.parametrize("fill", ["conservative", "alpaca-paper"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(days)
def test_the_books_agree_with_the_fills_after_every_step(fill: str, day: list[dict[str, Any]]) -> None:
    """Cash, positions, filled quantities and statuses follow from the fills; the stream told each fill exactly once."""
    world, said = asyncio.run(_lived(day, fill))
    account = world.accounts[KEY]
    told_fills = [each["execution_id"] for each in said if each["event"] in ("fill", "partial_fill")]
    assert told_fills == [fill.id for fill in account.fills]
    for order in account.orders.values():
        events = [each["event"] for each in said if each["id"] == order.id]
        ends = [each for each in events if each in ("fill", "canceled", "expired", "rejected", "replaced")]
        assert len(ends) == (0 if order.open else 1), (order, events)
        assert not ends or events[-1] == ends[0]
    state = truth(world)["accounts"][KEY]
    assert Decimal(state["cash"]) == account.cash and len(state["orders"]) == len(account.orders)


@settings(max_examples=8, deadline=None)
@given(days)
def test_a_day_is_the_same_when_it_is_lived_again(day: list[dict[str, Any]]) -> None:
    """The same seed and the same requests: the same ids, fills and cash."""
    first, again = (asyncio.run(_lived(day, "alpaca-paper"))[0] for _ in range(2))
    assert truth(first)["accounts"] == truth(again)["accounts"]
