"""The world outside a session: requests taken off its wire, and a broker's answers put on it.

The session hears of nothing outside but through `hear`, between two rows; that is what makes a live day
repeatable from its recording.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gpi.formats.errors import BadInput
from gpi.formats.execution import AMEND, BLOCK, CASH, DAY, POSITION, STATE, ExecutionReport, Leg, OrderRequest
from gpi.formats.instruments import Instruments
from gpi.formats.words import (
    ACCEPTED,
    CANCELED,
    DAY_NS,
    EXPIRED,
    FILLED,
    LIMIT,
    MARKET,
    MLEG,
    REDUCED,
    REJECTED,
    REPLACED,
)
from gpi.tools.backtest import memory
from gpi.tools.backtest.opening import TOLD_DAY, begin, moved
from gpi.tools.backtest.setup import Setup
from gpi.tools.kernels.orders import NEW, REQUESTS, RESPONSES, Engine
from gpi.tools.kernels.trader.account import mark
from gpi.tools.kernels.trader.sending import adopt
from gpi.tools.stage import State

SLACK: Final = 8
ENDS: Final = (REJECTED, CANCELED, EXPIRED)


def requests(state: State, instruments: Instruments) -> list[OrderRequest]:
    """What the session has asked for since the last call, oldest first; taken off the wire."""
    rings, transit, pool, now = state["rings"][0], state["transit"], state["pool"], int(state["clock"][0].now)
    taken = []
    while rings.requests > 0:
        m = transit[REQUESTS, rings.request_at]
        rings.request_at = (rings.request_at + 1) % transit.shape[1]
        rings.requests -= 1
        o = pool[m.slot]
        if o.order_id == m.order_id:
            request = _ask(m, now, o, instruments)
            taken.append(_of_legs(request, pool, o, instruments) if m.kind == NEW and o.order_type == MLEG else request)
    return taken


def _ask(m: Any, now: int, o: Any, instruments: Instruments) -> OrderRequest:
    what, i = int(m.kind), int(o.instrument_id)
    symbol = instruments[i].symbol if i < len(instruments) else str(i)
    if what == AMEND:
        changed = (float(m.qty), float(m.px), float(m.stop_px), float(m.trail))
        return OrderRequest(what, now, int(o.order_id), i, symbol, int(o.side), int(o.order_type), int(o.tif), *changed)
    if what != NEW:
        return OrderRequest(what, now, int(o.order_id), i, symbol)
    return OrderRequest(
        what,
        now,
        int(o.order_id),
        i,
        symbol,
        int(o.side),
        int(o.order_type),
        int(o.tif),
        float(o.qty),
        float(o.px),
        *(_special(o) if o.special else ()),
    )


def _of_legs(request: OrderRequest, pool: Any, o: Any, instruments: Instruments) -> OrderRequest:
    """The request of an order of several legs, by its first."""
    legs, leg = [], o
    for _ in range(int(o.legs)):
        i = int(leg.instrument_id)
        legs.append(Leg(int(leg.order_id), i, instruments[i].symbol, int(leg.side), int(leg.ratio)))
        leg = pool[leg.mate]
    net = float(o.net)
    kind = LIMIT if net == net else MARKET
    return request._replace(side=0, order_type=kind, qty=float(o.qty / o.ratio), px=net, parent=0, legs=tuple(legs))


def _special(o: Any) -> tuple[float, float, bool, bool, int, int]:
    """What an order has beyond a plain one, in the order of Ask's fields."""
    stop, trail, fraction = float(o.stop_px), float(o.trail), bool(o.trail_fraction)
    return stop, trail, fraction, bool(o.extended), int(o.parent), int(o.sibling)


def hear(state: State, setup: Setup, reports: list[ExecutionReport]) -> None:
    """Put answers where the session finds them: responses on the wire, the rest straight into its memory.

    Raises BadInput for an answer that names an instrument or an action that cannot be.
    """
    for report in reports:
        if report.action in (BLOCK, POSITION):
            _instrument(state, setup, report)
        elif report.action == STATE:
            state["account"][0].state = int(report.qty)
        elif report.action == CASH:
            _cash(state, report)
        elif report.action == DAY:
            _day(state, report)
        elif ACCEPTED <= report.action <= REPLACED or report.action == REDUCED:
            _respond(state, setup, report)
        else:
            raise BadInput(f"a broker answered with the action {report.action}, which is none of answers/1")


def _instrument(state: State, setup: Setup, report: ExecutionReport) -> None:
    _room_for(state, setup, report.instrument_id)
    it = state["instruments"][report.instrument_id]
    if report.action == BLOCK:
        it.blocked = int(report.qty)
        return
    account, unseen = state["account"][0], state["clock"][0].row == 0
    before = float(account.equity)
    first = state["positions"][0, report.instrument_id]  # what nobody's order explains is the first book's
    first.position += report.qty - it.position
    first.avg_px = report.px if report.qty else 0.0
    it.position, it.avg_px = report.qty, report.px if report.qty else 0.0
    peak = float(account.peak)
    mark(Engine(state), report.instrument_id)
    if it.mid != it.mid and report.fee == report.fee:  # nobody has quoted it here: the broker's own mark
        worth = report.qty * report.fee * float(it.multiplier)
        account.holdings += worth - it.value
        account.exposure += abs(worth) - abs(it.value)
        it.value, account.equity = worth, account.cash + account.holdings
    if unseen:
        begin(state)
    elif report.leaves:
        account.peak = peak
        moved(state, float(account.equity) - before)
    else:
        account.peak = max(peak, account.equity)


def _cash(state: State, report: ExecutionReport) -> None:
    account = state["account"][0]
    state["cash"][0].amount += report.px - account.cash
    account.cash = report.px
    account.equity = report.px + account.holdings
    if state["clock"][0].row == 0:
        begin(state)
    elif report.qty:
        moved(state, report.qty)


def _day(state: State, report: ExecutionReport) -> None:
    """What the day had lost before this run began counts towards its limit."""
    day, account = report.ts_event // DAY_NS, state["account"][0]
    state["clock"][0].day, account.day_equity, account.loss_day = day, report.px, int(report.qty)
    state["told_day"] = np.array([(day, report.px)], TOLD_DAY)


def _respond(state: State, setup: Setup, report: ExecutionReport) -> None:
    rings, leaves = state["rings"][0], report.leaves
    open_slots = np.flatnonzero(state["pool"]["order_id"] == report.order_id)
    found = [int(slot) for slot in open_slots if not _ending(state, int(slot), report.order_id)]
    if found:
        slot = found[0]
    elif report.action != FILLED:
        return  # its end was told already
    else:
        leaves = 0.0  # of an order that has ended nothing works, whatever is unfilled of it
        _room_for(state, setup, report.instrument_id)
        if rings.free_slots < 1:
            memory.more_slots(state, 2 * len(state["pool"]))
        slot = adopt(Engine(state), report.order_id, report.instrument_id, report.side)
    if rings.responses + SLACK >= state["transit"].shape[1]:
        memory.more_messages(state, 2 * state["transit"].shape[1])
    transit = state["transit"]
    m = transit[RESPONSES, (rings.response_at + rings.responses) % transit.shape[1]]
    rings.responses += 1
    m.due, m.ts, m.kind = state["clock"][0].now, report.ts_event, report.action
    m.slot, m.order_id = slot, report.order_id
    m.liquidity, m.reason, m.fee = report.liquidity, report.reason, report.fee
    m.qty, m.px, m.leaves = report.qty, report.px, leaves


def _ending(state: State, slot: int, order_id: int) -> bool:
    """Whether an end of this order waits on the wire: once the trader has read it, the slot is free."""
    rings, transit = state["rings"][0], state["transit"]
    for n in range(int(rings.responses)):
        m = transit[RESPONSES, (rings.response_at + n) % transit.shape[1]]
        if m.slot == slot and m.order_id == order_id and (m.kind in ENDS or (m.kind == FILLED and m.leaves == 0.0)):
            return True
    return False


def _room_for(state: State, setup: Setup, instrument_id: int) -> None:
    if instrument_id < 0:
        raise BadInput(f"a broker's answer names the instrument_id {instrument_id}")
    if instrument_id >= len(state["instruments"]):
        memory.more_instruments(state, setup, max(instrument_id + 1, 2 * len(state["instruments"])))
