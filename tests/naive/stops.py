"""Stops, trailing stops and pairs by their definition, on trades alone: one instrument, prices in ticks.

Orders are dicts: id, side, stop (ticks or None), trail (ticks or None), sibling (id or None).
"""

from typing import Any

Order = dict[str, Any]


def triggered(orders: list[Order], trades: list[float], last: float) -> list[tuple[int, int]]:
    """(number of the trade, order id) of every stop that is reached, in order; -1 for one reached on arrival.

    A trigger ends the sibling, because what is triggered here is taken to fill whole.
    """
    told: list[tuple[int, int]] = []
    alive = list(orders)

    def look(number: int, px: float, order: Order) -> None:
        if order["trail"] is not None:
            behind = px + order["side"] * order["trail"]
            old = order["stop"]
            order["stop"] = behind if old is None else min(old, behind) if order["side"] > 0 else max(old, behind)
        if order["side"] * (px - order["stop"]) >= 0:
            told.append((number, order["id"]))

    for order in alive:
        look(-1, last, order)
    gone = {i for _, i in told}
    for number, px in enumerate(trades):
        for order in alive:
            if order["id"] not in gone:
                look(number, px, order)
        gone |= {i for _, i in told}
    return sorted(told)
