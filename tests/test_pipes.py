"""The tools as people use them: pipes, files, one process or many; the same rows every time."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpi.formats.frame import Frame, Layout
from gpi.formats.instruments import Instrument, Instruments
from gpi.formats.ipc import Reader, Writer, writing
from gpi.formats.ticks import TICKS
from gpi.formats.version import __version__
from gpi.tools.backtest.recovery import unfinished
from gpi.tools.backtest.told import NAME, Reading
from tests.data import shared
from tests.shell import GPI, PATIENCE_S, ROOT, environment, gpi, pipeline, turns, until

pytestmark = pytest.mark.jit  # whole processes: the kernels inside are tested elsewhere without the JIT

SIMULATED = ["simulate", "--symbols", "SPY,NVDA", "--seed", "5", "--events", "6000", "--levels", "3"]
TRADE = ["trade", "--paper", "--strategy", "market_making", "--out"]


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recorded market."""
    path = tmp_path_factory.mktemp("market") / "ticks.parquet"
    gpi(*SIMULATED, "--out", path, check=0)
    return path


PACED = ["--speed", "5"]  # the market of `ticks` lasts over a minute: no tool starts so late that it is over by then


@pytest.fixture(scope="module")
def paper(ticks: Path) -> Path:
    """The run of four real processes on pipes."""
    run = ticks.parent / "paper"
    codes, _ = pipeline(["replay", ticks], ["featurize"], ["embed"], [*TRADE, run])
    assert codes == [0, 0, 0, 0]
    return run


def cash_identity(run: Path) -> tuple[Decimal, Decimal]:
    """Cash at the end, and start + what the fills and fees say, both to the cent."""
    fills = pq.read_table(run / "fills.parquet", columns=["side", "qty", "px", "fee"]).to_pylist()
    manifest = json.loads((run / "manifest.json").read_text())
    expected = Decimal(repr(manifest["setup"]["cash"]))
    for fill in fills:
        worth = Decimal(repr(fill["qty"])) * Decimal(repr(fill["px"]))
        expected -= fill["side"] * worth + Decimal(repr(fill["fee"]))
    equity = pq.read_table(run / "equity.parquet")
    cent = Decimal("0.01")
    return Decimal(repr(equity["cash"][-1].as_py())).quantize(cent), expected.quantize(cent)


def test_a_paper_run_leaves_everything_behind(paper: Path) -> None:
    """Orders, fills, equity, metrics and a complete manifest; and the cash is start plus fills and fees."""
    names = {"orders.parquet", "fills.parquet", "equity.parquet", "performance_metrics.json", "manifest.json"}
    assert names <= {path.name for path in paper.iterdir()}
    assert json.loads((paper / "manifest.json").read_text())["complete"] is True
    assert pq.read_metadata(paper / "fills.parquet").num_rows > 0
    got, expected = cash_identity(paper)
    assert got == expected


@pytest.mark.parametrize(
    "line",
    [
        "replay {ticks} | featurize | embed | trade --paper --strategy market_making --out {out}",
        "replay {ticks} | featurize | embed | backtest --strategy market_making --out {out}",
        "replay {ticks} --batch 1 | featurize | embed | trade --paper --strategy market_making --out {out}",
        "replay {ticks} --batch 65536 | featurize | embed | backtest --strategy market_making --out {out}",
    ],
    ids=["fused", "backtest", "batch 1", "batch 65536"],
)
def test_live_is_paper_is_backtest(ticks: Path, paper: Path, tmp_path: Path, line: str) -> None:
    """One process or four, paper or backtest, whatever the batch: identical orders and fills."""
    gpi("run", line.format(ticks=ticks, out=tmp_path / "other"), check=0)
    done = gpi("verify", paper, tmp_path / "other", check=0)
    assert b"identical" in done.stderr


def test_a_run_is_repeated_from_its_manifest(paper: Path) -> None:
    """`gpi verify RUN` composes the recorded pipeline again and gets the same rows."""
    assert b"identical" in gpi("verify", paper, check=0).stderr


def test_a_planted_difference_is_found_and_named(paper: Path, tmp_path: Path) -> None:
    """One changed number in one row: the table, the row, the column and both values are told."""
    planted = tmp_path / "planted"
    planted.mkdir()
    for path in paper.iterdir():
        (planted / path.name).write_bytes(path.read_bytes())
    table = pq.read_table(paper / "fills.parquet")
    qty = np.array(table["qty"].to_pylist())
    qty[3] += 1.0
    changed = table.set_column(table.schema.get_field_index("qty"), table.schema.field("qty"), pa.array(qty))
    pq.write_table(changed, planted / "fills.parquet")
    done = gpi("verify", paper, planted, check=1)
    assert f"fills row 3, qty: {qty[3] - 1} against {qty[3]}" in done.stderr.decode()


def test_changed_data_cannot_pass_for_the_recorded(ticks: Path, tmp_path: Path) -> None:
    """A run whose input file was replaced is refused, naming the file."""
    mine, run = tmp_path / "mine.parquet", tmp_path / "run"
    mine.write_bytes(ticks.read_bytes())
    gpi("run", f"replay {mine} | backtest --out {run}", check=0)
    gpi("simulate", "--seed", "6", "--events", "500", "--out", mine, check=0)
    told = gpi("verify", run, check=3).stderr
    assert b"has changed since" in told and f"gpi {__version__} made it".encode() in told


def test_the_order_of_several_sources_is_remembered(ticks: Path, tmp_path: Path) -> None:
    """Rows of equal time come in the order of the files: verify repeats that order, also of the same file twice."""
    other = tmp_path / "another.parquet"
    gpi("simulate", "--symbols", "QQQ,SPY", "--seed", "9", "--events", "3000", "--levels", "3", "--out", other, check=0)
    for n, sources in enumerate(([ticks, other], [other, ticks], [other, other])):
        run = tmp_path / f"run{n}"
        gpi("run", f"replay {sources[0]} {sources[1]} | backtest --out {run}", check=0)
        gpi("verify", run, check=0)


def test_instruments_announced_midstream_reach_every_output(tmp_path: Path) -> None:
    """A symbol that appears after the first rows has its name in CSV, in Parquet, recut and in the lake."""
    first, both = Instruments([Instrument("AAA")]), Instruments([Instrument("AAA"), Instrument("BBB")])
    early = Frame.of(TICKS, {name: np.arange(3) for name in TICKS.names} | {"instrument_id": 0, "kind": 1})
    late = Frame.of(TICKS, {name: np.arange(3, 6) for name in TICKS.names} | {"instrument_id": 1, "kind": 1})
    for frame in (early, late):
        frame["ts_event"][:] = frame["ts_recv"][:] = 1_767_623_400 * 10**9 + frame["seq"] * 10**9
        frame["trade_px"][:], frame["trade_sz"][:] = np.nan, 0
        frame["side"][:] = frame["flags"][:] = 0
        frame["ask_px"][:] = frame["bid_px"][:] = frame["bid_px"] + 10
        frame["bid_sz"][:] = frame["ask_sz"][:] = 1
    note = Layout.of(TICKS).empty(0)
    note.notes = {"gpi.instruments": both.to_json()}
    path = tmp_path / "live.arrow"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with writing(fd, first.on(TICKS)) as writer:
        for frame in (early, note, late):
            writer.write(frame)
    os.close(fd)
    stream = path.read_bytes()
    gpi("run", f"replay {path} --as-written --batch 2", "--out", tmp_path / "recut.arrow", check=0)
    gpi("run", f"replay {path} --as-written", "--out", tmp_path / "live.parquet", check=0)
    gpi("featurize", "--out", f"{tmp_path}/lake/", stdin=stream, check=0)
    for source in (path, tmp_path / "recut.arrow", tmp_path / "live.parquet", tmp_path / "lake"):
        told = gpi("replay", source, "--to", "jsonl", check=0).stdout.decode().splitlines()
        assert [json.loads(line)["symbol"] for line in told] == ["AAA"] * 3 + ["BBB"] * 3, source


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """Each writes a file of its own; the last to finish is what is there, whole."""
    out = tmp_path / "two.csv"
    command = [*GPI, "simulate", "--events", "30000", "--levels", "0", "--out", str(out)]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [child.wait(timeout=120) for child in both] == [0, 0]
    assert len(out.read_text().splitlines()) == 30_001


@pytest.fixture(scope="module")
def frames(ticks: Path) -> tuple[pa.Schema, list[Frame]]:
    """The market as a stream: its schema and its batches."""
    stream = os.memfd_create("ticks")
    os.write(stream, gpi("replay", ticks, "--batch", "500", check=0).stdout)
    os.lseek(stream, 0, os.SEEK_SET)
    reader = Reader(stream)
    found = [frame.copy() for frame in reader]
    os.close(stream)
    return reader.schema, found


@contextmanager
def fed(run: Path, schema: pa.Schema, *words: object) -> Iterator[tuple[subprocess.Popen[bytes], Writer]]:
    """A trader and the writer of its stdin; it is not left behind."""
    trader = subprocess.Popen(
        [*GPI, *TRADE, str(run), *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    assert trader.stdin is not None
    try:
        yield trader, Writer(trader.stdin.fileno(), schema)
    finally:
        trader.stdin.close()
        trader.kill()
        trader.wait()


def traded(run: Path) -> bool:
    """Whether a run that goes on has told of an order."""
    return unfinished(run) and next(Reading(run / NAME).records(), None) is not None


def test_a_trader_told_to_end_cancels_and_exits_130(frames: Any, ticks: Path, tmp_path: Path) -> None:
    """SIGTERM on a quiet pipe between two batches: the run is closed, complete and repeatable, and no order is open."""
    run, (schema, batches) = tmp_path / "run", frames
    with fed(run, schema) as (trader, writer):
        for batch in batches[: len(batches) // 2]:
            writer.write(batch)
        until(lambda: traded(run))
        turns(trader.pid)
        trader.terminate()
        assert trader.wait(timeout=PATIENCE_S) == 130
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["complete"] is True and manifest["ticks"] == 500 * (len(batches) // 2)
    working = still_working(run)
    assert working and not any(working.values()), "orders were open, none is left so"
    assert b"identical" in gpi("verify", run, "--recording", ticks, check=0).stderr


def still_working(run: Path) -> dict[int, float]:
    """By order that was ever open: what of it is."""
    found: dict[int, float] = {}
    for row in pq.read_table(run / "orders.parquet", columns=["order_id", "action", "leaves"]).to_pylist():
        if row["action"] in (4, 8):
            found[row["order_id"]] = row["leaves"]
        elif row["action"] in (5, 6, 7):
            found[row["order_id"]] = 0.0
    return found


def test_the_kill_file_is_seen_on_a_quiet_feed(frames: Any, tmp_path: Path) -> None:
    """It appears and is gone again while no tick comes: the kill stands all the same, and the exit code says so."""
    kill, run, (schema, batches) = tmp_path / "kill", tmp_path / "run", frames
    half = len(batches) // 2
    with fed(run, schema, "--kill-file", kill) as (trader, writer):
        for batch in batches[:half]:
            writer.write(batch)
        until(lambda: traded(run))
        turns(trader.pid)
        kill.touch()
        turns(trader.pid)
        kill.unlink()
        for batch in batches[half:]:
            writer.write(batch)
        writer.close()
        assert trader.stdin is not None
        trader.stdin.close()
        assert trader.wait(timeout=PATIENCE_S) == 4
    assert json.loads((run / "manifest.json").read_text())["kill_row"] == 500 * half
    assert not any(still_working(run).values())


def test_fused_is_piped_bit_for_bit() -> None:
    """Law 7: the bytes on stdout are the same, schema, provenance and digest included."""
    codes, piped = pipeline(SIMULATED, ["featurize"], ["embed"])
    fused = gpi("run", " ".join(SIMULATED) + " | featurize | embed", check=0)
    assert codes == [0, 0, 0]
    assert fused.stdout == piped


def test_a_tool_reads_files_as_it_reads_pipes(ticks: Path, tmp_path: Path) -> None:
    """`gpi featurize FILE`, a pipe and a redirected stream give the same rows."""
    gpi("replay", ticks, "--out", tmp_path / "ticks.arrow", check=0)
    gpi("replay", tmp_path / "ticks.arrow", "--batch", "7", "--out", tmp_path / "recut.arrow", check=0)
    direct = gpi("featurize", ticks, "--to", "csv", check=0).stdout
    assert direct == gpi("featurize", tmp_path / "recut.arrow", "--to", "csv", check=0).stdout
    stored = gpi("featurize", tmp_path / "ticks.arrow", "--to", "csv", check=0).stdout
    stream = (tmp_path / "ticks.arrow").read_bytes()
    assert direct == stored == gpi("featurize", "--to", "csv", stdin=stream, check=0).stdout


def test_every_form_of_output_has_every_row(ticks: Path, tmp_path: Path) -> None:
    """CSV, JSON lines, Parquet and a lake hold the same number of rows, with symbols for people."""
    csv = gpi("featurize", ticks, "--to", "csv", check=0).stdout.decode().splitlines()
    lines = gpi("featurize", ticks, "--to", "jsonl", check=0).stdout.decode().splitlines()
    gpi("featurize", ticks, "--out", tmp_path / "f.parquet", check=0)
    gpi("replay", ticks, "--out", f"{tmp_path}/lake/", check=0)
    assert len(csv) - 1 == len(lines) == pq.read_metadata(tmp_path / "f.parquet").num_rows == 6000
    assert json.loads(lines[-1])["symbol"] in ("SPY", "NVDA")
    assert '"ret_1s"' in csv[0] or "ret_1s" in csv[0]
    answer = gpi("query", "SELECT count(*) n FROM ticks", "--lake", tmp_path / "lake", "--to", "csv", check=0)
    assert answer.stdout.decode().split() == ['"n"', "6000"]


def test_a_reader_that_leaves_causes_no_traceback(ticks: Path) -> None:
    """`gpi replay | head` ends quietly."""
    child = subprocess.Popen([*GPI, "replay", str(ticks)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None and child.stderr is not None
    child.stdout.read(10)
    child.stdout.close()
    assert child.wait() == 141
    assert b"Traceback" not in child.stderr.read()
    child.stderr.close()


def test_a_killed_upstream_is_exit_3_and_a_run_that_says_so(ticks: Path, tmp_path: Path) -> None:
    """kill -9 between batches: the trader counts its rows, cancels, writes an incomplete run, exits 3."""
    run = tmp_path / "run"
    slow = subprocess.Popen([*GPI, "replay", str(ticks), *PACED, "--batch", "16"], stdout=subprocess.PIPE, cwd=ROOT)
    trader = subprocess.Popen(
        [*GPI, *TRADE, str(run)], stdin=slow.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert slow.stdout is not None and trader.stderr is not None
    slow.stdout.close()
    until(lambda: traded(run))
    slow.send_signal(signal.SIGKILL)
    slow.wait()
    assert trader.wait(timeout=60) == 3
    message = trader.stderr.read().decode()
    trader.stderr.close()
    assert "truncated after" in message and "Traceback" not in message
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["complete"] is False
    assert f"{manifest['ticks']} rows" in message.replace(",", "")
    working = still_working(run)
    assert working and not any(working.values()), "orders were open, none is left so"


def test_ctrl_c_drains_the_pipeline(ticks: Path, tmp_path: Path) -> None:
    """SIGINT to all: the source ends its stream honestly, the rest drain and exit 0; the file is whole."""
    out = tmp_path / "f.arrow"
    source = subprocess.Popen(
        [*GPI, "replay", str(ticks), *PACED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    tool = subprocess.Popen(
        [*GPI, "featurize", "--out", str(out)], stdin=source.stdout, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert source.stdout is not None
    source.stdout.close()
    until(lambda: any(p.stat().st_size > 5000 for p in tmp_path.glob("*.partial")))
    for child in (tool, source):
        os.kill(child.pid, signal.SIGINT)
    assert source.wait(timeout=60) == 130
    assert tool.wait(timeout=60) == 0
    for child in (source, tool):
        assert child.stderr is not None
        assert b"Traceback" not in child.stderr.read()
        child.stderr.close()
    gpi("featurize", out, check=3)  # the column is there already: the file was whole enough to be read and refused
    gpi("replay", out, "--to", "csv", check=0)


def test_a_killed_writer_leaves_no_visible_parquet(ticks: Path, tmp_path: Path) -> None:
    """kill -9 while Parquet is written: nothing that matches *.parquet can be seen."""
    out = tmp_path / "deep" / "x.parquet"
    child = subprocess.Popen([*GPI, "replay", str(ticks), *PACED, "--out", str(out)], cwd=ROOT)
    until(lambda: out.parent.exists() and any(out.parent.iterdir()))
    child.kill()
    child.wait()
    assert any(out.parent.iterdir()) and not list(tmp_path.rglob("*.parquet"))


def test_the_kill_file_stops_trading_with_exit_4(ticks: Path, tmp_path: Path) -> None:
    """The file is there: every order is refused or cancelled, the exit says so, and verify repeats the kill."""
    kill, run = tmp_path / "kill", tmp_path / "run"
    kill.touch()
    line = f"replay {ticks} | trade --paper --kill-file {kill} --out {run}"
    assert b"kill switch" in gpi("run", line, check=4).stderr
    orders = pq.read_table(run / "orders.parquet")
    assert not set(orders["action"].to_pylist()) & {1, 4, 8}
    gpi("verify", run, check=0)


def test_the_pattern_bank_is_built_asked_and_pruned_from_the_shell(ticks: Path, tmp_path: Path) -> None:
    """build, stats, search, match, learn, prune: each on the same embedded stream."""
    embedded, bank = tmp_path / "embedded.arrow", tmp_path / "bank"
    gpi("run", f"replay {ticks} | featurize | embed", "--out", embedded, check=0)
    built = gpi("index", "build", embedded, "--bank", bank, "--horizon", "2", "--spacing", "0.5", check=0)
    patterns = int(built.stdout.decode().split()[1])
    assert patterns > 50
    assert gpi("index", "stats", "--bank", bank, check=0).stdout == built.stdout
    assert b"outcome" in gpi("index", "search", embedded, "--bank", bank, "--row", 4000, check=0).stdout
    matched = gpi("index", "match", embedded, "--bank", bank, "--to", "jsonl", check=0).stdout.splitlines()
    assert json.loads(matched[-1])["match_count"] > 0
    learnt = gpi("index", "learn", embedded, "--bank", tmp_path / "learnt", "--to", "jsonl", check=0)
    assert json.loads(learnt.stdout.splitlines()[0])["match_count"] == 0
    gpi("index", "stats", "--bank", tmp_path / "learnt", check=0)
    gpi("run", f"replay {embedded} | index match --bank {bank} | backtest --out {tmp_path / 'run'}", check=0)
    gpi("verify", tmp_path / "run", check=0)
    pruned = gpi("index", "prune", "--bank", bank, "--capacity", 10, check=0)
    assert pruned.stdout.decode().split()[1] == "10"


def test_the_example_of_a_day_of_research_runs(ticks: Path, tmp_path: Path) -> None:
    """examples/offline_day.sh: features once, three backtests, one table."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", ROOT / "examples" / "offline_day.sh", ticks, tmp_path / "out"],
        capture_output=True,
        env=environment(PATH=path),
    )
    assert done.returncode == 0, done.stderr.decode()
    assert all(f"gamma_{gamma}" in done.stdout.decode() for gamma in ("0.05", "0.1", "0.2"))


def test_a_model_is_trained_evaluated_and_served_from_the_shell(tmp_path: Path) -> None:
    """`gpi train tick` writes a model that `gpi embed --model` and `gpi train evaluate` take."""
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    features, model = tmp_path / "features.arrow", tmp_path / "model"
    line = "simulate --symbols SPY --seed 3 --duration 5400 --levels 0 | featurize"
    gpi("run", line, "--out", features, check=0)
    told = gpi("train", "tick", features, "--out", model, "--seeds", "2", "--epochs", "1", check=0).stderr.decode()
    assert "persistence" in told and "logistic" in told and "+-" in told
    gpi("embed", features, "--model", model, "--out", tmp_path / "e.arrow", check=0)
    assert b"persistence" in gpi("train", "evaluate", features, "--model", model, check=0).stdout
    numba = gpi("embed", features, "--model", model, "--to", "csv", check=0).stdout
    onnx = gpi("embed", features, "--model", model, "--onnx", "--to", "csv", check=0).stdout
    assert len(numba.splitlines()) == len(onnx.splitlines())
    (model / "weights.npz").write_bytes(b"tampered")
    assert b"weights.npz" in gpi("embed", features, "--model", model, check=3).stderr


@pytest.mark.parametrize("name", ["AAPL_20120621_L1", "AMZN_20120621_L5"])
def test_real_books_give_the_same_run_twice(tmp_path: Path, name: str) -> None:
    """A real day: paper on pipes and a backtest in one process agree, and the cash is right to the cent."""
    path = shared(f"eq_lob_lobster_{name}.parquet")
    codes, _ = pipeline(["replay", path], ["featurize"], ["embed"], [*TRADE, tmp_path / "a"])
    assert codes == [0, 0, 0, 0]
    gpi("run", f"replay {path} | featurize | embed | backtest --out {tmp_path / 'b'}", check=0)
    gpi("verify", tmp_path / "a", tmp_path / "b", check=0)
    got, expected = cash_identity(tmp_path / "a")
    assert got == expected
