"""What a consumer asks of a stream by name: whole columns, or elements of a vector column.

    "embedding"                     a column
    "features.ret_5s"               an element of one; "ret_5s" alone where only one column has it
    "features[ret_5s, spread]"      some elements of one, in this order

So a consumer depends neither on where in a vector an element stands, nor on what stands beside it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from gpi.formats.embeddings import DIRECTION, VOLATILITY, embedding
from gpi.formats.errors import SchemaMismatch
from gpi.formats.features import FEATURES, MICROSTRUCTURE, elements
from gpi.formats.frame import Column, Layout
from gpi.formats.matches import MATCHES

PUBLISHED: Final[dict[str, tuple[pa.Field, str]]] = {
    field.name: (field, stage)
    for stage, fields in {
        "gpi featurize": (FEATURES,),
        "gpi featurize --microstructure": (MICROSTRUCTURE,),
        "gpi embed": (embedding(16), DIRECTION, VOLATILITY),
        "gpi index match": MATCHES,
    }.items()
    for field in fields
}
"""Every column that a stage appends, and the command that does."""

_SOME: Final = re.compile(r"(\w+)\[(.*)\]")


class Selected(NamedTuple):
    """One thing asked for: its name, its column, which elements (none: a plain number), and whether it is there.

    `vector`: it is told as a vector, of as many numbers as there are places.
    """

    name: str
    column: str
    places: tuple[int, ...]
    vector: bool
    dtype: np.dtype[np.generic]
    present: bool


def selected(names: Iterable[str], schema: pa.Schema, who: str, optional: bool = False) -> list[Selected]:
    """Where in a stream the names are. Raises SchemaMismatch, naming the nearest, for one that is not there.

    With `optional` what is not there is told as absent, as wide as it is published.
    """
    return [_one(name, schema, who, optional) for name in names]


def _one(name: str, schema: pa.Schema, who: str, optional: bool) -> Selected:
    column, wanted = _read(name)
    if column in schema.names:
        return _of(schema.field(column), wanted, who)
    if wanted is None:
        holders = [field for field in schema if name in _names(field)]
        if len(holders) > 1:
            both = " or ".join(repr(f"{field.name}.{name}") for field in holders)
            raise SchemaMismatch(f"{who} needs {name!r}: say which, {both}")
        if holders:
            return _of(holders[0], name, who)
    if optional:
        return _absent(name, who)
    raise SchemaMismatch(f"the stream has no column {column!r}, which {who} needs: {_remedy(column, schema)}")


def _read(name: str) -> tuple[str, str | tuple[str, ...] | None]:
    """A column, and what of it: nothing said, one element, or some."""
    some = _SOME.fullmatch(name.strip())
    if some is not None:
        return some[1], tuple(each.strip() for each in some[2].split(","))
    column, dot, element = name.strip().partition(".")
    return column, element if dot else None


def _of(field: pa.Field, wanted: str | tuple[str, ...] | None, who: str) -> Selected:
    column: Column = Layout.of([field]).columns[0]
    if wanted is None:
        return Selected(field.name, field.name, tuple(range(column.width)), column.width > 0, column.dtype, True)
    names = _names(field)
    for each in (wanted,) if isinstance(wanted, str) else wanted:
        if each not in names:
            has = f"it has {_listed(names)}" if names else "it is a plain number"
            raise SchemaMismatch(f"{who} needs {each!r} of the column {field.name!r}: {has}")
    if isinstance(wanted, str):
        return Selected(wanted, field.name, (names.index(wanted),), False, column.dtype, True)
    return Selected(field.name, field.name, tuple(names.index(each) for each in wanted), True, column.dtype, True)


def _absent(name: str, who: str) -> Selected:
    column, wanted = _read(name)
    for field, _stage in PUBLISHED.values():
        if field.name == column:
            return _of(field, wanted, who)._replace(present=False)
        if wanted is None and name in _names(field):
            return _of(field, name, who)._replace(present=False)
    width = len(wanted) if isinstance(wanted, tuple) else 0
    told = wanted if isinstance(wanted, str) else column
    return Selected(told, column, tuple(range(width)), width > 0, np.dtype(np.float32), False)


def _names(field: pa.Field) -> tuple[str, ...]:
    return elements(field) if pa.types.is_fixed_size_list(field.type) else ()


def _remedy(column: str, schema: pa.Schema) -> str:
    for field, stage in PUBLISHED.values():
        if field.name == column or column in _names(field):
            return f"run the stage that makes it, `{stage}`"
    known = [*schema.names, *(each for field in schema for each in _names(field))]
    near = difflib.get_close_matches(column, known, n=1, cutoff=0.6)
    return "run the stage that makes it" + (f" (did you mean {near[0]!r}?)" if near else "")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:16]) + (" ..." if len(names) > 16 else "")
