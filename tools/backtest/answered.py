"""answers.parquet: what a broker told a live session, kept by row, and told again when the run is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from gpi.formats.errors import BadInput
from gpi.formats.execution import ANSWERS, ExecutionReport
from gpi.formats.frame import Frame, Layout
from gpi.formats.imports.arrow import pq
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.traded import NOTHING, Traded, joined

COLUMNS: Final = tuple(name for name in ANSWERS.names if name != "row")


def recorded(row: int, reports: list[ExecutionReport]) -> Frame:
    """Answers that arrived when `row` rows had been seen, as rows of answers/1."""
    frame = Layout.of(ANSWERS).empty(len(reports))
    frame["row"][:] = row
    for name in COLUMNS:
        frame[name][:] = [getattr(report, name) for report in reports]
    return frame


class Script:
    """The answers of a run, in the order and at the rows at which they came."""

    def __init__(self, rows: list[int], reports: list[ExecutionReport]) -> None:
        self._rows, self._answers, self._at = rows, reports, 0

    @classmethod
    def read(cls, path: Path) -> Script:
        """Read answers.parquet of a run. Raises BadInput where it cannot be read."""
        try:
            table = pq.read_table(path)
            columns = [table[name].to_numpy() for name in ("row", *COLUMNS)]
        except (OSError, ValueError, KeyError) as wrong:
            raise BadInput(f"cannot read the answers of a run from {path}: {wrong}") from wrong
        rows, *rest = [(v.view(np.int64) if v.dtype.kind == "M" else v).tolist() for v in columns]
        return cls(rows, [ExecutionReport(*each) for each in zip(*rest, strict=True)])

    def due(self, row: int) -> list[ExecutionReport]:
        """The answers that had come by `row`, not yet told."""
        start = self._at
        while self._at < len(self._rows) and self._rows[self._at] <= row:
            self._at += 1
        return self._answers[start : self._at]

    def next_row(self) -> int | None:
        """The row before which the next answer is due."""
        return self._rows[self._at] if self._at < len(self._rows) else None


class Repeated:
    """A live session told again: the same ticks, the same answers at the same rows, so the same orders."""

    def __init__(self, session: Session, script: Script) -> None:
        self.session, self._script = session, script

    def step(self, frame: Frame) -> Traded:
        """Trade a frame, cut where answers came; what is asked for goes nowhere."""
        session, told, start = self.session, list[Traded](), 0
        if frame.notes or not frame.rows:
            return session.step(frame)
        while start < frame.rows:
            seen = int(session.clock.row)
            session.hear(self._script.due(seen))
            due = self._script.next_row()
            stop = frame.rows if due is None else min(frame.rows, start + due - seen)
            told.append(session.step(frame.slice(start, stop)))
            session.requests()
            start = stop
        return joined(told)

    def finish(self) -> Traded:
        """The end, as it was: cancels are asked for, the last answers come, the account is marked."""
        session = self.session
        told = [session.wind_down()]
        session.requests()
        session.hear(self._script.due(int(session.clock.row)))
        told.append(session.finish())
        return joined([each for each in told if each is not NOTHING] or [NOTHING])
