"""What a session's step produced, from the kernel's records to frames of orders/1, fills/1 and equity/1."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gpi.formats.frame import Frame, Layout, concatenated
from gpi.formats.orders import EQUITY, FILLS, ORDERS
from gpi.tools.kernels.data.rows import places, spread
from gpi.tools.kernels.orders import EQUITY_ROW, FILL_ROW, ORDER_ROW, Array

FEW: Final = 128


class Traded(NamedTuple):
    """What a step produced: orders/1, fills/1 and equity/1 rows, often none."""

    orders: Frame
    fills: Frame
    equity: Frame


FIELDS: Final = (places(ORDER_ROW), places(FILL_ROW), places(EQUITY_ROW))
NOTHING: Final = Traded(Layout.of(ORDERS).empty(0), Layout.of(FILLS).empty(0), Layout.of(EQUITY).empty(0))


def framed(quiet: Frame, records: Array, rows: Array, fields: Array, count: int) -> Frame:
    """The first `count` records as a frame; of a few rows the views are made only if somebody looks."""
    if not count:
        return quiet
    if count > FEW:  # numpy's strided copies win once they outweigh fifteen calls
        made = quiet.layout.empty(count)
        for name, view in made.columns.items():
            view[...] = records[name][:count]
        return made
    body = np.empty(quiet.layout.body_bytes(count), np.uint8)
    spread(rows, count, fields, body)
    return Frame.over(quiet.layout, count, body)


def joined(parts: list[Traded]) -> Traded:
    """Several steps as one."""
    if len(parts) == 1:
        return parts[0]
    schemas = (ORDERS, FILLS, EQUITY)
    return Traded(
        *(concatenated(frames, schema) for frames, schema in zip(zip(*parts, strict=True), schemas, strict=True))
    )
