"""A queue known order by order: what was there before us, what came behind, and what happens to either.

The policy FIFO. When our order gets its place, all that is displayed at its price stands before it. From then on the
orders that join there are remembered, by their number, in a table: they are behind. An event of any other order at our
price is of one before us.

- One before us that shrinks, goes or trades shortens the queue by exactly that.
- One behind us that trades could not have before us: the trade is ours first, and nobody is before us any more.
- What trades before us fills us only by what exceeds the queue: where the stream has not told all.
- An execution at a worse price has gone through ours.
- Trades that name no order follow the other policies' rule, and no queue is longer than the display at its price:
  a recording of few levels does not tell what happens beyond them.

The size of a trade is given once among our own orders, in time order; the recorded orders live as they were recorded.
Only orders behind one of ours are in the table, so it stays small however many there are.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from gpi.formats.words import ADD, BUY, DELETE, EXECUTE, MAKER, TAKER
from gpi.tools.kernels.exchange.responses import SMALL, fill
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import ENTRY, FIFO, OPEN, RESTING, SWEEPING, Array, Engine
from gpi.tools.kernels.shared import Record
from gpi.tools.kernels.ticks import EVENT

COLUMNS: Final = ("order_ref", "order_act", "order_side", "order_px", "order_sz")
FIRST: Final = 16  # entries of a fresh table; always a power of two, at most half of them used
FACTOR, MASK = 1_000_003, (1 << 42) - 1  # their product stays below 2**63: no overflow, with the JIT on or off


def table(entries: int = FIRST) -> Array:
    """An empty table of a power of two of entries."""
    return np.zeros(entries, ENTRY)


NO_EVENTS: Final = np.zeros(0, EVENT)


def told(columns: Mapping[str, Array], policy: int) -> Array:
    """The columns of single orders of a frame as one EVENT a row; none where it has none, or they are not asked for."""
    if policy != FIFO or COLUMNS[0] not in columns:
        return NO_EVENTS
    made = np.empty(len(columns[COLUMNS[0]]), EVENT)
    for name, column in zip(EVENT.names or (), COLUMNS, strict=True):
        made[name] = columns[column]
    return made


@borrowing
def home(behind: Array, i: int, ref: int) -> int:
    """Where the search for an order begins."""
    low, high = np.int64(ref) & MASK, (np.int64(ref) >> np.int64(42)) & MASK
    mixed = (low * FACTOR + high) & MASK
    mixed = ((mixed ^ mixed >> np.int64(19)) * FACTOR + np.int64(i)) & MASK
    return int((mixed ^ mixed >> np.int64(17)) & np.int64(behind.shape[0] - 1))


@borrowing
def place(behind: Array, i: int, ref: int) -> int:
    """Where an order of instrument `i` stands in the table, or the free entry where it belongs."""
    at = home(behind, i, ref)
    while behind[at].used and (behind[at].ref != ref or behind[at].instrument_id != i):
        at = at + 1 if at + 1 < behind.shape[0] else 0
    return at


@borrowing
def put(behind: Array, i: int, side: int, ref: int, turn: int, px: float, left: float) -> int:
    """Enter an order, or what is new of it; returns 1 for a new entry. The table must have a free one."""
    e = behind[place(behind, i, ref)]
    new = 1 - e.used
    e.used = 1
    e.instrument_id = i
    e.side = side
    e.ref = ref
    e.turn = turn
    e.px = px
    e.left = left
    return int(new)


@borrowing
def drop(behind: Array, at: int) -> None:
    """Free an entry; those that stood further on because of it move up."""
    free, size = at, behind.shape[0]
    behind[free].used = 0
    at = at + 1 if at + 1 < size else 0
    while behind[at].used:
        begun = home(behind, behind[at].instrument_id, behind[at].ref)
        if (at - begun) % size >= (at - free) % size:
            behind[free] = behind[at]
            behind[at].used = 0
            free = at
        at = at + 1 if at + 1 < size else 0


@borrowing
def awaited(instruments: Array, pool: Array, entry: Record) -> bool:
    """Does an order of ours still stand before this entry at its price?"""
    it = instruments[entry.instrument_id]
    slot = it.buys if entry.side == BUY else it.sells
    while slot >= 0:
        o = pool[slot]
        if (o.place == RESTING or o.place == SWEEPING) and abs(o.px - entry.px) <= it.near and entry.turn > o.joined:
            return True
        slot = o.next
    return False


@borrowing
def move(behind: Array, grown: Array, instruments: Array, pool: Array) -> int:
    """Enter into an empty table what of another is still awaited; returns how many that are."""
    kept = 0
    for at in range(behind.shape[0]):
        e = behind[at]
        if e.used and awaited(instruments, pool, e):
            kept += put(grown, e.instrument_id, e.side, e.ref, e.turn, e.px, e.left)
    return kept


def more_room(behind: Array, rings: Record, instruments: Array, pool: Array) -> Array:
    """A table that is at most a quarter full: of the same size, if forgetting is enough."""
    size = len(behind)
    while True:
        grown = table(size)
        rings.kept = move(behind, grown, instruments, pool)
        if 4 * rings.kept <= size:
            return grown
        size *= 2


@borrowing
def join(e: Engine, i: int, event: Record) -> None:
    """An order joins the book: if one of ours stands at its price, it is behind that."""
    it = e.instruments[i]
    slot, ours = (it.buys if event.side == BUY else it.sells), False
    while slot >= 0:
        o = e.pool[slot]
        slot = o.next
        if (o.place == RESTING or o.place == SWEEPING) and abs(o.px - event.px) <= it.near:
            ours = True
            break
    if ours:
        it.joins += 1
        e.rings.kept += put(e.behind, i, event.side, event.ref, it.joins, event.px, event.left)


@borrowing
def on_event(e: Engine, i: int, ts: int, event: Record, fills: bool) -> None:
    """What happened to one order of the book happens to the queues of ours; `fills`: an execution may fill them."""
    if event.act == ADD:
        join(e, i, event)
        return
    it = e.instruments[i]
    at = place(e.behind, i, event.ref)
    turn = e.behind[at].turn if e.behind[at].used else 0
    if turn:
        e.behind[at].left -= event.left
        if event.act == DELETE or not e.behind[at].left > SMALL * event.left:
            drop(e.behind, at)
            e.rings.kept -= 1
    left = event.left if fills and event.act == EXECUTE and it.phase == OPEN else 0.0
    slot = it.buys if event.side == BUY else it.sells
    while slot >= 0:
        o, this = e.pool[slot], slot
        slot = o.next
        if o.place != RESTING and o.place != SWEEPING:
            continue
        through = o.side * (o.px - event.px)
        if through < -it.near:
            break
        reach = left
        if through <= it.near:
            if turn > o.joined:
                if event.act == EXECUTE:
                    o.queue = 0.0
            else:
                reach = min(left, event.left - o.queue)
                o.queue = max(0.0, o.queue - event.left)
        got = min(o.leaves, reach)
        if got > SMALL * max(o.qty, event.left):
            left -= got
            fill(e, this, ts, got, o.px if o.px == o.px else event.px, MAKER if o.px == o.px else TAKER)
