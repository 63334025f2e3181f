"""The suite: every row of the fault table, in its order."""

from __future__ import annotations

from typing import Final

from gpi.tools.chaos import folding, journals, kills, models, settings, streams
from gpi.tools.chaos.rows import Row

ROWS: Final[tuple[Row, ...]] = tuple(
    sorted(
        (*streams.ROWS, *journals.ROWS, *settings.ROWS, *models.ROWS, *folding.ROWS, *kills.ROWS),
        key=lambda row: row.id,
    )
)
