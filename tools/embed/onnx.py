"""Any encoder as an ONNX graph: slower than the numba kernel, and open to whatever a user has trained.

The graph takes `window` float32 (1, T, D), raw features, oldest row first, and gives `embedding` (1, E),
`direction` (1, 3) probabilities and `volatility` (1,) or (1, 1) in bps. One window a call and one thread:
a result must not depend on how the stream was cut.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from gpi.formats.embeddings import DIRECTION, VOLATILITY, embedding
from gpi.formats.errors import BadInput, MissingExtra
from gpi.formats.frame import Frame
from gpi.formats.models import GRAPH, Model, read_model
from gpi.tools.embed.tick import Reading, empty_windows, grow, needs
from gpi.tools.kernels.models.encoder import follow
from gpi.tools.stage import Stage, State

# onnxruntime reports to its maker unless told not to before it is imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
try:
    import onnxruntime
except ModuleNotFoundError:
    raise MissingExtra("ONNX models need onnxruntime: install the extra `cpu` or `gpu`") from None

OUTPUTS: Final = ("embedding", "direction", "volatility")


def onnx_embedding(model_dir: Path) -> Stage:
    """The stage of `tick_embedding`, computed by onnxruntime from the folder's model.onnx.

    Raises BadInput for a bad folder or a graph with other inputs and outputs than the module's contract.
    """
    model = read_model(model_dir)
    session = _session(model)
    timing = np.array([model.stride, model.silence_ns], np.int64)
    added = (embedding(model.embedding_width), DIRECTION, VOLATILITY)
    reading = Reading(model, added)

    def step(state: State, frame: Frame) -> Frame:
        made = frame.widened(added)
        for name in OUTPUTS:
            made[name].fill(np.nan)
        window = np.empty((1, model.window, len(model.features)), np.float32)
        inputs = (frame["ts_event"], frame["instrument_id"], reading(frame))
        done = 0
        while done < frame.rows:
            done, full = follow(state["memory"], state["ring"], timing, *inputs, done, window[0])
            if full:
                for name, found in zip(OUTPUTS, session.run(OUTPUTS, {"window": window}), strict=True):
                    made[name][done - 1] = found.reshape(made[name].shape[1:])
            elif done < frame.rows:
                grow(state, int(frame["instrument_id"][done]))
        return made

    return Stage(
        name="embed",
        needs=needs(model),
        gives=reading.gives,
        start=lambda: empty_windows(model),
        step=step,
    )


def _session(model: Model) -> Any:
    path = model.folder / GRAPH
    if GRAPH not in model.manifest["digests"]:
        raise BadInput(f"{model.folder}: the manifest names no {GRAPH}: export the model to ONNX first")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        # a fallback to another provider would print to stdout, which is the stream
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's errors share no public base class
        raise BadInput(f"{path} is not a graph onnxruntime can run ({error}): export it again") from error
    inputs = {i.name: i.shape for i in session.get_inputs()}
    outputs = tuple(o.name for o in session.get_outputs())
    wanted = [1, model.window, len(model.features)]
    shape = inputs.get("window", [])
    fits = len(shape) == 3 and all(not isinstance(a, int) or a == b for a, b in zip(shape, wanted, strict=True))
    if set(inputs) != {"window"} or not fits or set(outputs) != set(OUTPUTS):
        raise BadInput(
            f"{path} takes {inputs} and gives {outputs}; it must take window {wanted} and give {', '.join(OUTPUTS)}"
        )
    return session
