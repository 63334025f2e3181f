"""Delays of a connection, for `--latency`: constant, a floor and a lognormal, or as recorded.

A recording is Parquet: `ts` (ns, when a request was sent), `order_ns`, `response_ns`, and, if they are to be had,
`cancel_ns` and `feed_ns` (then `ts` is when the tick was made). It is interpolated in time, or drawn from by its
quantiles.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import xxhash

from gpi.formats.errors import BadInput, UsageError
from gpi.formats.imports.arrow import pq
from gpi.tools.kernels import memory
from gpi.tools.kernels.exchange.latency import CONSTANT, LOGNORMAL, QUANTILES, RECORDED
from gpi.tools.kernels.orders import MESSAGE, RESPONSES, Array

WHICH: Final = ("feed", "order", "cancel", "response")
"""In the order of `gpi.tools.kernels.exchange.delays`."""
KINDS: Final = {"constant": CONSTANT, "lognormal": LOGNORMAL, "quantiles": QUANTILES, "recorded": RECORDED}
UNITS: Final = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
HELP: Final = (
    "2ms, lognormal:floor=1ms,median=2ms,sigma=0.5, FILE.parquet or quantiles:FILE.parquet, each also as order=..."
)


@dataclass(frozen=True, slots=True)
class Model:
    """One delay; `median_ns` of the whole, above `floor_ns`; `table` (n, 2) int64: sent, there; or 0, quantiles."""

    kind: str = "constant"
    floor_ns: int = 0
    median_ns: float = 0.0
    sigma: float = 0.0
    path: str = ""
    table: Array = field(default_factory=lambda: np.zeros((0, 2), np.int64), compare=False)

    @property
    def least_ns(self) -> int:
        """The shortest it can be."""
        first = self.table[:, 1] - self.table[:, 0]
        return int(first.min()) if len(first) else self.floor_ns

    def told(self) -> dict[str, Any]:
        """For the manifest: numbers, and of a file the digest of what it says."""
        digest = xxhash.xxh3_128_hexdigest(np.ascontiguousarray(self.table).data) if self.path else ""
        numbers = {"floor_ns": self.floor_ns, "median_ns": self.median_ns, "sigma": self.sigma}
        return {"kind": self.kind, **numbers, "path": self.path, "digest": digest}


@dataclass(frozen=True, slots=True)
class Delays:
    """The delays that are not the constant ones of `Latency`, by the words of WHICH."""

    models: Mapping[str, Model] = field(default_factory=dict)

    def told(self) -> dict[str, Any] | None:
        """For the manifest; None without any."""
        return {which: model.told() for which, model in self.models.items()} or None

    def on(self, state: Mapping[str, Array], constant: Mapping[str, int], seed: int) -> Array:
        """Write the models into an engine's memory; returns the wire with their tables.

        `constant` (ns) holds for the rest.
        """
        transit, told = state["transit"], state["delays"]
        d: Any = told[0]
        d.varies, d.seed, d.last_request, d.last_response = 1, seed, *[memory.LONG_AGO] * 2
        state["clock"][0].fed = memory.LONG_AGO
        tables = [model for model in self.models.values() if len(model.table)]
        longest = max([transit.shape[1], *(len(model.table) for model in tables)])
        made = np.zeros((RESPONSES + 1 + len(tables), longest), MESSAGE)
        made[: len(transit), : transit.shape[1]] = transit
        for at, which in enumerate(WHICH):
            model = self.models.get(which) or Model(floor_ns=constant[which])
            told["model"][0, at], told["floor"][0, at] = KINDS[model.kind], model.floor_ns
            if model.kind == "lognormal":
                told["mu"][0, at] = math.log(model.median_ns - model.floor_ns)
                told["sigma"][0, at] = model.sigma
            if len(model.table):
                row = RESPONSES + 1 + next(n for n, each in enumerate(tables) if each is model)
                told["row"][0, at], told["rows"][0, at] = row, len(model.table)
                made["due"][row, : len(model.table)], made["ts"][row, : len(model.table)] = model.table.T
        d.feed_varies = "feed" in self.models
        return made


def parsed(texts: Sequence[str]) -> dict[str, Model]:
    """What `--latency` says, by the words of WHICH; without a word a delay is that of orders, cancels and responses.

    Raises UsageError for what is no delay, BadInput for a file that is no recording.
    """
    found: dict[str, Model] = {}
    for text in texts:
        which, equals, spec = text.partition("=")
        named = bool(equals) and which in WHICH
        for each in (which,) if named else WHICH[1:]:
            found[each] = model_of(spec if named else text, each)
    return found


def fitted(models: Mapping[str, Model], feed: int, order: int, response: int) -> tuple[tuple[int, int, int], Delays]:
    """(feed, order, response) in ns that are constant or, of the feed, the least; and the delays that are not.

    What `models` does not name is as given: cancels as orders.
    """
    kept, ns = dict(models), {"feed": feed, "order": order, "response": response}
    for which in ns:
        if which in kept and kept[which].kind == "constant":
            ns[which] = kept.pop(which).floor_ns
    cancel = kept.get("cancel")
    if cancel is not None and cancel.kind == "constant" and cancel.floor_ns == ns["order"] and "order" not in kept:
        del kept["cancel"]
    if "feed" in kept:
        ns["feed"] = kept["feed"].least_ns
    return (ns["feed"], ns["order"], max(ns["response"], ns["feed"]) if kept else ns["response"]), Delays(kept)


def model_of(spec: str, which: str) -> Model:
    """One delay from its words. Raises UsageError or BadInput."""
    kind, _, rest = spec.partition(":")
    if kind == "lognormal":
        return _lognormal(rest)
    if kind == "quantiles":
        return read(rest, which, "quantiles")
    found = _duration(spec)
    return read(spec, which, "recorded") if found is None else Model(floor_ns=round(found))


def _lognormal(text: str) -> Model:
    words = dict(part.partition("=")[::2] for part in text.split(",") if part)
    floor, median = _duration(words.pop("floor", "0ms")), _duration(words.pop("median", ""))
    try:
        sigma = float(words.pop("sigma", "nan"))
    except ValueError:
        sigma = math.nan
    if floor is None or median is None or words or not median > floor or not 0.0 <= sigma < 10.0:
        raise UsageError(f"--latency lognormal:{text}: floor below the median, and sigma, such as {HELP}")
    return Model("lognormal", round(floor), median, sigma)


def _duration(text: str) -> float | None:
    """`2ms` as ns; None for what is no duration."""
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)(ns|us|ms|s)", text.strip())
    return None if found is None else float(found[1]) * UNITS[found[2]]


def read(path: str, which: str, kind: str = "recorded") -> Model:
    """A recording, as the delay `which`. Raises BadInput when it lacks a column, is empty, unsorted, or below zero."""
    try:
        table = pq.read_table(path)
        column = f"{which}_ns" if f"{which}_ns" in table.column_names or which != "cancel" else "order_ns"
        ts, delay = (table[name].to_numpy().astype(np.int64) for name in ("ts", column))
        entry = table["order_ns"].to_numpy().astype(np.int64) if which == "response" else 0
    except (OSError, ValueError, KeyError) as wrong:
        raise BadInput(
            f"--latency {path}: Parquet with ts and {which}_ns is needed, or one of {HELP} ({wrong})"
        ) from wrong
    if not len(ts) or (np.diff(ts) < 0).any() or (delay < 0).any():
        raise BadInput(f"{path}: delays are sorted by ts, at least one, and none below zero")
    if kind == "quantiles":
        return Model(kind, path=path, table=np.stack([np.zeros(len(ts), np.int64), np.sort(delay)], axis=1))
    sent = np.stack([ts + entry, ts + entry + delay], axis=1)
    return Model(kind, path=path, table=np.maximum.accumulate(sent, axis=0))  # a connection delivers in order


def again(told: Mapping[str, Mapping[str, Any]] | None) -> Delays:
    """The delays a manifest tells of. Raises UsageError for a file that no longer holds them."""
    found: dict[str, Model] = {}
    for which, each in (told or {}).items():
        model = Model(each["kind"], each["floor_ns"], each["median_ns"], each["sigma"])
        found[which] = read(each["path"], which, each["kind"]) if each["path"] else model
        if found[which].told() != dict(each):
            raise UsageError(f"{each['path']} no longer holds the delays of the run")
    return Delays(found)
