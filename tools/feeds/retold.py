"""A journal told again: the very stream that the capture published, made by the same fold from the same records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame
from gpi.tools.feeds.intake import Intake
from gpi.tools.feeds.journal import Kind, Record, read
from gpi.tools.feeds.subscription import Subscription

AT_ONCE: Final = 256  # records folded together


class Journaled:
    """A journal's stream. `about` is what its first process captured. Raises BadInput when it is no journal."""

    def __init__(self, folder: Path) -> None:
        self._records = read(folder)
        first = next(self._records, None)
        if first is None or first.kind != Kind.BEGIN:
            raise BadInput(f"{folder} does not begin as a capture's journal does")
        self._first = first
        self._folder = folder
        self.about: dict[str, Any] = json.loads(first.payload)
        self.subscription = Subscription.of(self.about)

    def frames(self, intake: Intake, stopped: Callable[[], bool]) -> Iterator[Frame]:
        """All rows, in frames of the rows of some records. Raises BadInput where another feed's records follow."""
        records = chain([self._first], self._records)
        while batch := list(islice(records, AT_ONCE)):
            self._same_feed(batch)
            yield from intake.take(batch).frames
            if stopped():
                return
        yield from intake.finish().frames

    def _same_feed(self, batch: list[Record]) -> None:
        for record in batch:
            if record.kind == Kind.BEGIN:
                about = json.loads(record.payload)
                if any(about.get(name) != self.about.get(name) for name in ("vendor", "asset", "levels", "live")):
                    raise BadInput(f"{self._folder} holds two feeds: give each capture a journal of its own")
