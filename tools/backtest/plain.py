"""The loop of `gpi.tools.kernels.loop` for a strategy in plain Python: the same engine, one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpi.tools.kernels import engine


def looped(decide: Callable[..., int]) -> Callable[..., int]:
    """A batch loop around a Python `decide`, called with the arguments of `gpi.tools.kernels.loop.run`."""

    def run(*given: Any) -> int:
        desk, instruments, ladders, pool, wire, sent, behind, remembered, params, view, mine, intents = given[:12]
        columns, depth, (features, outlook) = given[12:23], given[23:28], given[28:30]
        out, start = given[30:33], given[33]
        short_of: Any = engine.short_of  # a type checker does not follow arguments that come as tuples
        before: Any = engine.before
        many, beyond = len(features) > 1, len(outlook) > 1
        told = [column[start:].tolist() for column in columns]  # Python's own numbers, all at once
        for row, (ts, i, *rest) in enumerate(zip(*told, strict=True), start):
            stop = short_of(desk, ladders, wire, behind, *out, ts, i)
            if stop:
                desk[0].stop = stop
                return row
            n_orders = before(
                desk, instruments, ladders, pool, wire, behind, view, mine, *out, ts, i, *rest, *depth, row
            )
            seen, expected = features[row if many else 0], outlook[row if beyond else 0]
            n = decide(remembered, params, view, seen, expected, mine, n_orders, intents)
            if n:
                engine.after(desk, instruments, pool, wire, sent, intents, n, i, out[0])
        return len(columns[0])

    return run
