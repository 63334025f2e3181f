"""When a message of the wire arrives where delays are recorded: interpolated between round trips (`latency`), in order.

The recording lies in the third row of the wire: `due`, `ts` and `slot` are when a request was sent, when the venue had
it and when its answer was here. `desk.delays` says how many there are.
"""

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.latency import interpolated
from gpi.tools.kernels.orders import RECORDING, Array


@borrowing
def to_venue(desk: Array, wire: Array, ts: int) -> int:
    """The recorded delay of a request sent at `ts`, ns."""
    n = desk[0].delays
    return interpolated(wire["due"][RECORDING, :n], wire["ts"][RECORDING, :n], ts)


@borrowing
def to_trader(desk: Array, wire: Array, ts: int) -> int:
    """The recorded delay of an answer given at `ts`, ns."""
    n = desk[0].delays
    return interpolated(wire["ts"][RECORDING, :n], wire["slot"][RECORDING, :n], ts)


@borrowing
def reaches_venue(desk: Array, wire: Array, ts: int) -> int:
    """When a request sent at `ts` reaches the venue: never before the one before it."""
    d = desk[0]
    d.last_request = max(ts + to_venue(desk, wire, ts), d.last_request)
    return int(d.last_request)


@borrowing
def reaches_trader(desk: Array, wire: Array, ts: int) -> int:
    """When an answer given at `ts` reaches the trader: no sooner than the market data of that moment."""
    d = desk[0]
    d.last_response = max(ts + max(to_trader(desk, wire, ts), d.feed_ns), d.last_response)
    return int(d.last_response)
