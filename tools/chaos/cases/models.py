"""F27: a model that gives NaN, a graph that cannot run, a graph that fails while it runs."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from gpi.formats.words import SUBMIT
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import Child
from gpi.tools.chaos.rows import Case, Row
from gpi.tools.chaos.strategies import named

EVENTS: Final = 3000


def broken_models(lab: Lab, case: Case) -> None:
    """Each way in which a model can break, before a strategy that believes whatever it is told."""
    sound = _trade(lab, case, "sound", lab.room("model")())
    case.seen.expect(sound is not None and sound > 0, "the sound model leads to no order: this row shows nothing")
    for value in (np.nan, np.inf):
        submitted = _trade(lab, case, f"weights-{value}", _poisoned(lab, case, float(value)))
        case.seen.count("orders from a model of NaN", submitted or 0)
        case.seen.expect(submitted == 0, f"{submitted} orders left on the word of a model that says {value}")
    for name, damage in (("garbage", b"not a graph"), ("cut", None)):
        _refused(lab, case, name, damage)
    _digest(lab, case)


def _pipeline(lab: Lab, case: Case, model: Path, run: Path, onnx: bool = False) -> Child:
    line = (
        f"simulate --events {EVENTS} --levels 0 --seed {case.number} | featurize | embed --model {model}"
        f"{' --onnx' if onnx else ''} | trade --paper --strategy {named('Trusting')} --out {run}"
    )
    with lab.processes(case) as commands:
        child = commands.start("run", line)
        child.wait(120)
    return child


def _trade(lab: Lab, case: Case, name: str, model: Path) -> int | None:
    run = case.folder / f"run-{name}"
    child = _pipeline(lab, case, model, run)
    case.seen.count("models")
    case.seen.expect(child.code in (0, 3), f"I7: {name}: exit {child.code}: {child.last_line()}")
    case.seen.expect("Traceback" not in child.said(), f"I7: {name}: a traceback: {child.last_line()}")
    if child.code == 3:
        return 0
    actions = pq.read_table(run / "orders.parquet", columns=["action"])["action"].to_numpy()
    return int((actions == SUBMIT).sum())


def _copy(lab: Lab, case: Case, name: str) -> tuple[Path, dict[str, Any]]:
    folder = case.folder / f"model-{name}"
    shutil.copytree(lab.room("model")(), folder)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return folder, manifest


def _poisoned(lab: Lab, case: Case, value: float) -> Path:
    """The shipped model with every weight this value, and honest digests."""
    folder, manifest = _copy(lab, case, f"w{value}")
    with np.load(folder / "weights.npz") as stored:
        weights = {name: np.full_like(stored[name], value) for name in stored.files}
    packed = io.BytesIO()
    np.savez(packed, **weights)  # type: ignore[arg-type]
    _replaced(folder, manifest, "weights.npz", packed.getvalue())
    return folder


def _replaced(folder: Path, manifest: dict[str, Any], name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    manifest["digests"][name] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _refused(lab: Lab, case: Case, name: str, damage: bytes | None) -> None:
    """A graph ONNX Runtime cannot load: exit 3, named, no run that looks complete."""
    folder, manifest = _copy(lab, case, name)
    graph = (folder / "model.onnx").read_bytes()
    _replaced(folder, manifest, "model.onnx", graph[: len(graph) // 2] if damage is None else damage)
    child = _pipeline(lab, case, folder, case.folder / f"run-{name}", onnx=True)
    case.seen.count("graphs")
    case.seen.expect(child.code == 3, f"I7: {name}: exit {child.code}, wanted 3: {child.last_line()}")
    case.seen.expect("model.onnx" in child.last_line(), f"I7: {name}: the file is not named: {child.last_line()}")


def _digest(lab: Lab, case: Case) -> None:
    """Weights that are not those of the manifest are refused by name."""
    folder, _ = _copy(lab, case, "digest")
    weights = bytearray((folder / "weights.npz").read_bytes())
    weights[case.dice.randrange(len(weights))] ^= 1
    (folder / "weights.npz").write_bytes(bytes(weights))
    child = _pipeline(lab, case, folder, case.folder / "run-digest")
    case.seen.count("digests")
    case.seen.expect(child.code == 3 and "weights.npz" in child.last_line(), f"I7: {child.code}: {child.last_line()}")


ROWS: Final = (
    Row(
        "F27",
        "a model of NaN and of infinity, a graph that is garbage, cut, or not the manifest's (no cache is in use)",
        "refused, or no order: never one from a default value",
        broken_models,
        short=1,
        long=10,
    ),
)
