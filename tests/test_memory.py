"""The pattern bank: nothing is known before its time, nothing depends on the cut, nothing tampered with is read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.embeddings import embedding
from gpi.formats.errors import BadInput, UsageError
from gpi.formats.frame import Frame
from gpi.formats.ticks import TICKS
from gpi.formats.words import QUOTE
from gpi.tools.kernels.models.patterns import PATTERN, confidence, nearest, weakest
from gpi.tools.stage import Stream
from tests.laws import obeys_the_laws, tick_frames
from tests.naive import memory as naive

pytest.importorskip("faiss", reason="faiss is not installed (extra `cpu`)")

from gpi.formats.words import SECOND
from gpi.tools.memory.bank import (  # noqa: E402
    Bank,
    empty,
    profitability,
    pruned,
    read_bank,
    stats,
    write_bank,
)
from gpi.tools.memory.bank import confidence as bank_confidence  # noqa: E402
from gpi.tools.memory.index import graph, packed, search, unpacked, vectors_of  # noqa: E402
from gpi.tools.memory.match import _approximate, matched  # noqa: E402
from gpi.tools.memory.remember import Remembering, build, remembered, remembering  # noqa: E402

WIDTH = 4
FIELD = embedding(WIDTH)
NEVER = 10**18
HOW = Remembering(WIDTH, 2 * SECOND, SECOND // 2, NEVER, capacity=64, k=3, radius=0.5)
SETTINGS = settings(max_examples=15, deadline=None)
CUTS = st.lists(st.integers(0, 30), max_size=4)
NAMES = ("match_return", "match_win_rate", "match_confidence")


def embedded(frame: Frame, seed: int = 0) -> Frame:
    """The same ticks with random embeddings, some rows without."""
    made = frame.widened((FIELD,))
    rng = np.random.default_rng(seed)
    made["embedding"][:] = rng.normal(0, 1, (frame.rows, WIDTH))
    made["embedding"][rng.random(frame.rows) < 0.15] = np.nan
    return made.copy()


def banked(count: int = 20, seed: int = 0, first_ts: int = 1_700_000_000 * SECOND) -> Bank:
    """A bank of random patterns, a second apart."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, 1, (count, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = np.zeros(count, PATTERN)
    found["id"] = np.arange(1, count + 1)
    found["ts"] = first_ts + np.arange(count) * SECOND
    found["known"] = found["ts"] + 2 * SECOND
    found["outcome"] = rng.normal(0, 3, count)
    found["hits"] = rng.integers(0, 5, count)
    found["agreed"] = rng.integers(0, 5, count) % (found["hits"] + 1)
    found["profit"] = rng.normal(0, 3, count) * (found["hits"] > 0)
    return Bank(vectors, found, 2 * SECOND, count + 1)


def rows_of(frame: Frame) -> list[naive.Row]:
    """The frame for the naive bank."""
    mid = (frame["bid_px"] + frame["ask_px"]) / 2
    quoted = (frame["kind"] & QUOTE > 0) & (mid > 0)
    return [
        naive.Row(
            int(frame["ts_event"][i]),
            int(frame["instrument_id"][i]),
            float(mid[i]) if quoted[i] else None,
            frame["embedding"][i].tolist() if np.isfinite(frame["embedding"][i]).all() else None,
        )
        for i in range(frame.rows)
    ]


@SETTINGS
@given(tick_frames(max_rows=30, instruments=6), CUTS)
def test_learning_obeys_the_laws(frame: Frame, cuts: list[int]) -> None:
    """Cut anywhere, no peeking, resumable, honest schema, input untouched; a full bank and growth included."""
    small = Remembering(WIDTH, 2 * SECOND, SECOND // 2, 20 * SECOND, capacity=5, k=3, radius=0.8)
    obeys_the_laws(remembering(small, banked(3)), embedded(frame), cuts)


@SETTINGS
@given(tick_frames(max_rows=30), CUTS)
def test_asking_a_bank_obeys_the_laws(tmp_path_factory: pytest.TempPathFactory, frame: Frame, cuts: list[int]) -> None:
    """A bank that does not change answers each row alone."""
    folder = tmp_path_factory.mktemp("bank")
    write_bank(folder, banked())
    obeys_the_laws(matched(folder, k=3, radius=0.8), embedded(frame), cuts)


@SETTINGS
@given(tick_frames(max_rows=30, instruments=2))
def test_what_a_row_is_told_is_what_the_definition_says(frame: Frame) -> None:
    """At every row, exactly the moments whose horizon had ended before are asked, and their verdict is given."""
    whole = embedded(frame)
    stage = remembering(HOW)
    out = stage.step(stage.start(), whole)
    rows = rows_of(whole)
    known = naive.patterns(rows, HOW.horizon_ns, HOW.spacing_ns)
    for i, row in enumerate(rows):
        asked = [p for p in known if p.from_row <= i]
        near = naive.neighbours(asked, row.vector, HOW.k, HOW.radius) if row.vector else []
        assert out["match_count"][i] == len(near)
        if near:
            found = [out[name][i] for name in NAMES]
            np.testing.assert_allclose(found, naive.verdict(near), rtol=1e-3, atol=1e-3)
        else:
            assert np.isnan(out["match_return"][i]) and out["match_confidence"][i] == 0


@SETTINGS
@given(tick_frames(max_rows=30, instruments=2))
def test_a_pattern_is_remembered_only_after_its_horizon(frame: Frame) -> None:
    """A built bank holds the moments the definition names, with their outcomes, and none that is still open."""
    whole = embedded(frame)
    bank = build(Stream(whole.layout.schema, iter([whole])), HOW)
    expected = sorted((p.ts, p.instrument, p.outcome) for p in naive.patterns(rows_of(whole), 2 * SECOND, SECOND // 2))
    found = sorted(zip(*(bank.patterns[name].tolist() for name in ("ts", "instrument", "outcome")), strict=True))
    assert [f[:2] for f in found] == [e[:2] for e in expected]
    np.testing.assert_allclose([f[2] for f in found], [e[2] for e in expected], rtol=1e-4, atol=1e-3)
    assert (bank.patterns["known"] < whole["ts_event"].max()).all()
    assert (np.diff(bank.patterns["known"]) >= 0).all()


def test_a_silence_ends_what_was_open() -> None:
    """A moment whose horizon runs into the night is not remembered."""
    columns: dict[str, Any] = {name: np.ones(4) for name in TICKS.names}
    columns |= {"ts_event": np.array([0, 1, 5000, 5003]) * SECOND + 1, "instrument_id": np.zeros(4)}
    frame = embedded(Frame.of(TICKS, columns))
    frame["embedding"][:] = 1
    how = Remembering(WIDTH, 2 * SECOND, SECOND, 600 * SECOND, k=3)
    bank = build(Stream(frame.layout.schema, iter([frame])), how)
    assert bank.patterns["ts"].tolist() == [5000 * SECOND + 1]


@pytest.mark.parametrize(("spacing", "silence", "taken"), [(3, 3, [0, 3]), (4, 3, [0]), (3, 2, [])])
def test_spacing_and_silence_are_inclusive(spacing: int, silence: int, taken: list[int]) -> None:
    """Rows exactly `spacing` apart are both taken, and rows exactly `silence` apart are one session."""
    columns: dict[str, Any] = {name: np.ones(3) for name in TICKS.names}
    columns |= {"ts_event": np.array([0, 3, 6]) * SECOND + 1, "instrument_id": np.zeros(3)}
    frame = embedded(Frame.of(TICKS, columns))
    frame["embedding"][:] = 1
    how = Remembering(WIDTH, 2 * SECOND, spacing * SECOND, silence * SECOND, k=3)
    bank = build(Stream(frame.layout.schema, iter([frame])), how)
    assert [(ts - 1) // SECOND for ts in bank.patterns["ts"].tolist()] == taken


def test_a_bank_from_the_future_says_nothing(tmp_path: Path) -> None:
    """Patterns whose outcome was not known at the row's time are never asked, however near."""
    bank = banked(20)
    write_bank(tmp_path, bank)
    columns: dict[str, Any] = {name: np.ones(22) for name in TICKS.names}
    columns["ts_event"] = bank.patterns["known"][0] - 1 + np.arange(22) * SECOND
    frame = embedded(Frame.of(TICKS, columns))
    frame["embedding"][:] = 1
    stage = matched(tmp_path, k=32, radius=2.0)
    out = stage.step(stage.start(), frame)
    assert out["match_count"].tolist() == [*range(21), 20]


@SETTINGS
@given(st.integers(0, 600), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_the_scan_finds_the_nearest(count: int, k: int, seed: int) -> None:
    """Exact search across block borders against sorting everything; of equals the earlier row."""
    count = count if count < 20 or seed % 4 == 0 else count % 20  # few long ones: the JIT may be off
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (WIDTH, max(count, 1))).astype(np.float32)
    query = rng.integers(-2, 3, WIDTH).astype(np.float32)
    known = np.zeros(max(count, 1), PATTERN)
    known["known"] = rng.integers(0, 10, len(known))
    rows, cosines = np.empty(k, np.int64), np.empty(k, np.float32)
    found = nearest(vectors, known, count, 6, query, -1.0, rows, cosines)
    dots = query @ vectors[:, :count]
    asked = [r for r in range(count) if known["known"][r] <= 6 and dots[r] >= -1]
    assert rows[:found].tolist() == sorted(asked, key=lambda r: (-dots[r], r))[:k]


def test_a_graph_finds_what_a_scan_finds(tmp_path: Path) -> None:
    """The approximate road of large banks agrees with the exact one where the graph is small, future left out."""
    bank = banked(200)
    write_bank(tmp_path, bank)
    columns: dict[str, Any] = {name: np.ones(30) for name in TICKS.names}
    columns["ts_event"] = bank.patterns["known"][0] - 1 + np.arange(30) * 7 * SECOND
    frame = embedded(Frame.of(TICKS, columns), seed=5)
    stage = matched(tmp_path, k=4, radius=0.6)
    exact = stage.step(stage.start(), frame)
    approximate = stage.step(stage.start(), frame)
    out = tuple(approximate[name] for name in ("match_return", "match_win_rate", "match_confidence", "match_count"))
    _approximate(bank, graph(bank.vectors), 4, 0.4)(frame, out)
    assert exact["match_count"].tolist() == approximate["match_count"].tolist()
    np.testing.assert_allclose(exact["match_return"], approximate["match_return"], rtol=1e-5)


def test_a_graph_survives_the_disk(tmp_path: Path) -> None:
    """Both kinds of index come back from bytes with every vector, and a graph still answers."""
    vectors = banked(50).vectors
    assert (vectors_of(unpacked(packed(vectors), tmp_path)) == vectors).all()
    rows, cosines = search(graph(vectors), vectors[7], 1, 50)
    assert rows.tolist() == [7] and cosines[0] == pytest.approx(1)
    assert 7 not in search(graph(vectors), vectors[7], 50, 7)[0]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """A bank comes back bit for bit, also an empty one, and leaves nothing temporary behind."""
    for bank in (banked(), empty(WIDTH, SECOND)):
        write_bank(tmp_path, bank, [{"command": "test"}])
        again = read_bank(tmp_path)
        assert (again.vectors == bank.vectors).all() and (again.patterns == bank.patterns).all()
        assert (again.horizon_ns, again.next_id) == (bank.horizon_ns, bank.next_id)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.faiss", "manifest.json", "patterns.parquet"]


@pytest.mark.parametrize("name", ["index.faiss", "patterns.parquet"])
def test_a_changed_file_is_found(tmp_path: Path, name: str) -> None:
    """A file that is not the one the manifest describes, or is gone, is refused by name."""
    write_bank(tmp_path, banked())
    content = bytearray((tmp_path / name).read_bytes())
    content[-9] ^= 1
    (tmp_path / name).write_bytes(bytes(content))
    with pytest.raises(BadInput, match=name):
        matched(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BadInput, match=f"{name} cannot be read"):
        read_bank(tmp_path)


def test_a_folder_that_is_no_bank_is_refused(tmp_path: Path) -> None:
    """An absent bank and a bank for another model say what to do."""
    with pytest.raises(BadInput, match=r"manifest\.json does not exist"):
        matched(tmp_path)
    with pytest.raises(BadInput, match="gpi index"):
        remembering(HOW, empty(WIDTH + 1, 2 * SECOND))
    with pytest.raises(UsageError, match="k is 0"):
        remembering(Remembering(k=0))
    with pytest.raises(UsageError, match="radius"):
        remembering(Remembering(radius=0.0))


def test_pruning_keeps_what_has_proved_itself() -> None:
    """The patterns of most profitability x confidence stay, in the order of their time."""
    bank = banked(30)
    kept = pruned(bank, 10)
    worth = profitability(bank.patterns) * bank_confidence(bank.patterns)
    gone = ~np.isin(bank.patterns["id"], kept.patterns["id"])
    assert len(kept) == 10 and (np.diff(kept.patterns["known"]) >= 0).all()
    assert worth[gone].max() <= worth[~gone].min()
    assert len(pruned(bank, 100)) == 30


def test_the_weakest_leaves_a_full_bank() -> None:
    """The kernel's choice is the bank's: least worth, of equals the oldest."""
    bank = banked(12)
    survivors = set(pruned(bank, 11).patterns["id"].tolist())
    assert bank.patterns["id"][weakest(bank.patterns, 12)] not in survivors
    bank.patterns["hits"] = 0
    assert weakest(bank.patterns, 12) == 0
    assert confidence(0, 0) == 0.5 and confidence(8, 8) == 0.9


def test_hits_and_profit_are_counted_when_the_horizon_ends() -> None:
    """A later moment credits the pattern it was near: here the same move came twice."""
    columns: dict[str, Any] = {name: np.ones(7) for name in TICKS.names}
    mid = np.array([100, 100, 101, 101, 102.01, 102.01, 102.01])
    columns |= {"ts_event": np.array([0, 1, 3, 10, 11, 20, 30]) * SECOND + 1, "instrument_id": np.zeros(7)}
    columns |= {"bid_px": mid - 0.01, "ask_px": mid + 0.01}
    frame = embedded(Frame.of(TICKS, columns))
    frame["embedding"][:] = np.nan
    frame["embedding"][[1, 3]] = 1
    how = Remembering(WIDTH, 2 * SECOND, SECOND, NEVER, k=2)
    stage = remembering(how)
    state = stage.start()
    out = stage.step(state, frame)
    bank = remembered(state, how)
    assert bank.patterns["outcome"] == pytest.approx([100, 100], rel=1e-5)
    assert bank.patterns["hits"].tolist() == [1, 0] and bank.patterns["agreed"].tolist() == [1, 0]
    assert bank.patterns["profit"] == pytest.approx([100, 0], rel=1e-5)
    assert out["match_count"].tolist() == [0, 0, 0, 1, 0, 0, 0]
    told = stats(bank)
    assert (
        told["patterns"] == 2 and told["hit_rate"] == 1 and told["profit_per_hit_bps"] == pytest.approx(100, rel=1e-5)
    )


def test_a_negative_instrument_is_refused() -> None:
    """An id that is no row of the instrument table cannot be remembered."""
    columns: dict[str, Any] = {name: np.ones(2) for name in TICKS.names}
    columns["instrument_id"] = np.array([0, -2])
    frame = embedded(Frame.of(TICKS, columns))
    stage = remembering(HOW)
    with pytest.raises(BadInput, match="instrument_id -2"):
        stage.step(stage.start(), frame)
