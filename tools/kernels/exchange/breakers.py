"""Market-wide circuit breakers: the fall of one index from its previous close stops every share and option.

Source: NYSE Rule 7.12 and its like at every US exchange. 7 % and 13 % stop trading for fifteen minutes, once a day each
and not in the last 35 minutes of the regular session (15:25); 20 % for the rest of the day. The previous close of the
first day is told; of the next days it is the index's last trade in the regular session before. Trading begins again as
after a LULD pause, with a fresh quote (`gpi.tools.kernels.exchange.bands.on_quote`).
"""

from gpi.formats.words import SECOND
from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.orders import REGULAR, STOPPED, Engine

STOP_FOR = 15 * 60 * SECOND
LAST_MINUTES = 35 * 60 * SECOND
NIGHT = 8 * 3600 * SECOND  # after the close: nothing trades late on such a day


@borrowing
def level_of(px: float, close: float) -> int:
    """Which level a price has fallen to: 0 to 3."""
    if px <= 0.80 * close:
        return 3
    return 2 if px <= 0.87 * close else 1 if px <= 0.93 * close else 0


@borrowing
def on_trade(e: Engine, ts: int, px: float) -> None:
    """The index trades: a further level that is reached stops the market."""
    if e.clock.part != REGULAR or ts < e.breaker.until:
        return
    if e.breaker.session != e.clock.opened:
        if e.breaker.last_px > 0.0:
            e.breaker.close_px = e.breaker.last_px
        e.breaker.session = e.clock.opened
        e.breaker.level = 0
    e.breaker.last_px = px
    level = level_of(px, e.breaker.close_px)
    if level <= e.breaker.level or (level < 3 and e.clock.bell - ts <= LAST_MINUTES):
        return
    e.breaker.level = level
    e.breaker.until = ts + STOP_FOR if level < 3 else e.clock.bell + NIGHT
    e.venue.pauses += 1
    for i in range(e.instruments.shape[0]):
        it = e.instruments[i]
        if it.listed:
            it.phase = STOPPED
            it.pause_until = e.breaker.until
            it.limit_since = 0
