"""How a finished model does on a recording it has not been trained on, beside the baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch

from gpi.formats.models import Model, read_model, read_weights
from gpi.tools.learn.fitting import score
from gpi.tools.learn.lessons import Plan, course
from gpi.tools.learn.network import TickNetwork
from gpi.tools.learn.tick import compare
from gpi.tools.learn.windows import Shape, narrowed, record
from gpi.tools.stage import Stream

Report = dict[str, Any]
MOST: Final = 60_000  # windows
EMBARGO_NS: Final = 60_000_000_000


def evaluate_tick(stream: Stream, model_dir: Path, windows: int = MOST, embargo_ns: int = EMBARGO_NS) -> Report:
    """Scores of a model on the last fifth of a recorded stream, with its own window and horizon.

    The flat threshold is the tercile of the recording's first three fifths, on which the baselines are
    fitted; the model is taken as it is. Raises BadInput for a bad folder, other features or too short a
    recording.
    """
    model = read_model(model_dir)
    network = loaded(model)
    recording = record(stream)
    recording = narrowed(recording, model.features, model.places(recording.features))
    shape = Shape(model.window, model.stride, model.horizon_ns, model.silence_ns)
    lessons = course(recording, Plan(shape=shape, windows=windows, embargo_ns=embargo_ns))
    return {
        "model": model.digest,
        "samples": len(lessons.test),
        "alpha_bps": lessons.alpha_bps,
        **score(network, lessons.test),
        "baselines": compare(lessons.train, lessons.test, lessons.alpha_bps),
    }


def loaded(model: Model) -> TickNetwork:
    """A model's weights as a network again."""
    arrays = read_weights(model)
    sizes = {"T": model.window, "D": len(model.features), "E": model.embedding_width}
    sizes["T1"], sizes["D1"] = arrays["first_bias"].shape
    sizes["T2"], sizes["D2"] = arrays["second_bias"].shape
    scaling = (arrays["mean"], 1.0 / arrays["inverse_std"])
    network = TickNetwork(sizes, scaling, float(arrays["volatility_scale"][0]))
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()}, strict=False)
    network.eval()
    return network
