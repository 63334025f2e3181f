"""The data dictionary: docs/data.md as text, made of the schemas and of what stands beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

from gpi.formats import runs, words
from gpi.formats.embeddings import DIRECTION, DIRECTION_MEANINGS, EMBEDDING_MEANINGS, VOLATILITY, embedding
from gpi.formats.execution import (
    ANSWER_MEANINGS,
    ANSWER_WORDS,
    ANSWERS,
    BLOCK,
    CASH,
    DAY,
    POSITION,
    STATE,
)
from gpi.formats.features import (
    FEATURE_MEANINGS,
    FEATURES,
    MICROSTRUCTURE,
    MICROSTRUCTURE_MEANINGS,
    ORDER_FLOW,
    TICK_FEATURE_MEANINGS,
)
from gpi.formats.instruments import INSTRUMENT_MEANINGS
from gpi.formats.matches import MATCH_MEANINGS, MATCHES
from gpi.formats.orders import (
    EQUITY,
    EQUITY_MEANINGS,
    FILL_MEANINGS,
    FILLS,
    ORDER_MEANINGS,
    ORDERS,
    VERDICT,
    VERDICT_MEANINGS,
    VERDICT_REASON,
)
from gpi.formats.quarantine import FILE_KEYS, REASON_MEANINGS
from gpi.formats.ticks import BY_ORDER, MAX_LEVELS, TICK_MEANINGS, TICKS, ticks

Meanings = Mapping[str, tuple[str, str]]

COMMAND: Final = (
    'python -c "from pathlib import Path; from gpi.formats.dictionary import markdown; '
    "Path('docs/data.md').write_text(markdown())\""
)
"""Writes docs/data.md again, from the root of the repository."""

UNITS: Final[dict[str, str]] = {
    "ns UTC": "nanoseconds since 1970-01-01 UTC",
    "price": "for one share, coin, or unit of what an option is on, in the currency it is quoted in; NaN: none",
    "size": "shares, contracts or coins",
    "money": "the account's currency; prices are multiplied by `multiplier`",
    "bps": "1e-4 of the price, or of the log price",
    "bps^2": "the square of that",
    "price per size": "one divided by the other",
    "share": "a fraction; 1 is all of it",
    "ratio": "a number without unit",
    "-1..1": "a number without unit, between these",
    "deviations": "standard deviations",
    "s": "seconds of event time",
    "id": "a number that names something",
    "number": "a count",
    "vector": "several numbers, named one by one",
    "0 or 1": "0 no, 1 yes",
    "text": "letters",
    "date": "year-month-day",
}

_WIRE: Final[dict[str, Any]] = vars(words)
_ANSWERED: Final[dict[str, Any]] = {"STATE": STATE, "BLOCK": BLOCK, "POSITION": POSITION, "CASH": CASH, "DAY": DAY}

WORDS: Final[dict[str, tuple[Mapping[str, str], Mapping[str, Any]]]] = {
    "kind": (words.KIND_WORDS, _WIRE),
    "side": (words.SIDE_WORDS, _WIRE),
    "flags": (words.FLAG_WORDS, _WIRE),
    "order_act": (words.ORDER_ACT_WORDS, _WIRE),
    "action": (words.ACTION_WORDS, _WIRE),
    "order_type": (words.ORDER_TYPE_WORDS, _WIRE),
    "tif": (words.TIF_WORDS, _WIRE),
    "liquidity": (words.LIQUIDITY_WORDS, _WIRE),
    "reason": (words.REASON_WORDS, _WIRE),
    "answer": (ANSWER_WORDS, _ANSWERED),
}
"""What the integers say, with their numbers: the unit of a column names one of these, or one of UNITS."""

METADATA: Final[dict[str, str]] = {
    "gpi.schema": "the schema's id, such as `ticks/1`; columns that a stage appends change nothing in it",
    "gpi.instruments": "the instrument table, JSON: a row per instrument_id",
    "gpi.provenance": "the commands that made the stream, JSON: command, version, options, facts; first first",
    "gpi.names": "of a vector column: its elements' names, JSON",
    "gpi.instruments.more": "note: instruments that are new, JSON: first id, rows",
    "gpi.dropped": "note of a capture: rows dropped so far because the reader was slow",
    "gpi.conflated": "note of a capture: quotes replaced by newer ones so far",
    "gpi.end": "end mark: `ok`",
    "gpi.rows": "end mark: rows written",
    "gpi.batches": "end mark: batches written",
    "gpi.digest": "end mark: xxh3 of every byte before it",
    "gpi.seal": "end mark: xxh3 of the mark itself",
}
"""Keys of metadata: of a schema, of a field, or (notes, the end mark) of an empty batch."""

ELSEWHERE: Final[dict[str, tuple[str, str]]] = {
    "a lake": ("`ROOT/date=2026-11-19/symbol=AAPL/ticks-0000.parquet`, ticks/1", "`formats/parquet.py`"),
    "a model, `model/1`": ("manifest.json, model.onnx, weights.npz", "`formats/models.py`, [models.md](models.md)"),
    "a pattern bank, `bank/1`": ("manifest.json, index.faiss, patterns.parquet", "`tools/memory/bank.py`"),
    "a capture's journal, `gpi.journal/1`": (
        "segments of messages as they came; told again they are ticks/1",
        "`tools/feeds/live/journal.py`",
    ),
    "an order journal": ("SQLite", "`tools/brokers/tables.py`"),
    "what `gpi venue` sent": ("ticks/1, a file per socket address", "`tools/venue/data/sent.py`"),
    "recorded delays": ("`ts`, `order_ns`, `response_ns`, also `cancel_ns`, `feed_ns`", "[fills.md](fills.md)"),
}
"""What else lies on disk: what it is, and where it is written down."""


def kind_of(kind: pa.DataType) -> str:
    """An Arrow type in words, as short as it can be.

    >>> kind_of(FEATURES.type)
    'float32[10]'
    """
    if pa.types.is_fixed_size_list(kind):
        return f"{kind_of(kind.value_type)}[{kind.list_size}]"
    return {"float": "float32", "double": "float64", "timestamp[ns, tz=UTC]": "timestamp[ns, UTC]"}.get(
        str(kind), str(kind)
    )


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")


def columns(fields: Iterable[pa.Field], meanings: Meanings) -> str:
    """The table of some columns. Raises KeyError for one without a unit and a meaning."""
    rows = [(f"`{field.name}`", kind_of(field.type), *_told(meanings[field.name])) for field in fields]
    return table(("column", "type", "unit", "meaning"), rows)


def named(meanings: Meanings, head: str) -> str:
    """The table of things that have no Arrow type of their own: elements of a vector, keys of a file."""
    return table((head, "unit", "meaning"), [(f"`{name}`", *_told(each)) for name, each in meanings.items()])


def _told(each: tuple[str, str]) -> tuple[str, str]:
    unit, meaning = each
    return (f"[{unit}](#{unit})" if unit in WORDS else unit), meaning


def _plain(meanings: Mapping[str, str], head: str) -> str:
    return table((head, "meaning"), [(f"`{name}`", each) for name, each in meanings.items()])


def _words() -> list[str]:
    parts = []
    for group, (meanings, numbers) in WORDS.items():
        rows = [(str(numbers[name]), f"`{name}`", each) for name, each in meanings.items()]
        parts += [f"### {group}", table(("number", "word", "meaning"), rows)]
    return parts


def _streams() -> list[str]:
    depth = list(ticks(MAX_LEVELS))[len(TICKS) :]
    flow = {**MICROSTRUCTURE_MEANINGS, "ofi_1": ORDER_FLOW}
    return [
        "## ticks/1", "What happened in the market, a row per event, in order of event time (`formats/ticks.py`).",
        columns(TICKS, TICK_MEANINGS),
        f"With book levels, N of 1 to {MAX_LEVELS} a side (here {MAX_LEVELS}):", columns(depth, TICK_MEANINGS),
        "By order (`gpi replay --by-order`): what happened to one displayed order.", columns(BY_ORDER, TICK_MEANINGS),
        "## features/1", "Appended to ticks/1; NaN: not defined yet. Definitions: [features.md](features.md).",
        columns((FEATURES, MICROSTRUCTURE), FEATURE_MEANINGS),
        named(TICK_FEATURE_MEANINGS, "element of `features`"),
        "`microstructure` is as wide as 9 and the number of book levels that it looks at.",
        named(flow, "element of `microstructure`"),
        "## embeddings/1", "Appended by `gpi embed`; the width is the model's (here the shipped one's).",
        columns((embedding(16), DIRECTION, VOLATILITY), EMBEDDING_MEANINGS),
        "The elements of `embedding` are `e0`, `e1`, ...: coordinates, which mean nothing alone.",
        named(DIRECTION_MEANINGS, "element of `direction`"),
        "## matches/1", "Appended by `gpi index match` and `gpi index learn`: what came after moments like this one.",
        columns(MATCHES, MATCH_MEANINGS),
        "## orders/1",
        "A row per event in an order's life; `mid`, `position`, `cash` and `equity` are the account's view then.",
        columns(ORDERS, ORDER_MEANINGS),
        "`gpi risk-check` appends:", columns((VERDICT, VERDICT_REASON), VERDICT_MEANINGS),
        "## fills/1", "A row per fill.", columns(FILLS, FILL_MEANINGS),
        "## equity/1", "What the account was worth.", columns(EQUITY, EQUITY_MEANINGS),
        "## answers/1", "What a broker told a live session, before which row: ticks and answers decide everything.",
        columns(ANSWERS, ANSWER_MEANINGS),
    ]  # fmt: skip


def _files() -> list[str]:
    reasons = [(str(int(each)), each.label, meaning) for each, meaning in REASON_MEANINGS.items()]
    return [
        "## The instrument table", "A row per instrument_id; what says nothing is left out of the JSON.",
        named(INSTRUMENT_MEANINGS, "field"),
        "## Quarantine", "`--quarantine FILE`, JSON lines: the counts first, then the first rows that were set aside.",
        _plain(FILE_KEYS, "key"), table(("number", "reason", "meaning"), reasons),
        "## A run directory", _plain(runs.FILES, "file"),
        "`manifest.json`:", named(runs.MANIFEST, "key"),
        "`performance_metrics.json`, null where a figure is not defined:", named(runs.METRICS, "key"),
        "## Elsewhere", table(("what", "holds", "written down in"), [(n, *each) for n, each in ELSEWHERE.items()]),
    ]  # fmt: skip


def markdown() -> str:
    """The whole of docs/data.md."""
    parts = [
        "# The data dictionary",
        "Every column that flows or lies on disk, made of the schemas in `formats/`. Change it there, then:",
        f"    {COMMAND}",
        "No column is ever null: NaN (prices) or 0 (sizes) says that there is nothing. Schemas change only by adding.",
        "## Units", table(("unit", "meaning"), UNITS.items()),
        *_streams(),
        "## Words", "What integers say. A bit set holds sums of them.", *_words(),
        "## Metadata", _plain(METADATA, "key"),
        *_files(),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"
