"""How long each stage takes per frame: a histogram per stage, cheap enough to be always on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import TypeVar

import numpy as np

from gpi.formats.frame import Frame
from gpi.tools.stage import Stage, Stream

Result = TypeVar("Result")

PER_OCTAVE = 8  # buckets per doubling: percentiles are within 9 %


@dataclass
class Latency:
    """Times of one stage, in buckets of 1/8 octave from 1 ns up."""

    name: str
    counts: list[int] = field(default_factory=lambda: [0] * (64 * PER_OCTAVE))
    frames: int = 0
    rows: int = 0
    total_ns: int = 0

    def add(self, ns: int, rows: int) -> None:
        """Count one frame of `rows` rows that took `ns`."""
        octave = ns.bit_length()
        within = (ns << PER_OCTAVE.bit_length() >> octave) & (PER_OCTAVE - 1) if octave else 0
        self.counts[octave * PER_OCTAVE + within] += 1
        self.frames += 1
        self.rows += rows
        self.total_ns += ns

    def percentile(self, share: float) -> float:
        """The time in ns below which `share` (0..1) of the frames took; NaN without frames."""
        if not self.frames:
            return float("nan")
        reached = np.searchsorted(np.cumsum(self.counts), share * self.frames, side="left")
        octave, within = divmod(int(reached), PER_OCTAVE)
        return float(2.0 ** (octave - 1) * (1 + (within + 0.5) / PER_OCTAVE))


@dataclass
class Latencies:
    """The latencies of a chain of stages, in order."""

    stages: list[Latency] = field(default_factory=list)

    def of(self, name: str) -> Latency:
        """A new last stage to count for."""
        latency = Latency(name)
        self.stages.append(latency)
        return latency

    def measured(self, name: str, work: Callable[[Frame], Result]) -> Callable[[Frame], Result]:
        """The same work with its time counted as the stage `name`."""
        latency = self.of(name)

        def timed_work(frame: Frame) -> Result:
            began = perf_counter_ns()
            out = work(frame)
            latency.add(perf_counter_ns() - began, frame.rows)
            return out

        return timed_work

    def timed(self, stage: Stage) -> Stage:
        """The same stage with its time measured."""
        latency = self.of(stage.name)
        step = stage.step

        def measured(state: dict[str, object], frame: Frame) -> Frame:
            began = perf_counter_ns()
            out = step(state, frame)
            latency.add(perf_counter_ns() - began, frame.rows)
            return out

        return Stage(stage.name, stage.needs, stage.gives, stage.start, measured, stage.per_symbol, stage.finish)

    def waited(self, stream: Stream, name: str) -> Stream:
        """The same stream with the time between frames counted as `name` (reading or waiting)."""
        latency = self.of(name)

        def frames() -> Iterator[Frame]:
            began = perf_counter_ns()
            for frame in stream.frames:
                latency.add(perf_counter_ns() - began, frame.rows)
                yield frame
                began = perf_counter_ns()

        return Stream(stream.schema, frames())

    def summary(self) -> list[dict[str, float | str]]:
        """One row a stage: frames, rows, p50, p99 and max-ish (p100) in us per frame, ns per row."""
        return [
            {
                "stage": each.name,
                "frames": each.frames,
                "rows": each.rows,
                "p50_us": each.percentile(0.50) / 1e3,
                "p99_us": each.percentile(0.99) / 1e3,
                "ns_per_row": each.total_ns / each.rows if each.rows else float("nan"),
            }
            for each in self.stages
        ]
