"""How well a classifier or a forecast did: plain numpy, checked against hand values and scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def confusion(truth: Ints, guess: Ints, classes: int = 3) -> Floats:
    """Counts (classes, classes): row the truth, column the guess."""
    pairs = truth * classes + guess
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.float64)


def f1_by_class(table: Floats) -> Floats:
    """2 tp / (2 tp + fp + fn) for each class of a confusion table; 0 where the class never occurs."""
    hits = np.diag(table)
    both = table.sum(0) + table.sum(1)
    return np.asarray(np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0))


def macro_f1(table: Floats) -> float:
    """The mean of the classes' F1."""
    return float(f1_by_class(table).mean())


def weighted_f1(table: Floats) -> float:
    """The classes' F1, weighted by how often each class occurs."""
    return float((f1_by_class(table) * table.sum(1)).sum() / max(table.sum(), 1.0))


def mcc(table: Floats) -> float:
    """Matthews' correlation for several classes (Gorodkin 2004): 0 for a guess without skill."""
    total, hits = table.sum(), np.diag(table).sum()
    truth, guess = table.sum(1), table.sum(0)
    scale = np.sqrt((total**2 - (guess**2).sum()) * (total**2 - (truth**2).sum()))
    return float((hits * total - truth @ guess) / scale) if scale > 0 else 0.0


def direction_scores(truth: Ints, guess: Ints) -> dict[str, float]:
    """Macro F1, weighted F1 and MCC of guessed directions (0 down, 1 flat, 2 up)."""
    table = confusion(truth, guess)
    return {"macro_f1": macro_f1(table), "weighted_f1": weighted_f1(table), "mcc": mcc(table)}


def forecast_scores(truth: Floats, guess: Floats) -> dict[str, float]:
    """Mean absolute error, in the unit given, and R2 against the mean of the truth."""
    away = truth - guess
    spread = ((truth - truth.mean()) ** 2).sum()
    r2 = 1.0 - float((away**2).sum() / spread) if spread > 0 else 0.0
    return {"mae": float(np.abs(away).mean()), "r2": r2}


def summary(scores: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Over seeds: each score's mean and the standard error of that mean (0 for a single seed)."""
    found = {}
    for name in scores[0]:
        values = np.array([score[name] for score in scores])
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        found[name] = {"mean": float(values.mean()), "standard_error": float(error)}
    return found
