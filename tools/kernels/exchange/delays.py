"""When what a session sends and hears arrives where delays are not constant: drawn or recorded (`latency`), in order.

There are four: the feed's, those of requests, of cancels, and of answers. `delays` hold each one's model;
a recording or a table of quantiles lies in the row `delay_row` of the wire, `due` and `ts` of its messages. Messages of
each kind are numbered as they leave, ticks by their row, so a draw depends on nothing else.
"""

from gpi.tools.kernels.exchange.latency import (
    CONSTANT,
    LOGNORMAL,
    QUANTILES,
    interpolated,
    lognormal_of,
    quantile_of,
    uniform,
)
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import WITHDRAW, Engine

FEED, ORDER, CANCEL, RESPONSE = 0, 1, 2, 3


@borrowing
def delayed(e: Engine, which: int, ts: int, number: int) -> int:
    """The delay of message `number` that leaves at `ts`, ns."""
    kind = int(e.delays.model[which])
    if kind == CONSTANT:
        return int(e.delays.floor[which])
    row, rows = int(e.delays.row[which]), int(e.delays.rows[which])
    if kind == LOGNORMAL or kind == QUANTILES:
        drawn = uniform(e.delays.seed, 2 * number + which // 2, which % 2)
        if kind == LOGNORMAL:
            return int(e.delays.floor[which]) + lognormal_of(e.delays.mu[which], e.delays.sigma[which], drawn)
        return quantile_of(e.transit["ts"][row, :rows], drawn)
    return interpolated(e.transit["due"][row, :rows], e.transit["ts"][row, :rows], ts)


@borrowing
def reaches_venue(e: Engine, ts: int, kind: int) -> int:
    """When a request sent at `ts` reaches the venue: never before the one before it."""
    e.delays.asked += 1
    delay = delayed(e, CANCEL if kind == WITHDRAW else ORDER, ts, e.delays.asked)
    e.delays.last_request = max(ts + delay, e.delays.last_request)
    return int(e.delays.last_request)


@borrowing
def reaches_trader(e: Engine, ts: int) -> int:
    """When an answer given at `ts` reaches the trader: no sooner than the market data of that moment."""
    e.delays.answered += 1
    least = ts + max(delayed(e, RESPONSE, ts, e.delays.answered), e.delays.feed_ns)
    e.delays.last_response = max(least, e.delays.last_response, e.clock.now if e.delays.feed_varies else least)
    return int(e.delays.last_response)


@borrowing
def hears(e: Engine, ts: int) -> int:
    """When the tick of this row reaches the trader by its own delay; it waits for the one before it all the same."""
    return ts + delayed(e, FEED, ts, e.clock.row)
