"""What is learnt from: a recording cut into three splits of windows, with labels and scaling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from gpi.formats.errors import BadInput
from gpi.tools.learn.splits import purged
from gpi.tools.learn.windows import Recording, Samples, Shape, classes, samples, tensor, tercile

SIGNED: Final = ("ret_1s", "ret_5s", "ret_15s", "price_acceleration", "depth_imbalance")
"""Features that change sign with the price: in a mirrored market they are their negative."""


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
    """One split: raw windows (n, T, D), directions (n,) 0 1 2, volatilities (n,) bps."""

    chosen: Samples
    window: torch.Tensor
    direction: torch.Tensor
    volatility: torch.Tensor

    def __len__(self) -> int:
        return len(self.chosen)


@dataclass(frozen=True, slots=True)
class Course:
    """The three splits, and what was measured on the first: the flat threshold and the features' scaling."""

    features: tuple[str, ...]
    train: Lesson
    validation: Lesson
    test: Lesson
    alpha_bps: float
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]

    @property
    def mirror(self) -> torch.Tensor:
        """-1 for the features that change sign with the price, else 1."""
        return torch.tensor([-1.0 if name in SIGNED else 1.0 for name in self.features])


def course(recording: Recording, plan: Plan) -> Course:
    """Cut a recording. Raises BadInput when a split is left with fewer than ten windows."""
    whole = samples(recording, plan.shape, plan.windows)
    split = purged(whole.known_from, whole.known_to, plan.shares, plan.embargo_ns)
    if min(len(part) for part in split) < 10:
        sizes = ", ".join(str(len(part)) for part in split)
        raise BadInput(
            f"after the purge the splits hold {sizes} windows and each needs 10: record more, or shorten the embargo"
        )
    alpha = tercile(whole.take(split.train).move)
    train, validation, test = (_lesson(recording, whole.take(part), alpha) for part in split)
    mean, std = scaling(train.window.numpy(), recording.features)
    return Course(recording.features, train, validation, test, alpha, mean, std)


def scaling(window: npt.NDArray[np.float32], features: tuple[str, ...]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Mean and deviation of each feature; signed ones are measured around 0: a mirror stays a mirror."""
    signed = np.array([name in SIGNED for name in features])
    mean = np.where(signed, 0.0, window.mean((0, 1), dtype=np.float64))
    std = np.sqrt(((window - mean) ** 2).mean((0, 1), dtype=np.float64))
    still = std < 1e-12  # a feature that never moves says nothing
    return mean.astype(np.float32), np.where(still, 1.0, std).astype(np.float32)


def _lesson(recording: Recording, chosen: Samples, alpha_bps: float) -> Lesson:
    return Lesson(
        chosen,
        torch.from_numpy(tensor(recording, chosen)),
        torch.from_numpy(classes(chosen.move, alpha_bps)),
        torch.from_numpy(chosen.vol.astype(np.float32)),
    )
