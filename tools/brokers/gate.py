"""The broker's own gate: whether an order may be sent now, by what holds trading back and by what works already."""

from __future__ import annotations

from gpi.formats.answers import Ask
from gpi.tools.brokers import wire
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.holds import ACTIVE, Holds
from gpi.tools.brokers.life import INTENT, Life


def refuses(holds: Holds, blotter: Blotter, ask: Ask, key: str, waiting: Life | None = None) -> str:
    """Why an order may not be sent now, "" when it may.

    Two orders cannot reduce the same shares: what works already on this side reduces first. `waiting`: the order
    itself, judged again when its turn comes; of those that wait with it none counts.
    """
    if holds.level == ACTIVE and key not in holds.blocks:
        return ""
    position = blotter.position(key)
    for life in blotter.open:
        counts = life is not waiting and (waiting is None or life.state != INTENT)
        if counts and life.ask.side == ask.side and wire.key(life.ask.symbol) == key:
            position += ask.side * life.leaves
    return holds.refuses(key, ask.side, ask.qty, float(position))
