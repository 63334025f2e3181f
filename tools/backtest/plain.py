"""The loop of `gpi.tools.kernels.loop` for a strategy in plain Python: the same engine, one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpi.tools.kernels import engine


def looped(decide: Callable[..., int]) -> Callable[..., int]:
    """A batch loop around a Python `decide`, called with the arguments of `gpi.tools.kernels.loop.run`."""

    def run(*given: Any) -> int:
        desk, instruments, ladders, pool, wire, sent, remembered, params, view, mine, intents = given[:11]
        columns, depth, (features, outlook) = given[11:22], given[22:26], given[26:28]
        out, start = given[28:31], given[31]
        d = desk[0]
        for row in range(start, len(columns[0])):
            ts, i, *rest = [column[row].item() for column in columns]
            asked: Any = (desk, ladders, wire, *out, i)
            d.stop = engine.short_of(*asked)
            if d.stop:
                return row
            tick: Any = (desk, instruments, ladders, pool, wire, view, mine, *out, ts, i, *rest, *depth, row)
            n_orders = engine.before(*tick)
            seen, expected = features[min(row, len(features) - 1)], outlook[min(row, len(outlook) - 1)]
            n = decide(remembered, params, view, seen, expected, mine, n_orders, intents)
            engine.after(desk, instruments, pool, wire, sent, intents, n, i, out[0])
        return len(columns[0])

    return run
