"""Options that are told once, as a dataclass, become the flags of every command that takes it."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer


def flags(options: Any) -> list[inspect.Parameter]:
    """An option for every field of a dataclass; what a person is told of it is the field's metadata."""
    made, hints = [], get_type_hints(options)
    for each in fields(options):
        limits = (("min", "least"), ("max", "most"), ("envvar", "env"))
        more = {name: each.metadata[word] for name, word in limits if word in each.metadata}
        flag = (each.metadata["flag"],) if "flag" in each.metadata else ()
        told: Any = typer.Option(*flag, help=each.metadata["help"], **more)
        kind: Any = Annotated.__class_getitem__((hints[each.name], told))  # type: ignore[attr-defined]
        made.append(inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=kind))
    return made


def bundled(given: Mapping[str, Any], bundles: Mapping[str, Any]) -> dict[str, Any]:
    """What a command was given, with the fields of dataclasses as dataclasses again."""
    kept, rest = {}, dict(given)
    for name, kind in bundles.items():
        kept[name] = kind(**{each.name: rest.pop(each.name) for each in fields(kind)})
    return {**rest, **kept}


def unfolded(body: Callable[..., Any]) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    """The parameters of a command body, each dataclass among them as its fields; and those dataclasses by name."""
    signature = list(inspect.signature(body).parameters.values())
    bundles = {each.name: each.annotation for each in signature if is_dataclass(each.annotation)}
    own = [more for each in signature for more in (flags(each.annotation) if each.name in bundles else [each])]
    return [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own], bundles


def signed(command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """A wrapper of a body, with the parameters that the command line is to read off it."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    del command.__wrapped__  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def spread(body: Callable[..., None]) -> Callable[..., None]:
    """A command that works on no stream, its dataclasses spread into flags."""
    parameters, bundles = unfolded(body)

    @functools.wraps(body)
    def command(**given: Any) -> None:
        body(**bundled(given, bundles))

    return signed(command, parameters)
