"""Quotes of single exchanges (NYSE TAQ style): a row is one exchange's bid and ask.

The NBBO must be built over all exchanges. A side that the exchange does not quote is null, or has
price 0 and size 0. Sizes are in shares. Trades in the same style are read by formats.vendors.lean.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpi.formats.frame import Frame
from gpi.formats.quarantine import Flaws, Reason
from gpi.formats.vendors.layout import Building, Raw, Vendor
from gpi.formats.vendors.lean import instrument
from gpi.formats.words import QUOTE

EXCHANGES: Final = pa.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))  # the SIPs' one-letter codes


def decode_quotes(raw: Raw) -> tuple[Frame, Flaws]:
    """One exchange's quote per row, for a book of exchanges; seq is the row number."""
    frame = raw.blank(Building.EXCHANGES)
    frame["ts_event"][:] = frame["ts_recv"][:] = raw.nanos("ts")
    frame["kind"][:] = QUOTE
    for side in ("bid", "ask"):
        px, sz = raw.numbers(f"{side}_px"), raw.sizes(f"{side}_sz")
        frame[f"{side}_px"][:] = np.where((px == 0) & (sz == 0), np.nan, px)
        frame[f"{side}_sz"][:] = sz
    codes = pc.index_in(raw.batch.column("exchange"), value_set=EXCHANGES).fill_null(-1)
    frame["place"][:] = codes.to_numpy(zero_copy_only=False)
    return frame, np.where(frame["place"] < 0, Reason.UNKNOWN_EVENT, 0).astype(np.int8)


TAQ_QUOTES: Final = Vendor(
    name="TAQ quotes",
    needs=("ts", "symbol", "bid_px", "bid_sz", "ask_px", "ask_sz", "exchange"),
    clock="ts",
    decode=decode_quotes,
    instrument=instrument,
    building=Building.EXCHANGES,
)
