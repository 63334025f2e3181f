"""Train the tick encoder: chronological, purged, several seeds, against baselines that need no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from gpi.formats.models import write_model
from gpi.formats.version import __version__
from gpi.tools.learn import baselines
from gpi.tools.learn.fitting import Progress, fit, quiet, score
from gpi.tools.learn.lessons import Course, Lesson, Plan, course
from gpi.tools.learn.metrics import summary
from gpi.tools.learn.network import OPSET, exported
from gpi.tools.learn.windows import Recording, record
from gpi.tools.stage import Stream

Report = dict[str, Any]
DEFAULT = Plan()


def train_tick(
    stream: Stream,
    out: Path,
    plan: Plan = DEFAULT,
    provenance: Sequence[Mapping[str, Any]] = (),
    progress: Progress = quiet,
) -> Report:
    """Train on a recorded stream of ticks with features, write the model folder `out`, return its metrics.

    The seed with the best validation loss is written; the test split is looked at once, for all seeds, and
    never chooses. Equal streams and plans give equal weights. Raises BadInput when the recording is too
    short.
    """
    torch.set_num_threads(1)  # small matrices: a second thread costs more than it brings, and order stays fixed
    recording = record(stream)
    lessons = course(recording, plan)
    trained = [fit(lessons, plan, seed, progress) for seed in plan.seeds]
    scores = [score(network, lessons.test) for network, _ in trained]
    progress("baselines", 0.0)
    report: Report = {
        "per_seed": [
            {"seed": seed, "validation_loss": loss, **found}
            for seed, (_, loss), found in zip(plan.seeds, trained, scores, strict=True)
        ],
        "direction": summary([one["direction"] for one in scores]),
        "volatility": summary([one["volatility"] for one in scores]),
        "baselines": compare(lessons.train, lessons.test, lessons.alpha_bps),
        "samples": {name: len(getattr(lessons, name)) for name in ("train", "validation", "test")},
    }
    best = int(np.argmin([loss for _, loss in trained]))
    network = trained[best][0]
    manifest = _manifest(recording, plan, lessons)
    manifest |= {"seed": plan.seeds[best], "metrics": report, "provenance": [dict(p) for p in provenance]}
    graph = exported(network, plan.shape.window, len(recording.features))
    write_model(out, manifest, graph, network.arrays())
    progress("done", 1.0)
    return report


def compare(train: Lesson, test: Lesson, alpha_bps: float) -> Report:
    """The baselines on a test split; what they fit, they fit on the training split."""
    fitted = baselines.logistic(
        train.window.numpy(), train.direction.numpy(), test.window.numpy(), test.direction.numpy()
    )
    return {
        "direction": {
            "persistence": baselines.persistence(test.chosen, alpha_bps),
            "majority": baselines.majority(train.chosen, test.chosen, alpha_bps),
            "logistic": fitted,
        },
        "volatility": baselines.volatility(train.chosen, test.chosen),
    }


def _manifest(recording: Recording, plan: Plan, lessons: Course) -> Report:
    ts = recording.columns["ts_event"]
    return {
        "kind": "bin-ctabl",
        "features": list(recording.features),
        "window": plan.shape.window,
        "stride": plan.shape.stride,
        "silence_ns": plan.shape.silence_ns,
        "horizon_ns": plan.shape.horizon_ns,
        "embedding_width": plan.width,
        "scaling": {"mean": [float(x) for x in lessons.mean], "std": [float(x) for x in lessons.std]},
        "labels": {"alpha_bps": lessons.alpha_bps, "rule": "mid move over horizon_ns beyond +-alpha_bps"},
        "plan": asdict(plan),
        "data": [
            {
                "sha256": recording.digest,
                "rows": recording.rows,
                "instruments": len(np.unique(recording.columns["instrument_id"])),
                "first_ts": int(ts.min()),
                "last_ts": int(ts.max()),
            }
        ],
        "versions": {
            "gpi": __version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "opset": OPSET,
        },
    }
