"""Symbols that options and parameters name become ids, as far as the stream has announced them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from gpi.formats.errors import UsageError
from gpi.formats.instruments import Instruments
from gpi.tools.backtest.setup import Setup

Array = npt.NDArray[Any]


def named(setup: Setup, instruments: Instruments, later: bool = False) -> Setup:
    """The setup with the ids of the symbols that its rules name (`unlent`, `breaker`), as far as they are listed.

    Raises UsageError for a symbol that a stream with a table does not have, unless the table grows `later`.
    """
    rules = setup.rules
    told = [("--unshortable", each) for each in rules.unlent] + (
        [("--breaker", rules.breaker[0])] if rules.breaker else []
    )
    for option, symbol in told:
        if symbol not in instruments and len(instruments) and not later:
            raise UsageError(f"{option} {symbol}: the stream has {', '.join(instruments.symbols[:8])} ...")
    found = {symbol: instruments.named(symbol).id for _, symbol in told if symbol in instruments}
    if not found:
        return setup
    unlent = {*rules.unshortable, *(found[each] for each in rules.unlent if each in found)}
    at = found.get(rules.breaker[0], -1) if rules.breaker else -1
    return replace(setup, rules=replace(rules, unshortable=tuple(sorted(unlent)), breaker_id=at))


def told_ids(params: Array, symbols: Mapping[str, tuple[str, ...]], known: Instruments, who: str, later: bool) -> None:
    """Write into a kernel's parameters the ids of the instruments they name; -1 for one that is not known yet.

    Raises UsageError for a symbol that a stream with a table does not have, unless the table grows `later`.
    """
    for name, words in symbols.items():
        for word in words:
            if word and word not in known and len(known) and not later:
                raise UsageError(f"{who}: parameter {name}: the stream has no {word!r}; it has {_few(known)}")
        params[name] = [known.named(word).id if word in known else -1 for word in words]


def _few(known: Instruments) -> str:
    return ", ".join(known.symbols[:8]) + (" ..." if len(known) > 8 else "")
