"""A vendor's messages as ticks, item by item in plain Python: what any decoder must give."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack
import numpy as np

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.ticks import HALTED, PAUSED, QUOTE, STATUS, TICKS, TRADE
from gpi.tools.feeds.wirenames import instrument


class Rejected(NamedTuple):
    """An item that is no tick."""

    reason: str
    raw: Any
    symbol: str


class Decoded(NamedTuple):
    """What some messages held."""

    frame: Frame | None
    controls: list[dict[str, Any]]
    rejected: list[Rejected]


class PlainDecoder:
    """Both vendors, stocks; slow."""

    def __init__(self, asset: str, instruments: Instruments) -> None:
        self.asset = asset
        self.instruments = instruments

    def decode_many(self, messages: Sequence[bytes], ts_recvs: Sequence[int]) -> Decoded:
        """All rows of these messages as one frame."""
        rows: list[dict[str, Any]] = []
        made = Decoded(None, [], [])
        for message, ts_recv in zip(messages, ts_recvs, strict=True):
            try:
                items = json.loads(message) if message[:1] in b"[{" else msgpack.unpackb(message)
            except (ValueError, msgpack.UnpackException):
                made.rejected.append(Rejected("undecodable", message, ""))
                continue
            for item in items:
                kind = item.get("T") or item.get("ev")
                if kind in ("success", "error", "subscription", "status"):
                    made.controls.append(item)
                    continue
                try:
                    rows.append({**self._row(kind, item), "ts_recv": ts_recv})
                except (KeyError, TypeError, ValueError, AttributeError):
                    made.rejected.append(Rejected("malformed", item, str(item.get("S"))))
        if not rows:
            return made
        names = TICKS.names
        return made._replace(frame=Frame.of(TICKS, {n: np.array([row[n] for row in rows]) for n in names}))

    def _row(self, kind: str, item: dict[str, Any]) -> dict[str, Any]:
        nan = float("nan")
        row = {"side": 0, "flags": 0, "seq": 0, "bid_px": nan, "bid_sz": 0.0, "ask_px": nan, "ask_sz": 0.0}
        row |= {"trade_px": nan, "trade_sz": 0.0}
        name = item["S"] if "S" in item else item["sym"]
        t = item["t"]
        if isinstance(t, msgpack.Timestamp):
            row["ts_event"] = t.to_unix_nano()
        elif isinstance(t, str):
            row["ts_event"] = int(np.datetime64(t.rstrip("Z"), "ns").astype(int))
        else:
            row["ts_event"] = t * 1_000_000
        if kind in ("q", "Q"):
            row |= {"kind": QUOTE, "seq": item.get("q", 0), "bid_sz": item["bs"] * 1.0, "ask_sz": item["as"] * 1.0}
            row |= {"bid_px": item["bp"] * 1.0 or nan, "ask_px": item["ap"] * 1.0 or nan}  # 0: nobody bids
        elif kind in ("t", "T"):
            seq = item.get("q") or item.get("i") or 0
            row |= {"kind": TRADE, "seq": int(seq), "trade_px": item["p"] * 1.0, "trade_sz": item["s"] * 1.0}
        elif kind == "s":
            row |= {"kind": STATUS, "flags": {"H": HALTED, "P": PAUSED}.get(item["sc"], 0)}
        else:
            raise KeyError(kind)
        row["instrument_id"] = self.instruments.add(instrument(self.asset, name))
        return row
