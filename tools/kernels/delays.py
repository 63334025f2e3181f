"""When a message of the wire arrives where delays are recorded: interpolated between round trips (`latency`), in order.

The recording lies in the third row of the wire: `due`, `ts` and `slot` are when a request was sent, when the venue had
it and when its answer was here. `desk.delays` says how many there are.
"""

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.orders import RECORDING, Array


@jit
def recorded(desk: Array, wire: Array, ts: int, back: bool) -> int:
    """The recorded delay at `ts`, to the venue or `back`, linear between the round trips around it; the ends hold."""
    last = desk[0].delays - 1
    low, high = 0, last + 1
    while high - low > 1:
        middle = (low + high) // 2
        if (wire[RECORDING, middle].ts if back else wire[RECORDING, middle].due) <= ts:
            low = middle
        else:
            high = middle
    a, b = wire[RECORDING, low], wire[RECORDING, min(low + 1, last)]
    start, stop = (a.ts, b.ts) if back else (a.due, b.due)
    before = a.slot - a.ts if back else a.ts - a.due
    after = b.slot - b.ts if back else b.ts - b.due
    if stop <= start or ts <= start:
        return int(before)
    return int(before + int(float(after - before) / float(stop - start) * float(ts - start)))


@jit
def reaches_venue(desk: Array, wire: Array, ts: int) -> int:
    """When a request sent at `ts` reaches the venue: never before the one before it."""
    d = desk[0]
    d.last_request = max(ts + recorded(desk, wire, ts, False), d.last_request)
    return int(d.last_request)


@jit
def reaches_trader(desk: Array, wire: Array, ts: int) -> int:
    """When an answer given at `ts` reaches the trader: no sooner than the market data of that moment."""
    d = desk[0]
    d.last_response = max(ts + max(recorded(desk, wire, ts, True), d.feed_ns), d.last_response)
    return int(d.last_response)
