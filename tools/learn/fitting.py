"""One network from one seed: AdamW, one cycle of rates, mirrored windows, the epoch best in validation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from gpi.tools.learn.lessons import Course, Lesson, Plan
from gpi.tools.learn.metrics import direction_scores, forecast_scores
from gpi.tools.learn.network import TickNetwork

Progress = Callable[[str, float], None]  # what is going on, and the share of it that is done


def quiet(what: str, done: float) -> None:
    """Progress that nobody watches."""


def fit(course: Course, plan: Plan, seed: int, progress: Progress = quiet) -> tuple[TickNetwork, float]:
    """A trained network, its embedding whitened over the training windows, and its best validation loss."""
    torch.manual_seed(seed)
    train, network = course.train, _network(course, plan)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=1e-3)
    steps = plan.epochs * -(-len(train) // plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=steps)
    best, kept, worse = float("inf"), _copy(network), 0
    for epoch in range(plan.epochs):
        progress(f"seed {seed}", epoch / plan.epochs)
        network.train()
        for part in torch.randperm(len(train)).split(plan.batch):
            optimiser.zero_grad()
            loss = _mirrored_loss(network, train, part, course.mirror)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        now = _validation_loss(network, course.validation)
        worse = worse + 1 if now >= best else 0
        if now < best:
            best, kept = now, _copy(network)
        if worse >= plan.patience:
            break
    network.load_state_dict(kept)
    network.eval().whiten(train.window)
    return network, best


def score(network: TickNetwork, lesson: Lesson) -> dict[str, dict[str, float]]:
    """Direction and volatility scores of a network on a split."""
    with torch.no_grad():
        _, logits, volatility = network(lesson.window)
    guess = logits.argmax(1).numpy()
    return {
        "direction": direction_scores(lesson.direction.numpy(), guess),
        "volatility": forecast_scores(lesson.chosen.vol, volatility.numpy().astype(np.float64)),
    }


def _network(course: Course, plan: Plan) -> TickNetwork:
    (t1, d1), (t2, d2) = plan.first, plan.second
    window, features = course.train.window.shape[1:]
    sizes = {"T": window, "D": features, "T1": t1, "D1": d1, "T2": t2, "D2": d2, "E": plan.width}
    return TickNetwork(sizes, (course.mean, course.std), float(course.train.chosen.vol.mean()) + 1e-6)


def _copy(network: TickNetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _loss(
    network: TickNetwork, window: torch.Tensor, direction: torch.Tensor, volatility: torch.Tensor
) -> torch.Tensor:
    """Cross entropy of the direction and half the smooth L1 error of the volatility, in its own scale."""
    _, logits, guess = network(window)
    error = nn.functional.smooth_l1_loss(guess / network.volatility_scale, volatility / network.volatility_scale)
    return nn.functional.cross_entropy(logits, direction) + 0.5 * error


def _mirrored_loss(network: TickNetwork, lesson: Lesson, part: torch.Tensor, mirror: torch.Tensor) -> torch.Tensor:
    """The loss, half of the windows seen in the mirror: a day that fell must not teach that markets fall."""
    flip = torch.rand(len(part)) < 0.5
    window, direction = lesson.window[part], lesson.direction[part]
    window = torch.where(flip[:, None, None], window * mirror, window)
    return _loss(network, window, torch.where(flip, 2 - direction, direction), lesson.volatility[part])


def _validation_loss(network: TickNetwork, lesson: Lesson) -> float:
    network.eval()
    with torch.no_grad():
        return float(_loss(network, lesson.window, lesson.direction, lesson.volatility))
