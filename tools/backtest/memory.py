"""The engine's memory: a State of numpy arrays, how it starts and how it grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from gpi.formats.market.calendar import day_of
from gpi.formats.market.fees import SCHEDULES
from gpi.tools.backtest.contracts import SCHEDULED
from gpi.tools.backtest.opening import HELD, MOVED, TOLD_DAY
from gpi.tools.backtest.setup import POLICIES, SELF_TRADES, Setup, Terms
from gpi.tools.kernels import memory
from gpi.tools.kernels.chance import seeded
from gpi.tools.kernels.exchange import queues
from gpi.tools.kernels.exchange.options import spread_shares, travel_alone
from gpi.tools.kernels.orders import FEE_TABLE, NEVER, STANDING
from gpi.tools.stage import State

FIRST_SLOTS, FIRST_INSTRUMENTS = 64, 4
TERMS = ("tick_size", "lot_size", "multiplier")
CONTRACT = ("right", "strike", "american", "physical", "under", "group", "last_trade", "settled")


def start(setup: Setup, levels: int, known: int = 0) -> State:
    """Fresh memory for a stream with `levels` book levels (1 without depth columns) and `known` instruments."""
    state: State = memory.blank(levels)
    state["fees"] = np.zeros(len(SCHEDULED) if setup.schedule == "auto" else 1, FEE_TABLE)
    _write(state["fees"][0], asdict(setup.fees))
    _write(state["delays"][0], asdict(setup.latency))
    _open_account(state, setup)
    _set_gate(state, setup, known)
    _set_venue(state, setup)
    state["sent"] = np.full(max(1, int(setup.limits[0].order_rate_per_s)), memory.LONG_AGO, np.int64)
    state["memory"] = np.zeros(0, setup.strategy.memory)
    state["opening"], state["moved"], state["told_day"] = np.zeros(0, HELD), np.zeros(0, MOVED), np.zeros(0, TOLD_DAY)
    if setup.delays.models:
        ns = setup.latency
        constant = {"feed": ns.feed_ns, "order": ns.order_ns, "cancel": ns.order_ns, "response": ns.response_ns}
        state["transit"] = setup.delays.on(state, constant, setup.seed)
    more_slots(state, FIRST_SLOTS)
    more_instruments(state, setup, FIRST_INSTRUMENTS)
    return state


def _write(record: Any, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        record[name] = value


def _open_account(state: State, setup: Setup) -> None:
    account = state["account"][0]
    state["cash"]["amount"][0] = setup.cash
    account.start_cash = account.cash = account.equity = account.peak = account.day_equity = setup.cash
    account.kill_row = NEVER if setup.kill_row is None else setup.kill_row
    account.state = STANDING if setup.external else setup.trading_state  # until a broker says how things stand


def _set_gate(state: State, setup: Setup, known: int) -> None:
    gate, given, rules = state["gate"][0], setup.limits[0], setup.rules
    for name in ("position_limit", "gross_exposure", "cash_reserve", "daily_loss", "price_collar", "max_contracts"):
        gate[name] = given[name]
    gate.allow_short, gate.max_open_orders = given.allow_short, given.max_open_orders
    gate.order_rate, gate.stale_ns = given.order_rate_per_s, given.stale_data_s * 1e9
    gate.allow_naked, gate.option_expiry_ns = given.allow_naked_options, given.option_expiry_s * 1e9
    gate.known, gate.no_flip = known, rules.account == "alpaca"
    gate.self_trade = SELF_TRADES.index(rules.self_trade)
    if gate.no_flip and not gate.self_trade:
        gate.self_trade = SELF_TRADES.index("refuse")


def _set_venue(state: State, setup: Setup) -> None:
    venue, rules = state["venue"][0], setup.rules
    venue.policy, venue.rng = POLICIES[rules.fill], seeded(setup.seed)
    venue.hours, venue.banded = rules.hours, rules.bands > 0 or rules.breaker is not None
    venue.unusual = rules.hours or rules.fill == "alpaca-paper"
    venue.likely_power, venue.external = rules.queue_power, setup.external
    state["venue"]["spread_shares"][0] = spread_shares(rules.option_slippage, int(venue.policy))
    state["breaker"][0].close_px = rules.breaker[1] if rules.breaker else 0.0


def charge_by(state: State, setup: Setup, ts: int) -> None:
    """Fees as the schedule has them on the trading day of `ts`; what accrued on another day is forgotten."""
    first, day = state["fees"][0], day_of(ts)
    if not setup.schedule or (first.dated and first.day == day.toordinal()):
        return
    first.dated, first.day = 1, day.toordinal()
    names = SCHEDULED if setup.schedule == "auto" else (setup.schedule,)
    for record, schedule in zip(state["fees"], names, strict=True):
        for name, value in asdict(SCHEDULES[schedule].at(day)).items():
            record[name] = value
        record.levy = record.section_31 = record.activity = record.audit = record.clearing = 0.0


def more_slots(state: State, capacity: int) -> None:
    """Grow the order pool."""
    state["pool"] = memory.more_slots(state["pool"], state["rings"][0], capacity)


def more_messages(state: State, capacity: int) -> None:
    """Grow both rings of the wire."""
    state["transit"] = memory.more_messages(state["transit"], state["rings"][0], capacity)


def more_behind(state: State) -> None:
    """Make room in the table of orders behind ours."""
    state["behind"] = queues.more_room(state["behind"], state["rings"][0], state["instruments"], state["pool"])


def more_instruments(state: State, setup: Setup, capacity: int) -> None:
    """Make room for instrument_ids below `capacity`."""
    known = len(state["instruments"])
    memory.more_instruments(state, capacity)
    set_terms(state, setup, known)
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
    own = given.listed[first : first + len(them)]
    them["listed"] = 0
    them["listed"][: len(own)] = own
    them["band_tier"] = np.where(them["listed"] == 1, setup.rules.bands, 0)
    if setup.rules.account == "alpaca":
        them["unshortable"][: len(own)] = np.asarray(own) == 0  # coins: nobody lends them there
    state["breaker"][0].index = 1 + setup.rules.breaker_id
    for i in setup.rules.unshortable:
        if 0 <= i - first < len(them):
            them["unshortable"][i - first] = 1
    them["near"] = memory.nearness(them["tick_size"])
    if setup.schedule == "auto":
        own = given.charged[first : first + len(them)]
        them["fees"][: len(own)] = own
    for it, contract in zip(them, given.contracts[first : first + len(them)], strict=False):
        _set_contract(state, setup, it, contract)
    for name in ("under", "group"):
        state["market"][name][first:] = them[name]


def _set_contract(state: State, setup: Setup, it: Any, contract: tuple[float, ...]) -> None:
    if not contract:
        return
    known, rules = it.right != 0, setup.rules
    for name, value in zip(CONTRACT, contract, strict=True):
        it[name] = value * 1e9 if name in ("last_trade", "settled") else value
    shares = spread_shares(rules.option_slippage, POLICIES[rules.fill])
    it.spread_share = 0.0 if setup.external else travel_alone(shares)
    if it.spread_share > 0.0:
        state["venue"][0].unusual = 1
    if not known:
        clock = state["clock"][0]
        it.due = it.last_trade
        clock.bell = min(clock.bell, it.due)
