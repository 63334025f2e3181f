"""The data dictionary: docs/data.md is what the schemas say, and leaves nothing out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gpi
from gpi.formats import columns, dictionary, runs, words
from gpi.formats.dictionary import COMMAND, UNITS, WORDS, markdown
from gpi.formats.embeddings import DIRECTION, DIRECTION_MEANINGS, EMBEDDING_MEANINGS
from gpi.formats.execution import ANSWER_MEANINGS, ANSWERS, ExecutionReport
from gpi.formats.features import FEATURE_MEANINGS, FEATURES, MICROSTRUCTURE, ORDER_FLOW, elements
from gpi.formats.features import MICROSTRUCTURE_MEANINGS as FLOW_MEANINGS
from gpi.formats.features import TICK_FEATURE_MEANINGS as ELEMENT_MEANINGS
from gpi.formats.instruments import INSTRUMENT_MEANINGS, Instrument
from gpi.formats.matches import MATCH_MEANINGS, MATCHES
from gpi.formats.orders import (
    EQUITY,
    EQUITY_MEANINGS,
    FILL_MEANINGS,
    FILLS,
    ORDER_MEANINGS,
    ORDERS,
    VERDICT_MEANINGS,
)
from gpi.formats.quarantine import REASON_MEANINGS, Reason
from gpi.formats.ticks import MAX_LEVELS, TICK_MEANINGS, ticks
from gpi.tools.risk.judge import ADDED

ROOT = Path(__file__).resolve().parents[1]
TOLD: list[tuple[list[pa.Field], dictionary.Meanings]] = [
    (list(ticks(MAX_LEVELS, by_order=True)), TICK_MEANINGS),
    ([FEATURES, MICROSTRUCTURE], FEATURE_MEANINGS),
    ([columns.PUBLISHED[name][0] for name in EMBEDDING_MEANINGS], EMBEDDING_MEANINGS),
    (list(MATCHES), MATCH_MEANINGS),
    (list(ORDERS), ORDER_MEANINGS),
    (list(FILLS), FILL_MEANINGS),
    (list(EQUITY), EQUITY_MEANINGS),
    (list(ANSWERS), ANSWER_MEANINGS),
    (list(ADDED), VERDICT_MEANINGS),
]
UNITS_OF_FILES = {"table", "list", "truth"}


def test_the_page_is_what_the_schemas_say() -> None:
    """docs/data.md is made, never written; and the line at its top makes it."""
    assert (ROOT / "docs" / "data.md").read_text() == markdown(), f"docs/data.md is old; make it again: {COMMAND}"
    assert COMMAND in markdown()


@pytest.mark.parametrize(("fields", "meanings"), TOLD, ids=lambda each: "")
def test_every_column_has_a_unit_and_a_meaning(fields: list[pa.Field], meanings: dictionary.Meanings) -> None:
    """In the order of the schema, no column without, nothing told of a column that there is not."""
    assert [field.name for field in fields] == list(meanings)
    page = markdown()
    for field in fields:
        unit, meaning = meanings[field.name]
        assert unit in UNITS or unit in WORDS, f"{field.name}: {unit!r} is no unit"
        assert meaning and f"| `{field.name}` | {dictionary.kind_of(field.type)} |" in page


def test_every_published_column_is_told() -> None:
    """Whatever a stage appends, and every element of a vector by its name."""
    told = {name for fields, _ in TOLD for name in (field.name for field in fields)}
    assert set(columns.PUBLISHED) <= told
    assert elements(FEATURES) == tuple(ELEMENT_MEANINGS)
    assert elements(MICROSTRUCTURE) == (*FLOW_MEANINGS, "ofi_1") and ORDER_FLOW[0] in UNITS
    assert elements(DIRECTION) == tuple(DIRECTION_MEANINGS)
    for meanings in (ELEMENT_MEANINGS, FLOW_MEANINGS, DIRECTION_MEANINGS, INSTRUMENT_MEANINGS):
        assert all(unit in UNITS and meaning for unit, meaning in meanings.values())
    assert [name for name in Instrument.__dataclass_fields__ if name != "id"] == list(INSTRUMENT_MEANINGS)
    assert ("row", *ExecutionReport._fields) == tuple(ANSWER_MEANINGS)


def test_every_number_of_the_wire_stands_in_it() -> None:
    """Each constant of `formats.words` is a word of exactly one group, with its number and its meaning."""
    page = markdown()
    told = [name for group, (meanings, _) in WORDS.items() if group != "answer" for name in meanings]
    numbers = {name: value for name, value in vars(words).items() if isinstance(value, int)}
    assert sorted(told) == sorted(set(numbers) - {"SECOND", "DAY_NS"})
    for meanings, given in WORDS.values():
        for name, meaning in meanings.items():
            assert f"| {given[name]} | `{name}` | {meaning} |" in page
    assert list(REASON_MEANINGS) == list(Reason)
    assert [getattr(words, name) for name in words.REASON_WORDS] == list(range(1, len(words.REASONS)))
    assert [getattr(words, name) for name in words.ACTION_WORDS] == list(range(1, len(words.ACTIONS)))


def test_what_a_run_writes_is_what_is_told_of_it(tmp_path: Path) -> None:
    """Files of a run directory, keys of its manifest and of its metrics."""
    rows = 600
    mid = 100.0 + np.cumsum(np.random.default_rng(3).choice([-0.01, 0.0, 0.01], rows))
    ticks_of_spy = pa.table(
        {
            "ts_event": 1_717_424_400_000_000_000 + np.arange(rows) * 100_000_000, "symbol": ["SPY"] * rows,
            "bid_px": (mid - 0.01).round(2), "bid_sz": np.full(rows, 100.0),
            "ask_px": (mid + 0.01).round(2), "ask_sz": np.full(rows, 200.0),
        }
    )  # fmt: skip
    gpi.backtest(ticks_of_spy, "market_making", fees="zero", out=tmp_path / "run")
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == set(runs.FILES) - {"answers.parquet", ".told.log", "part-2, part-3 ..."}
    found = json.loads((tmp_path / "run" / "manifest.json").read_text())
    beyond = {"heard", "broker", "broker_at_the_end", "recovered", "torn_bytes"}  # of `gpi trade` and of dead runs
    assert _keys(found) == set(runs.MANIFEST) - beyond
    assert set(json.loads((tmp_path / "run" / "performance_metrics.json").read_text())) == set(runs.METRICS)
    for unit, meaning in (*runs.MANIFEST.values(), *runs.METRICS.values()):
        assert unit in {*UNITS, *UNITS_OF_FILES} and meaning


def _keys(manifest: dict[str, Any]) -> set[str]:
    """The keys, those of `setup` and `start` one by one."""
    opened = ("setup", "start")
    inside = {f"{name}.{key}" for name in opened for key in manifest[name]}
    return {name for name in manifest if name not in opened} | inside
