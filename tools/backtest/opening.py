"""Opening: what a session begins with, and what comes and goes beside its trading. None of it is profit.

The equity at the start is the cash and every position at the price that the broker itself had for it at reconciliation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from gpi.formats.instruments import Instruments
from gpi.tools.kernels.memory import LONG_AGO
from gpi.tools.kernels.orders import Array
from gpi.tools.stage import State

AMOUNTS: Final = ("qty", "avg_px", "px", "value")
HELD: Final = np.dtype([("instrument_id", np.int64), *((name, np.float64) for name in AMOUNTS)])
"""A position at the start: `px` is what one is worth, `value` all of it."""
MOVED: Final = np.dtype([("ts", np.int64), ("amount", np.float64)])
"""Cash or a position that no order moved, told at event time `ts`: what the equity changed by."""
TOLD_DAY: Final = np.dtype([("day", np.int64), ("equity", np.float64)])
"""A UTC day (days since 1970) that had begun before the session did, and the equity with which it began."""


def begin(state: State) -> None:
    """Before the first tick: what is held now is what the session, and its day, begin with.

    The day's equity stays as told where a former run of the day, or the broker, has told it.
    """
    account, instruments = state["account"][0], state["instruments"]
    held = np.flatnonzero(instruments["position"])
    opening = np.zeros(len(held), HELD)
    opening["instrument_id"], opening["value"] = held, instruments["value"][held]
    opening["qty"], opening["avg_px"] = instruments["position"][held], instruments["avg_px"][held]
    opening["px"] = opening["value"] / (opening["qty"] * instruments["multiplier"][held])
    state["opening"] = opening
    account.start_cash, account.peak = account.cash, account.equity
    if state["clock"][0].day == LONG_AGO:
        account.day_equity = account.equity


def moved(state: State, amount: float) -> None:
    """So much came (or went) that is no profit (or loss): the marks that losses are measured from move with it."""
    account = state["account"][0]
    account.peak += amount
    account.day_equity += amount
    row = np.array([(state["clock"][0].now, amount)], MOVED)
    state["moved"] = np.concatenate([state["moved"], row])


def start_equity(state: State) -> float:
    """Cash and positions with which the session began."""
    return float(state["account"][0].start_cash + state["opening"]["value"].sum())


def profit(state: State) -> float:
    """What the session has made: its equity now less that at the start and what came and went beside it."""
    return float(state["account"][0].equity) - start_equity(state) - float(state["moved"]["amount"].sum())


def told(state: State, instruments: Instruments) -> dict[str, Any]:
    """The start for a manifest: cash, equity and positions, with the price at which each was counted."""
    held = [
        {"symbol": _symbol(instruments, int(each["instrument_id"])), "qty": float(each["qty"]), "px": float(each["px"])}
        for each in state["opening"]
    ]
    day = [{"day": int(each["day"]), "equity": float(each["equity"])} for each in state["told_day"]]
    cash = float(state["account"][0].start_cash)
    return {"cash": cash, "equity": start_equity(state), "positions": held, "told_day": day}


def size(state: State) -> tuple[float, ...]:
    """Changes whenever `told` or `rows` would tell something new."""
    counts = (float(len(state[name])) for name in ("opening", "moved", "told_day"))
    return float(state["account"][0].start_cash), *counts


def rows(state: State) -> dict[str, Any]:
    """What the session began with, and what came and went beside it, as numbers for a log; `read` reads them."""
    return {name: state[name].tolist() for name in ("opening", "moved")}


def read(told: Mapping[str, Any]) -> tuple[Array, Array]:
    """Rows of HELD and of MOVED, as `rows` told them."""
    held, moved = (np.array([tuple(row) for row in told[name]], kind) for name, kind in _KINDS)
    return held, moved


_KINDS: Final = (("opening", HELD), ("moved", MOVED))
NOTHING: Final[dict[str, list[Any]]] = {name: [] for name, _ in _KINDS}
"""As `rows` tells of a session that began with nothing but cash."""


def _symbol(instruments: Instruments, at: int) -> str:
    return instruments[at].symbol if at < len(instruments) else str(at)


def cumulated(rows: Array, ts: Array) -> Array:
    """What had come and gone before each event time; of rows that were told at that very time nothing yet."""
    sums = np.concatenate([[0.0], np.cumsum(rows["amount"])])
    found: Array = sums[np.searchsorted(rows["ts"], ts, side="left")]
    return found
