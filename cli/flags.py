"""Options that are told once, as a dataclass, become the flags of every command that takes it."""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, get_type_hints

import typer


def flags(options: Any) -> list[inspect.Parameter]:
    """An option for every field of a dataclass; what a person is told of it is the field's metadata."""
    made, hints = [], get_type_hints(options)
    for each in fields(options):
        limits = (("min", "least"), ("max", "most"))
        bounds = {name: each.metadata[word] for name, word in limits if word in each.metadata}
        flag = (each.metadata["flag"],) if "flag" in each.metadata else ()
        told: Any = typer.Option(*flag, help=each.metadata["help"], **bounds)
        kind: Any = Annotated.__class_getitem__((hints[each.name], told))  # type: ignore[attr-defined]
        made.append(inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=kind))
    return made


def bundled(given: Mapping[str, Any], bundles: Mapping[str, Any]) -> dict[str, Any]:
    """What a command was given, with the fields of dataclasses as dataclasses again."""
    kept, rest = {}, dict(given)
    for name, kind in bundles.items():
        kept[name] = kind(**{each.name: rest.pop(each.name) for each in fields(kind)})
    return {**rest, **kept}
