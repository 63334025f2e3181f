"""Train the tick encoder: chronological, purged, several seeds, against baselines that need no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from gpi.formats.errors import BadInput
from gpi.formats.models import write_model
from gpi.formats.version import __version__
from gpi.tools.learn import baselines
from gpi.tools.learn.metrics import direction_scores, forecast_scores, summary
from gpi.tools.learn.network import OPSET, TickNetwork, exported
from gpi.tools.learn.splits import Split, purged
from gpi.tools.learn.windows import Recording, Samples, Shape, classes, record, samples, tensor, tercile
from gpi.tools.stage import Stream

Progress = Callable[[str, float], None]  # what is going on, and the share of it that is done
Report = dict[str, Any]


def quiet(what: str, done: float) -> None:
    """Progress nobody watches."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train and how long. The defaults take a few minutes on one core."""

    shape: Shape = field(default_factory=Shape)
    width: int = 16  # of the embedding
    first: tuple[int, int] = (10, 32)  # time steps and features after the first bilinear layer
    second: tuple[int, int] = (5, 32)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    windows: int = 60_000  # at most, over all splits
    epochs: int = 12
    patience: int = 3  # epochs without a better validation loss before a seed stops
    batch: int = 256
    rate: float = 2e-3
    shares: tuple[float, float] = (0.6, 0.2)  # of train and validation
    embargo_ns: int = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Lesson:
    """One split ready for the network: raw windows, directions and volatilities."""

    chosen: Samples
    window: torch.Tensor
    direction: torch.Tensor
    volatility: torch.Tensor


def train_tick(
    stream: Stream,
    out: Path,
    plan: Plan = Plan(),  # noqa: B008  (frozen)
    provenance: Sequence[Mapping[str, Any]] = (),
    progress: Progress = quiet,
) -> Report:
    """Train on a recorded stream of ticks with features, write the model folder `out`, return its metrics.

    The seed with the best validation loss is written; the test split is looked at once, for all seeds, and never
    chooses. Equal streams and plans give equal weights. Raises BadInput when the recording is too short.
    """
    torch.set_num_threads(1)  # small matrices: a second thread costs more than it brings, and order stays fixed
    recording = record(stream)
    lessons, alpha = _lessons(recording, plan)
    scaling = _scaling(lessons[0].window.numpy())
    trained = [fit(lessons, scaling, plan, seed, progress) for seed in plan.seeds]
    scores = [score(network, lessons[2]) for network, _ in trained]
    progress("baselines", 0.0)
    report: Report = {
        "per_seed": [
            {"seed": seed, "validation_loss": loss, **found}
            for seed, (_, loss), found in zip(plan.seeds, trained, scores, strict=True)
        ],
        "direction": summary([one["direction"] for one in scores]),
        "volatility": summary([one["volatility"] for one in scores]),
        "baselines": compare(lessons, alpha),
        "samples": {n: len(x.chosen) for n, x in zip(("train", "validation", "test"), lessons, strict=True)},
    }
    best = int(np.argmin([loss for _, loss in trained]))
    network = trained[best][0]
    manifest = _manifest(recording, plan, scaling, alpha)
    manifest |= {"seed": plan.seeds[best], "metrics": report, "provenance": [dict(p) for p in provenance]}
    graph = exported(network, plan.shape.window, len(recording.features))
    write_model(out, manifest, graph, network.arrays())
    progress("done", 1.0)
    return report


def fit(
    lessons: tuple[Lesson, Lesson, Lesson],
    scaling: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    plan: Plan,
    seed: int,
    progress: Progress = quiet,
) -> tuple[TickNetwork, float]:
    """One network from one seed, at the epoch of its best validation loss, and that loss."""
    torch.manual_seed(seed)
    train, validation, _ = lessons
    network = TickNetwork(_sizes(plan, train.window.shape[2]), scaling, float(train.chosen.vol.mean()) + 1e-6)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=1e-3)
    steps = plan.epochs * -(-len(train.window) // plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=steps)
    best, kept, worse = float("inf"), {k: v.clone() for k, v in network.state_dict().items()}, 0
    for epoch in range(plan.epochs):
        progress(f"seed {seed}", epoch / plan.epochs)
        network.train()
        for part in torch.randperm(len(train.window)).split(plan.batch):
            optimiser.zero_grad()
            loss = _loss(network, train, part)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            now = float(_loss(network, validation, torch.arange(len(validation.window))))
        if now < best:
            best, kept, worse = now, {k: v.clone() for k, v in network.state_dict().items()}, 0
        else:
            worse += 1
            if worse >= plan.patience:
                break
    network.load_state_dict(kept)
    return network.eval(), best


def score(network: TickNetwork, lesson: Lesson) -> dict[str, dict[str, float]]:
    """Direction and volatility scores of a network on a split."""
    with torch.no_grad():
        _, logits, volatility = network(lesson.window)
    guess = logits.argmax(1).numpy()
    return {
        "direction": direction_scores(lesson.direction.numpy(), guess),
        "volatility": forecast_scores(lesson.chosen.vol, volatility.numpy().astype(np.float64)),
    }


def compare(lessons: tuple[Lesson, Lesson, Lesson], alpha: float) -> Report:
    """The baselines on the test split; what they fit, they fit on the training split."""
    train, _, test = lessons
    fitted = baselines.logistic(
        train.window.numpy(), train.direction.numpy(), test.window.numpy(), test.direction.numpy()
    )
    return {
        "direction": {
            "persistence": baselines.persistence(test.chosen, alpha),
            "majority": baselines.majority(train.chosen, test.chosen, alpha),
            "logistic": fitted,
        },
        "volatility": baselines.volatility(train.chosen, test.chosen),
    }


def _lessons(recording: Recording, plan: Plan) -> tuple[tuple[Lesson, Lesson, Lesson], float]:
    whole = samples(recording, plan.shape, plan.windows)
    split: Split = purged(whole.known_from, whole.known_to, plan.shares, plan.embargo_ns)
    if min(len(part) for part in split) < 10:
        sizes = ", ".join(str(len(part)) for part in split)
        raise BadInput(
            f"after the purge the splits hold {sizes} windows; each needs 10: record more, or shorten the embargo"
        )
    alpha = tercile(whole.take(split.train).move)

    def lesson(numbers: npt.NDArray[np.int64]) -> Lesson:
        chosen = whole.take(numbers)
        return Lesson(
            chosen,
            torch.from_numpy(tensor(recording, chosen)),
            torch.from_numpy(classes(chosen.move, alpha)),
            torch.from_numpy(chosen.vol.astype(np.float32)),
        )

    return (lesson(split.train), lesson(split.validation), lesson(split.test)), alpha


def _loss(network: TickNetwork, lesson: Lesson, part: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the direction plus the smooth L1 error of the volatility in units of its scale."""
    _, logits, volatility = network(lesson.window[part])
    direction = nn.functional.cross_entropy(logits, lesson.direction[part])
    scale = network.volatility_scale
    return direction + 0.5 * nn.functional.smooth_l1_loss(volatility / scale, lesson.volatility[part] / scale)


def _scaling(window: npt.NDArray[np.float32]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    mean = window.mean((0, 1), dtype=np.float64).astype(np.float32)
    std = window.std((0, 1), dtype=np.float64).astype(np.float32)
    return mean, np.where(std > 1e-12, std, np.float32(1.0))  # a feature that never moves says nothing


def _sizes(plan: Plan, features: int) -> dict[str, int]:
    (t1, d1), (t2, d2) = plan.first, plan.second
    return {"T": plan.shape.window, "D": features, "T1": t1, "D1": d1, "T2": t2, "D2": d2, "E": plan.width}


def _manifest(
    recording: Recording, plan: Plan, scaling: tuple[npt.NDArray[Any], npt.NDArray[Any]], alpha: float
) -> Report:
    ts = recording.columns["ts_event"]
    return {
        "kind": "bin-ctabl",
        "features": list(recording.features),
        "window": plan.shape.window,
        "stride": plan.shape.stride,
        "silence_ns": plan.shape.silence_ns,
        "horizon_ns": plan.shape.horizon_ns,
        "embedding_width": plan.width,
        "scaling": {"mean": [float(x) for x in scaling[0]], "std": [float(x) for x in scaling[1]]},
        "labels": {"alpha_bps": alpha, "rule": "mid move over horizon_ns beyond +-alpha_bps"},
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
        "versions": {"gpi": __version__, "torch": torch.__version__, "onnx": onnx.__version__, "opset": OPSET},
    }
