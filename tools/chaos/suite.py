"""The suite: every row of the fault table, in its order."""

from __future__ import annotations

from typing import Final

from gpi.tools.chaos.cases import (
    canary,
    departures,
    feeds,
    folding,
    journals,
    kills,
    lives,
    machine,
    models,
    nonsense,
    planted,
    restarts,
    safety,
    settings,
    soak,
    streams,
    wire,
)
from gpi.tools.chaos.rows import Row

TOPICS: Final = (
    canary,
    departures,
    feeds,
    folding,
    journals,
    kills,
    lives,
    machine,
    models,
    nonsense,
    planted,
    restarts,
    safety,
    settings,
    soak,
    streams,
    wire,
)
ROWS: Final[tuple[Row, ...]] = tuple(sorted((row for topic in TOPICS for row in topic.ROWS), key=lambda row: row.id))
