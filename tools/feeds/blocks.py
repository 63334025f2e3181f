"""What one pass over the symbols and times of a vendor's table finds: its instruments, and its sorted runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpi.formats.frame import Array
from gpi.tools.feeds.sources import EVER, NAMELESS, UNWANTED, Block


def identified(symbols: pa.Array, ids: Mapping[str, int]) -> Array:
    """The id of every row: UNWANTED when the symbol has none, NAMELESS when it is null or empty."""
    said = pc.fill_null(symbols, "").dictionary_encode()
    known = [ids.get(s, UNWANTED) if s else NAMELESS for s in said.dictionary.to_pylist()]
    return np.asarray(np.asarray([*known, NAMELESS], np.int32)[said.indices.to_numpy()])


@dataclass(slots=True)
class Index:
    """What one pass over symbols and times finds."""

    stepped: bool = False  # whether the smallest step is wanted
    symbols: dict[str, None] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)
    spans: list[tuple[str, Block]] = field(default_factory=list)  # rows of one group, unless groups interleave
    rows: int = 0
    first: int = 0
    last: int = 0
    interleaved: bool = False  # a group stands in more than one block
    step: int = 0  # the smallest positive step between two rows of a symbol that stand together

    def add(self, symbols: pa.Array, groups: pa.Array, times: Array) -> None:
        """The next rows: their symbols, what they are grouped by, and their times (ns)."""
        if not len(times):
            return
        said = pc.fill_null(symbols, "").dictionary_encode()
        self.symbols |= dict.fromkeys(said.dictionary.to_pylist())  # in order of appearance
        ((first, last),) = _extents(times, np.zeros(1, np.int64))
        self.first, self.last = _least(self.first, first), max(self.last, last)
        if self.stepped:
            self._step(said.indices.to_numpy(), times)
        grouped = said if groups is symbols else pc.fill_null(groups, "").dictionary_encode()
        if not self.interleaved:
            self._span(grouped.indices.to_numpy(), grouped.dictionary.to_pylist(), times)
        self.rows += len(times)

    def _step(self, codes: Array, times: Array) -> None:
        order = np.argsort(codes, kind="stable")
        steps = np.diff(times[order])[np.diff(codes[order]) == 0]
        positive = steps[steps > 0]
        if len(positive):
            self.step = _least(self.step, int(positive.min()))

    def _span(self, codes: Array, words: list[str], times: Array) -> None:
        """The blocks of these rows, until a group comes again: then the table is one run, and its blocks are nothing.

        A block cut by a batch is one block.
        """
        self.groups |= dict.fromkeys(words)
        starts = np.concatenate(([0], np.flatnonzero(np.diff(codes)) + 1))
        continued = bool(self.spans) and self.spans[-1][0] == words[codes[0]]
        self.interleaved = len(self.spans) + len(starts) - continued > len(self.groups)
        if self.interleaved:
            self.spans.clear()
            return
        edges = [*starts.tolist(), len(codes)]
        for k, (first, last) in enumerate(_extents(times, starts)):
            block = Block(self.rows + edges[k], self.rows + edges[k + 1], first, last)
            if k == 0 and continued:
                before = self.spans.pop()[1]
                extent = _least(before.first, block.first), max(before.last, block.last)
                block = Block(before.start, block.stop, *extent)
            self.spans.append((words[codes[edges[k]]], block))

    def blocks(self, wanted: frozenset[str] | None) -> tuple[Block, ...]:
        """The sorted runs: one per group where each stands in one block, else the table."""
        if self.interleaved:
            return (Block(0, self.rows, self.first, self.last),)
        skipped = set() if wanted is None else self.symbols.keys() - wanted - {""}
        return tuple(block for group, block in self.spans if group not in skipped)


def _extents(times: Array, starts: Array) -> list[tuple[int, int]]:
    """The first and the last sane (positive) time of the rows from each start to the next; 0 and 0 without one."""
    first = np.minimum.reduceat(np.where(times > 0, times, EVER), starts).tolist()
    last = np.maximum.reduceat(times, starts).tolist()
    return [(a, b) if b > 0 else (0, 0) for a, b in zip(first, last, strict=True)]


def _least(a: int, b: int) -> int:
    return min(a, b) if a and b else a or b
