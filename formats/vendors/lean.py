"""QuantConnect LEAN tick files (AlgoSeek data): quotes and trades of US equities.

The quotes are AlgoSeek's national best rows ("QUOTE BID NB", "QUOTE ASK NB"): each change of the
NBBO is a bid row and right behind it an ask row of the same time, an unchanged side repeated,
`exchange` naming who shows it. (In the BAC and IBM sample all 1,034,069 bid rows are followed by an
ask row of the same millisecond, and the last bid with the last ask reproduces LEAN's own second
bars.) So the two rows are one quote, and keeping a last quote per exchange would leave prices
standing that nobody shows any more. Sizes are in shares. `cond` is AlgoSeek's hexadecimal mask; it
is not interpreted. Trades at exchange D were reported by FINRA.
"""

from typing import Final

import numpy as np

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instrument, equity
from gpi.formats.quarantine import Flaws, Reason
from gpi.formats.vendors.layout import Building, Raw, Vendor
from gpi.formats.words import OFF_EXCHANGE, QUOTE, TRADE


def decode_quotes(raw: Raw) -> tuple[Frame, Flaws]:
    """One side per row, for a book of halves; seq is the row number."""
    frame = raw.blank()
    frame["ts_event"][:] = frame["ts_recv"][:] = raw.nanos("ts")
    frame["kind"][:] = QUOTE
    for side in ("bid", "ask"):
        frame[f"{side}_px"][:], frame[f"{side}_sz"][:] = raw.prices(f"{side}_px"), raw.sizes(f"{side}_sz")
    neither = np.isnan(frame["bid_px"]) & np.isnan(frame["ask_px"])
    return frame, np.where(neither, Reason.NOT_FINITE, _suspicious(raw)).astype(np.int8)


def decode_trades(raw: Raw) -> tuple[Frame, Flaws]:
    """A TRADE per row, its aggressor unknown; seq is the row number."""
    frame = raw.blank()
    frame["ts_event"][:] = frame["ts_recv"][:] = raw.nanos("ts")
    frame["kind"][:] = TRADE
    frame["trade_px"][:], frame["trade_sz"][:] = raw.prices("price"), raw.numbers("size")
    frame["flags"][raw.equal("exchange", "D")] = OFF_EXCHANGE
    return frame, _suspicious(raw)


def _suspicious(raw: Raw) -> Flaws:
    if "suspicious" not in raw.batch.schema.names:
        return np.zeros(raw.batch.num_rows, np.int8)
    return np.where(raw.integers("suspicious") != 0, Reason.SUSPICIOUS, 0).astype(np.int8)


def instrument(symbol: str) -> Instrument:
    """A US share, quoted and traded on all exchanges."""
    return equity(symbol, "NMS")


LEAN_QUOTES: Final = Vendor(
    name="LEAN quotes",
    needs=("ts", "symbol", "bid_px", "bid_sz", "ask_px", "ask_sz", "exchange", "suspicious"),
    clock="ts",
    decode=decode_quotes,
    instrument=instrument,
    building=Building.HALVES,
)
LEAN_TRADES: Final = Vendor(
    name="LEAN trades",
    needs=("ts", "symbol", "price", "size", "exchange"),
    clock="ts",
    decode=decode_trades,
    instrument=instrument,
    also=("suspicious",),
)
