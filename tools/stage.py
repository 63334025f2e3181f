"""Stage: what a tool needs, what it gives, what it remembers, and the step it repeats.

A stage is a value. `features | embed` composes two; `stage(stream)` runs one over a stream. The step never looks at
a clock and never sees the future, so the same stage is the live tool, the offline tool and the thing under test.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gpi.formats.columns import PUBLISHED
from gpi.formats.errors import SchemaMismatch
from gpi.formats.features import elements, named
from gpi.formats.frame import Frame, Layout, concatenated

State = dict[str, Any]  # name -> numpy array, or a State of its own: it can be saved, loaded and compared


@dataclass(frozen=True, slots=True)
class Stream:
    """Frames and the schema they all have. Metadata (instruments, provenance) stands in the schema."""

    schema: pa.Schema
    frames: Iterator[Frame]


def _silent(state: State) -> Frame | None:
    return None


@dataclass(frozen=True, slots=True)
class Stage:
    """Five things and an optional last word.

    `per_symbol` claims that rows of one instrument never change another's output (law 3).
    `finish` may give one more frame after an honest end (bars, the last cancels).
    """

    name: str
    needs: pa.Schema  # the columns it reads
    gives: Callable[[pa.Schema], pa.Schema]  # the outgoing schema, from the incoming one
    start: Callable[[], State]  # fresh memory
    step: Callable[[State, Frame], Frame]
    per_symbol: bool = True
    finish: Callable[[State], Frame | None] = _silent

    def check(self, incoming: pa.Schema) -> None:
        """Raise SchemaMismatch, naming the first column that is missing or of another type."""
        for field in self.needs:
            if field.name not in incoming.names:
                raise SchemaMismatch(
                    f"{self.name} needs the column {field.name!r}, which the stream does not carry{_hint(field.name)}"
                )
            found = incoming.field(field.name).type
            if named(field) and pa.types.is_fixed_size_list(found) and found.value_type == field.type.value_type:
                lacking = [each for each in elements(field) if each not in elements(incoming.field(field.name))]
                if lacking:
                    raise SchemaMismatch(f"{self.name} needs {lacking[0]!r} of {field.name!r}, which the stream lacks")
            elif found != field.type:
                raise SchemaMismatch(f"{self.name} needs {field.name!r} as {field.type}, the stream carries {found}")

    def __call__(self, stream: Stream) -> Stream:
        """The stream after this stage."""
        self.check(stream.schema)
        return Stream(self.gives(stream.schema), self._run(stream.frames))

    def _run(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        state, step = self.start(), self.step
        for frame in frames:
            yield step(state, frame)
        last = self.finish(state)
        if last is not None:
            yield last

    def __or__(self, after: Stage) -> Stage:
        """Both stages as one: the shell pipe without the pipe."""
        return _chained(self, after)


def _chained(first: Stage, second: Stage) -> Stage:
    def gives(schema: pa.Schema) -> pa.Schema:
        middle = first.gives(schema)
        second.check(middle)
        return second.gives(middle)

    def finish(state: State) -> Frame | None:
        last = first.finish(state["first"])
        said = [] if last is None else [second.step(state["second"], last)]
        final = second.finish(state["second"])
        said += [] if final is None else [final]
        if len(said) == 2:
            return concatenated(said, said[0].layout.schema)
        return said[0] if said else None

    return Stage(
        name=f"{first.name} | {second.name}",
        needs=first.needs,
        gives=gives,
        start=lambda: {"first": first.start(), "second": second.start()},
        step=lambda state, frame: second.step(state["second"], first.step(state["first"], frame)),
        per_symbol=first.per_symbol and second.per_symbol,
        finish=finish,
    )


def adds(*fields: pa.Field) -> Callable[[pa.Schema], pa.Schema]:
    """A `gives` that appends `fields` and keeps the rest."""

    def gives(schema: pa.Schema) -> pa.Schema:
        Layout.of(schema).widened(fields)  # names a clash
        return pa.schema([*schema, *fields], metadata=schema.metadata)

    return gives


def _hint(column: str) -> str:
    return f": run `{PUBLISHED[column][1]}` before it" if column in PUBLISHED else ""


def save(state: State) -> bytes:
    """A state as bytes (npz, no pickle)."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, node: State) -> None:
        flat[prefix] = np.empty(0)  # so that an empty state comes back as one
        for name, value in node.items():
            if isinstance(value, dict):
                walk(f"{prefix}{name}/", value)
            else:
                flat[prefix + name] = value

    walk("/", state)
    out = io.BytesIO()
    np.savez(out, **flat)
    return out.getvalue()


def load(saved: bytes) -> State:
    """The state that `save` saved."""
    state: State = {}
    with np.load(io.BytesIO(saved), allow_pickle=False) as flat:
        for path in flat.files:
            *folders, name = path.strip("/").split("/") if path != "/" else [""]
            here = state
            for folder in folders:
                here = here.setdefault(folder, {})
            if not path.endswith("/"):
                here[name] = _records(flat[path])
            elif name:
                here.setdefault(name, {})
    return state


def _records(value: Any) -> Any:
    """Structured arrays as records, which kernels read by attribute."""
    return value.view(np.dtype((np.record, value.dtype))) if value.dtype.names else value
