"""The trading day: what its bells do to orders. When they ring is told from outside (`clock.bell`, `clock.part`).

At the close DAY orders end, at the end of the late session the extended ones; a GTC order ends after 90 days. With
`venue.hours`, orders that may not trade outside the regular session are asleep there and meet the first quote after
the opening bell.
"""

from gpi.formats.words import CLS, DAY, DAY_NS, EXPIRED, GTC, OPG
from gpi.tools.kernels.exchange.responses import end
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import ASLEEP, EARLY, GONE, IN_FLIGHT, LATE, REGULAR, RESTING, SHUT, SWEEPING, Engine

LONGEST_GTC = 90 * DAY_NS


@borrowing
def may_trade(e: Engine, slot: int, listed: int) -> bool:
    """May this order trade in the present part of the day?"""
    if not (e.venue.hours and listed) or e.clock.part == REGULAR:
        return True
    return bool(e.pool[slot].extended and (e.clock.part == EARLY or e.clock.part == LATE))


@borrowing
def over(part: int, tif: int, extended: int, age: int) -> bool:
    """Does an order end when this part of the day begins?"""
    if part == LATE:
        return (tif == DAY and not extended) or tif == OPG
    if part == SHUT:
        return tif == DAY or tif == OPG or tif == CLS or (tif == GTC and age >= LONGEST_GTC)
    return False


@borrowing
def ring(e: Engine, ts: int, part: int) -> None:
    """The bell: `part` of the trading day begins at `ts`, for everything that keeps the exchange's hours."""
    e.clock.part = part
    if part == REGULAR:
        e.clock.opened = ts
    for i in range(e.instruments.shape[0]):
        it = e.instruments[i]
        if not it.listed:
            continue
        for head in (it.buys, it.sells):
            slot = head
            while slot >= 0:
                o, this = e.pool[slot], slot
                slot = o.next
                if o.place == IN_FLIGHT or o.place == GONE:
                    continue
                live = o.place == RESTING or o.place == SWEEPING
                if over(part, o.tif, o.extended, ts - o.since):
                    end(e, this, ts, EXPIRED, 0)
                elif live and not may_trade(e, this, it.listed):
                    o.place = ASLEEP
                elif o.place == ASLEEP and may_trade(e, this, it.listed):
                    o.place = SWEEPING
