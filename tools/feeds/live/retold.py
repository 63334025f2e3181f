"""A journal told again: the very stream that the capture published, made by the same fold from the same records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from gpi.formats.errors import BadInput
from gpi.formats.frame import Frame
from gpi.formats.ticks import MAX_LEVELS
from gpi.tools.feeds.live.intake import Intake
from gpi.tools.feeds.live.journal import Kind, Record, read
from gpi.tools.feeds.live.subscription import Subscription

ODD: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
AT_ONCE: Final = 256  # records folded together


class Journaled:
    """A journal's stream. `about` is what its first process captured. Raises BadInput when it is no journal.

    Where an old journal does not say whether it was the vendor's own feed, no time is rejected.
    """

    def __init__(self, folder: Path) -> None:
        self._records = read(folder)
        first = next(self._records, None)
        if first is None or first.kind != Kind.BEGIN:
            raise BadInput(f"{folder} does not begin as a capture's journal does: are its first segments gone?")
        self._first = first
        self._folder = folder
        words = self._words(first)
        self.about: dict[str, Any] = {"live": False, **words}
        self._named = [name for name in ("vendor", "asset", "levels", "live") if name in words]
        self.subscription = Subscription.of(self.about)

    def frames(self, intake: Intake, stopped: Callable[[], bool]) -> Iterator[Frame]:
        """All rows, in frames of the rows of some records. Raises BadInput where another feed's records follow."""
        records = chain([self._first], self._records)
        while batch := list(islice(records, AT_ONCE)):
            self._same_feed(batch)
            try:
                frames = intake.take(batch).frames
            except (
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                IndexError,
                RecursionError,
            ) as wrong:  # nothing of ours writes it
                raise BadInput(f"{self._folder} holds a record that no capture writes: {wrong!r}") from None
            yield from frames
            if stopped():
                return
        yield from intake.finish().frames

    def _same_feed(self, batch: list[Record]) -> None:
        for record in batch:
            if record.kind == Kind.BEGIN:
                about = self._words(record)
                if any(about.get(name, self.about[name]) != self.about[name] for name in self._named):
                    raise BadInput(f"{self._folder} holds two feeds: give each capture a journal of its own")

    def _words(self, record: Record) -> dict[str, Any]:
        """What a process set out to capture. Raises BadInput for what is nothing of the kind."""
        try:
            about: dict[str, Any] = json.loads(record.payload)
            Subscription.of(about)
            good = isinstance(about["levels"], int) and 0 <= about["levels"] <= MAX_LEVELS
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise BadInput(f"{self._folder} does not say what was captured as `gpi capture` says it")
        return about
