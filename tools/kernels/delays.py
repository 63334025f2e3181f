"""When what a session sends and hears arrives where delays are not constant: drawn or recorded (`latency`), in order.

There are four: the feed's, those of requests, of cancels, and of answers. `desk.delay_*[which]` hold each one's model;
a recording or a table of quantiles lies in the row `delay_row` of the wire, `due` and `ts` of its messages. Messages of
each kind are numbered as they leave, ticks by their row, so a draw depends on nothing else.
"""

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.latency import CONSTANT, LOGNORMAL, QUANTILES, interpolated, lognormal_of, quantile_of, uniform
from gpi.tools.kernels.orders import WITHDRAW, Array

FEED, ORDER, CANCEL, RESPONSE = 0, 1, 2, 3


@borrowing
def delayed(desk: Array, wire: Array, which: int, ts: int, number: int) -> int:
    """The delay of message `number` that leaves at `ts`, ns."""
    d = desk[0]
    kind = int(d.delay_kind[which])
    if kind == CONSTANT:
        return int(d.delay_floor[which])
    row, rows = int(d.delay_row[which]), int(d.delay_rows[which])
    if kind == LOGNORMAL or kind == QUANTILES:
        drawn = uniform(d.delay_seed, 2 * number + which // 2, which % 2)
        if kind == LOGNORMAL:
            return int(d.delay_floor[which]) + lognormal_of(d.delay_mu[which], d.delay_sigma[which], drawn)
        return quantile_of(wire["ts"][row, :rows], drawn)
    return interpolated(wire["due"][row, :rows], wire["ts"][row, :rows], ts)


@borrowing
def reaches_venue(desk: Array, wire: Array, ts: int, kind: int) -> int:
    """When a request sent at `ts` reaches the venue: never before the one before it."""
    d = desk[0]
    d.asked += 1
    delay = delayed(desk, wire, CANCEL if kind == WITHDRAW else ORDER, ts, d.asked)
    d.last_request = max(ts + delay, d.last_request)
    return int(d.last_request)


@borrowing
def reaches_trader(desk: Array, wire: Array, ts: int) -> int:
    """When an answer given at `ts` reaches the trader: no sooner than the market data of that moment."""
    d = desk[0]
    d.answered += 1
    least = ts + max(delayed(desk, wire, RESPONSE, ts, d.answered), d.feed_ns)
    d.last_response = max(least, d.last_response, d.now if d.feed_varies else least)
    return int(d.last_response)


@borrowing
def hears(desk: Array, wire: Array, ts: int) -> int:
    """When the tick of this row reaches the trader by its own delay; it waits for the one before it all the same."""
    return ts + delayed(desk, wire, FEED, ts, desk[0].row)
