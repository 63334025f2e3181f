"""What a model must beat: guesses that need no network, on the very same windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gpi.formats.errors import MissingExtra
from gpi.tools.learn.metrics import direction_scores, forecast_scores
from gpi.tools.learn.windows import Samples, classes

try:
    from sklearn.linear_model import LogisticRegression
except ModuleNotFoundError:
    raise MissingExtra("the logistic baseline needs scikit-learn: install the extra `train`") from None

Ints = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]
Scores = dict[str, dict[str, float]]


def persistence(test: Samples, alpha_bps: float) -> dict[str, float]:
    """The next move is the last one: its direction over the past horizon, by the same threshold."""
    return direction_scores(classes(test.move, alpha_bps), classes(test.past_move, alpha_bps))


def majority(train: Samples, test: Samples, alpha_bps: float) -> dict[str, float]:
    """Always the direction that was commonest in training."""
    commonest = np.bincount(classes(train.move, alpha_bps), minlength=3).argmax()
    return direction_scores(classes(test.move, alpha_bps), np.full(len(test), commonest, np.int64))


def logistic(train_x: Singles, train_y: Ints, test_x: Singles, test_y: Ints) -> dict[str, float]:
    """Multinomial logistic regression on the flattened windows, squashed as the encoder squashes them."""
    mean, std = train_x.mean((0, 1)), train_x.std((0, 1)) + 1e-12

    def flat(x: Singles) -> Singles:
        z = (x - mean) / std
        return np.asarray(z / (1 + np.abs(z) / 8), np.float32).reshape(len(x), -1)

    model = LogisticRegression(C=0.01, max_iter=200, tol=1e-3)
    model.fit(flat(train_x), train_y)
    return direction_scores(test_y, model.predict(flat(test_x)).astype(np.int64))


def volatility(train: Samples, test: Samples) -> Scores:
    """The last horizon's volatility; that of the last ten; a line through both, fitted in training."""
    line = np.linalg.lstsq(_regressors(train), train.vol, rcond=None)[0]
    return {
        "last_horizon": forecast_scores(test.vol, test.past_vol),
        "last_ten_horizons": forecast_scores(test.vol, test.long_vol),
        "regression_on_both": forecast_scores(test.vol, _regressors(test) @ line),
    }


def _regressors(chosen: Samples) -> npt.NDArray[np.float64]:
    return np.column_stack([np.ones(len(chosen)), chosen.past_vol, chosen.long_vol])
