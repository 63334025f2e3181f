"""Market data made wrong on purpose: the faults that strike single items, each counted by its reason.

Faults are asked at "stream.data.item", only about items that somebody asked for, with the facts symbol and vendor.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gpi.formats.words import SECOND
from gpi.tools.kernels.data import writing as w
from gpi.tools.venue.data.messages import ALPACA, POLYGON, told
from gpi.tools.venue.data.names import alpaca, polygon
from gpi.tools.venue.data.store import Items
from gpi.tools.venue.faults import Fault
from gpi.tools.venue.world import World

if TYPE_CHECKING:
    from gpi.tools.venue.data.tape import Endpoint

Array = npt.NDArray[Any]
PLACE = "stream.data.item"
NEEDED = {"bp", "ap", "p", "o", "b", "val", "sc", "u"}  # without these no client can read an item
Raws = dict[int, dict[str, Any]]


class Spoiler:
    """Asks the faults about items; `injected` counts what was done, by reason and endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.injected: Counter[str] = Counter()
        self._delayed: dict[str, list[tuple[int, Array, Array]]] = {}  # endpoint -> due, item

    def spoiled(self, endpoint: Endpoint, items: Items, wanted: Array) -> tuple[Items, Raws]:
        """The items as they will be told, and those (by place) that are told as the dict given."""
        if not self._world.faults.armed(PLACE) and not self._delayed.get(endpoint.path):
            return items, {}
        rows: list[tuple[Array, Array, dict[str, Any] | None]] = []
        kept_back: list[tuple[Array, Array, dict[str, Any] | None]] = []
        for ints, nums in zip(items.ints, items.nums, strict=True):
            if not wanted[ints[w.I_CHANNEL], ints[w.I_INSTRUMENT]]:
                rows.append((ints, nums, None))
                continue
            before = len(rows)
            rows += self._one(endpoint, ints.copy(), nums.copy(), items, kept_back)
            if kept_back and len(rows) > before:
                rows += kept_back
                kept_back.clear()
        rows += [*kept_back, *self._due(endpoint)]
        ints = np.array([row[0] for row in rows], np.int64).reshape(-1, w.INTS)
        nums = np.array([row[1] for row in rows], np.float64).reshape(-1, w.NUMS)
        raws = {k: row[2] for k, row in enumerate(rows) if row[2] is not None}
        return Items(ints, nums, items.books, items.changes), raws

    def _one(
        self, endpoint: Endpoint, ints: Array, nums: Array, items: Items, kept_back: list[Any]
    ) -> list[tuple[Array, Array, dict[str, Any] | None]]:
        """What becomes of one item: any number of items."""
        instrument = self._world.instruments[int(ints[w.I_INSTRUMENT])]
        name = alpaca(instrument) if endpoint.vendor == "alpaca" else polygon(instrument)
        raw: dict[str, Any] | None = None
        times, extra = 1, []
        for fault in self._world.faults.hits(PLACE, symbol=name, vendor=endpoint.vendor):
            reason = fault.name if fault.name != "nan" else f"value {fault.get('value', 'nan')}"
            self.injected[f"{endpoint.path} {reason}"] += 1
            match fault.name:
                case "lose":
                    times = 0
                case "duplicate":
                    times = 2
                case "reorder":
                    kept_back.append((ints, nums, raw))
                    return []
                case "delay":
                    due = int(ints[w.I_TS]) + int(float(fault.get("seconds", 1)) * SECOND)
                    self._delayed.setdefault(endpoint.path, []).append((due, ints, nums))
                    times = 0
                case "malformed":
                    raw = {k: v for k, v in self._told(endpoint, name, ints, nums, items).items() if k not in NEEDED}
                case "unknown-type":
                    extra.append((ints, nums, {"T": "zz", "ev": "ZZ", "S": name, "sym": name, "t": 0, "x": [1, 2]}))
                case _:
                    changed(fault, ints, nums)
        return [(ints, nums, raw)] * times + extra

    def _told(self, endpoint: Endpoint, name: str, ints: Array, nums: Array, items: Items) -> dict[str, Any]:
        shapes = ALPACA if endpoint.vendor == "alpaca" else POLYGON
        kind = self._world.instruments[int(ints[w.I_INSTRUMENT])].asset_class
        levels = items.changes if endpoint.vendor == "alpaca" else items.books
        book = levels[ints[w.I_BOOK]] if ints[w.I_CHANNEL] in (w.BOOK, w.RESET) else levels[0]
        return told(shapes[kind, int(ints[w.I_CHANNEL])], name, ints, nums, book)

    def _due(self, endpoint: Endpoint) -> list[tuple[Array, Array, dict[str, Any] | None]]:
        waiting = self._delayed.get(endpoint.path, [])
        now = self._world.clock.now()
        self._delayed[endpoint.path] = [each for each in waiting if each[0] > now]
        return [(ints, nums, None) for due, ints, nums in waiting if due <= now]


def changed(fault: Fault, ints: Array, nums: Array) -> None:
    """Change an item the way a fault says: nan (value=), crossed, spike (factor=), wrong-time (seconds=)."""
    quote = ints[w.I_CHANNEL] == w.QUOTE
    prices = [w.N_BID_PX, w.N_ASK_PX] if quote else [w.N_PX]
    match fault.name:
        case "nan":
            nums[prices[0]] = float(fault.get("value", "nan"))
        case "crossed" if quote:
            nums[w.N_BID_PX], nums[w.N_ASK_PX] = nums[w.N_ASK_PX] * 1.001, nums[w.N_BID_PX]
        case "spike":
            nums[prices] *= float(fault.get("factor", 1000))
        case "wrong-time":
            ints[w.I_TS] += int(float(fault.get("seconds", 3600)) * SECOND)
