"""OrderRequest and ExecutionReport: what a session sends to a broker, and what comes back, recorded as answers/1.

A session that trades elsewhere hears of the world outside only through reports: acknowledgements, fills, cash,
positions, a change of its trading state, a symbol that is blocked. Each is recorded with the row of the stream
before which it arrived, so a live day can be run again from its recording and must give the same orders.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa

from gpi.formats.ticks import NANOSECONDS

# OrderRequest.what
NEW: Final = 1
WITHDRAW: Final = 2
AMEND: Final = 3

# ExecutionReport.action: orders.action (ACCEPTED 4 .. REPLACED 9, REDUCED 13), and beyond orders:
STATE: Final = 20
BLOCK: Final = 21
POSITION: Final = 22
CASH: Final = 23
DAY: Final = 24

ANSWER_WORDS: Final[dict[str, str]] = {
    "STATE": "qty is the trading state from now on: 0 active, 1 reducing, 2 halted",
    "BLOCK": "qty 1: nothing that adds exposure in this instrument; 0: free again",
    "POSITION": "qty is the position, px its average price; fee what one is worth, leaves what was there before",
    "CASH": "px is the cash, qty what of it no order moved: it came or went since the start and is no profit",
    "DAY": "px is the equity with which the UTC day of ts_event began; qty 1: its loss limit was reached already",
}
"""What a broker tells beyond the actions of orders/1."""


class Leg(NamedTuple):
    """One leg of an order of several: an order_id of its own, `ratio` contracts for each unit."""

    order_id: int
    instrument_id: int
    symbol: str
    side: int
    ratio: int


class OrderRequest(NamedTuple):
    """One request of a session: a new order, the withdrawal of one (then only the ids count), or its replacement.

    A replacement keeps its order_id; NaN in `qty` (in all, filled or not), `px`, `stop_px` and `trail`: as it is.
    It is answered by REPLACED with what holds from now on, which is what held before where it was refused.
    """

    what: int
    ts_event: int  # ns, event time of the decision
    order_id: int  # 1, 2, 3, ... within the run
    instrument_id: int
    symbol: str
    side: int = 0  # 1 buy, -1 sell
    order_type: int = 0  # orders.order_type
    tif: int = 0
    qty: float = 0.0
    px: float = float("nan")
    stop_px: float = float("nan")
    trail: float = float("nan")  # in currency, or a fraction where trail_fraction
    trail_fraction: bool = False
    extended: bool = False  # may trade outside the regular session
    parent: int = 0  # order_id of the entry whose fill wakes this one (bracket, OTO)
    sibling: int = 0  # order_id that ends when this one fills, and the other way round (OCO)
    legs: tuple[
        Leg, ...
    ] = ()  # all or none: then qty is units, px the net of one (a debit), side 0, the ids the first's


class ExecutionReport(NamedTuple):
    """One thing that a broker told a session; absent numbers are NaN or 0. ANSWER_MEANINGS says what each means."""

    ts_event: int
    action: int
    order_id: int = 0
    instrument_id: int = -1
    side: int = 0
    qty: float = 0.0
    px: float = float("nan")
    leaves: float = 0.0
    fee: float = float("nan")
    liquidity: int = 2
    reason: int = 0


def _field(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


ANSWERS: Final = pa.schema(
    [
        _field("row", pa.int64()),
        _field("ts_event", NANOSECONDS),
        _field("action", pa.int8()),
        _field("order_id", pa.int64()),
        _field("instrument_id", pa.int32()),
        _field("side", pa.int8()),
        _field("qty", pa.float64()),
        _field("px", pa.float64()),
        _field("leaves", pa.float64()),
        _field("fee", pa.float64()),
        _field("liquidity", pa.int8()),
        _field("reason", pa.int16()),
    ],
    metadata={"gpi.schema": "answers/1"},
)

ANSWER_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "row": ("number", "rows of the stream the session had seen when it arrived"),
    "ts_event": ("ns UTC", "when it happened there"),
    "action": ("answer", "what it says: one of these, or of action ACCEPTED to REPLACED, and REDUCED"),
    "order_id": ("id", "the session's, as in orders/1; 0: about no order"),
    "instrument_id": ("id", "row of the instrument table in the metadata; -1: about none"),
    "side": ("side", "FILLED: the order's; a fill may come when its order is thought to have ended"),
    "qty": ("size", "FILLED: of this execution; else of the order, or as `action` says"),
    "px": ("price", "FILLED: of this execution; else of the order, or as `action` says"),
    "leaves": ("size", "unfilled after it; POSITION: how much of it was there before, unknown to the session"),
    "fee": (
        "money",
        "FILLED: what it cost; NaN: by the session's own schedule; POSITION: what one is worth (NaN: what it cost)",
    ),
    "liquidity": ("liquidity", "FILLED: whether our order rested"),
    "reason": ("reason", "of REJECTED, and of REPLACED that changes nothing; else 0"),
}
"""Unit and meaning of every column of answers/1."""
