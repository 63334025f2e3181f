"""The engine's memory: a State of numpy arrays, how it starts and how it grows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from gpi.formats.calendar import day_of
from gpi.formats.fees import SCHEDULES
from gpi.tools.backtest.contracts import SCHEDULED
from gpi.tools.backtest.opening import HELD, MOVED, TOLD_DAY
from gpi.tools.backtest.setup import POLICIES, SELF_TRADES, Setup, Terms
from gpi.tools.kernels import memory, queues
from gpi.tools.kernels.chance import seeded
from gpi.tools.kernels.options import travel_alone, travels
from gpi.tools.kernels.orders import DESK, INSTRUMENT, MESSAGE, NEVER, ORDER, STANDING
from gpi.tools.stage import State

FIRST_SLOTS, FIRST_MESSAGES, FIRST_INSTRUMENTS = 64, 256, 4
TERMS = ("tick_size", "lot_size", "multiplier")
CONTRACT = ("right", "strike", "american", "physical", "under", "group", "last_trade", "settled")


def start(setup: Setup, levels: int, known: int = 0) -> State:
    """Fresh memory for a stream with `levels` book levels (1 without depth columns) and `known` instruments."""
    desk = np.zeros(len(SCHEDULED) if setup.schedule == "auto" else 1, DESK)
    d = desk[0]
    for name, value in {**asdict(setup.fees), **asdict(setup.latency)}.items():
        d[name] = value
    given = setup.limits[0]
    for name in ("position_limit", "gross_exposure", "cash_reserve", "daily_loss", "price_collar"):
        d[name] = given[name]
    d.allow_short, d.max_open_orders = given.allow_short, given.max_open_orders
    d.order_rate, d.stale_ns = given.order_rate_per_s, given.stale_data_s * 1e9
    d.allow_naked, d.max_contracts = given.allow_naked_options, given.max_contracts
    d.option_expiry_ns = given.option_expiry_s * 1e9
    d.start_cash = d.cash = d.equity = d.peak = d.day_equity = setup.cash
    d.day = d.second = d.now = memory.LONG_AGO
    d.kill_row = NEVER if setup.kill_row is None else setup.kill_row
    d.next_id, d.free, d.state, d.known = 1, -1, setup.trading_state, known
    rules = setup.rules
    d.policy, d.rng = POLICIES[rules.fill], seeded(setup.seed)
    d.hours, d.self_trade, d.banded = (
        rules.hours, SELF_TRADES.index(rules.self_trade), rules.bands > 0 or rules.breaker is not None,
    )  # fmt: skip
    d.breaker_close, d.breaker_until = rules.breaker[1] if rules.breaker else 0.0, memory.LONG_AGO
    d.unusual = rules.hours or rules.fill == "alpaca-paper"
    desk["travels"][0] = travels(rules.option_slippage, d.policy)
    d.likely_power = rules.queue_power
    d.no_flip = rules.account == "alpaca"
    if d.no_flip and not d.self_trade:
        d.self_trade = SELF_TRADES.index("refuse")
    d.bell = d.day_bell = d.opened = memory.LONG_AGO
    if setup.external:
        d.external, d.state = 1, STANDING  # until the broker says how things stand
    state: State = {
        "desk": desk,
        "sent": np.full(max(1, int(given.order_rate_per_s)), memory.LONG_AGO, np.int64),
        "pool": np.zeros(0, ORDER),
        "wire": np.zeros((2, FIRST_MESSAGES), MESSAGE),
        "behind": queues.table(),
        "instruments": np.zeros(0, INSTRUMENT),
        "ladders": np.zeros((0, memory.LADDER_ROWS, levels)),
        "memory": np.zeros(0, setup.strategy.memory),
        "opening": np.zeros(0, HELD),
        "moved": np.zeros(0, MOVED),
        "told_day": np.zeros(0, TOLD_DAY),
    }
    if setup.delays.models:
        ns = setup.latency
        constant = {"feed": ns.feed_ns, "order": ns.order_ns, "cancel": ns.order_ns, "response": ns.response_ns}
        state["wire"] = setup.delays.on(desk, state["wire"], constant, setup.seed)
    more_slots(state, FIRST_SLOTS)
    more_instruments(state, setup, FIRST_INSTRUMENTS)
    return state


def charge_by(state: State, setup: Setup, ts: int) -> None:
    """Fees as the schedule has them on the trading day of `ts`; what accrued on another day is forgotten."""
    d, day = state["desk"][0], day_of(ts)
    if not setup.schedule or (d.dated and d.fee_day == day.toordinal()):
        return
    d.dated, d.fee_day = 1, day.toordinal()
    names = SCHEDULED if setup.schedule == "auto" else (setup.schedule,)
    for record, schedule in zip(state["desk"], names, strict=True):
        for name, value in asdict(SCHEDULES[schedule].at(day)).items():
            record[name] = value
        record.levy = record.section_31 = record.activity = record.audit = record.clearing = 0.0


def more_slots(state: State, capacity: int) -> None:
    """Grow the order pool."""
    state["pool"] = memory.more_slots(state["pool"], state["desk"], capacity)


def more_messages(state: State, capacity: int) -> None:
    """Grow both rings of the wire."""
    state["wire"] = memory.more_messages(state["wire"], state["desk"], capacity)


def more_behind(state: State) -> None:
    """Make room in the table of orders behind ours."""
    state["behind"] = queues.more_room(state["behind"], state["desk"], state["instruments"], state["pool"])


def more_instruments(state: State, setup: Setup, capacity: int) -> None:
    """Make room for instrument_ids below `capacity`."""
    known = len(state["instruments"])
    state["instruments"] = memory.more_instruments(state["instruments"], capacity)
    set_terms(state, setup, known)
    state["ladders"] = memory.more_ladders(state["ladders"], capacity)
    grown = np.zeros(capacity, setup.strategy.memory)
    grown[:known] = state["memory"]
    state["memory"] = grown


def set_terms(state: State, setup: Setup, first: int) -> None:
    """Write the terms of trade of the instruments from `first` on."""
    given, them = setup.terms or Terms(), state["instruments"][first:]
    for name, own, default in zip(
        TERMS, (given.tick_size, given.lot_size, given.multiplier), given.default, strict=True
    ):
        them[name] = default
        own = own[first : first + len(them)]
        them[name][: len(own)] = own
    own = given.bourse[first : first + len(them)]
    them["bourse"] = 0
    them["bourse"][: len(own)] = own
    them["band_tier"] = np.where(them["bourse"] == 1, setup.rules.bands, 0)
    if setup.rules.account == "alpaca":
        them["unshortable"][: len(own)] = np.asarray(own) == 0  # coins: nobody lends them there
    state["desk"][0].breaker = 1 + setup.rules.breaker_id
    for i in setup.rules.unshortable:
        if 0 <= i - first < len(them):
            them["unshortable"][i - first] = 1
    them["near"] = memory.nearness(them["tick_size"])
    if setup.schedule == "auto":
        own = given.charged[first : first + len(them)]
        them["fees"][: len(own)] = own
    for it, contract in zip(them, given.contracts[first : first + len(them)], strict=False):
        _set_contract(state, setup, it, contract)


def _set_contract(state: State, setup: Setup, it: Any, contract: tuple[float, ...]) -> None:
    if not contract:
        return
    known, rules = it.right != 0, setup.rules
    for name, value in zip(CONTRACT, contract, strict=True):
        it[name] = value * 1e9 if name in ("last_trade", "settled") else value
    shares = travels(rules.option_slippage, POLICIES[rules.fill])
    it.travel = 0.0 if setup.external else travel_alone(shares)
    if it.travel > 0.0:
        state["desk"][0].unusual = 1
    if not known:
        d = state["desk"][0]
        it.due = it.last_trade
        d.bell = min(d.bell, it.due)
