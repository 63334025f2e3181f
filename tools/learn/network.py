"""The tick encoder in torch, with the very arrays of the numba kernel, and its way out to ONNX.

The architecture and its sources stand in gpi.tools.kernels.models.encoder; this file only makes it trainable.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpi.formats.errors import MissingExtra
from gpi.formats.models import Arrays
from gpi.tools.kernels.models.encoder import EPSILON, HALF, SHAPES

try:
    import onnx
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as absent:
    raise MissingExtra(f"training needs {absent.name}: install the extra `train`") from None

OPSET = 18
_FIXED = ("mean", "inverse_std", "volatility_scale", "tabl_scale")  # taken from the data, not learnt


class TickNetwork(nn.Module):  # type: ignore[misc]
    """(batch, T, D) raw features -> embedding (batch, E), direction logits (batch, 3), volatility (batch,), bps.

    sizes: T, D, T1, D1, T2, D2, E. scaling: mean and standard deviation of the features, (D,) each;
    volatility_scale: bps, the typical volatility.
    """

    def __init__(
        self, sizes: dict[str, int], scaling: tuple[Any, Any], volatility_scale: float, dropout: float = 0.1
    ) -> None:
        super().__init__()
        shapes = {n: tuple(sizes.get(x) or int(x) for x in letters) for n, letters in SHAPES.items()}
        fixed = {
            "mean": torch.as_tensor(np.asarray(scaling[0], np.float32)),
            "inverse_std": torch.as_tensor((1.0 / np.asarray(scaling[1])).astype(np.float32)),
            "volatility_scale": torch.tensor([volatility_scale], dtype=torch.float32),
            "tabl_scale": torch.ones(sizes["E"]),
        }
        for name, shape in shapes.items():
            if name in _FIXED:
                self.register_buffer(name, fixed[name])
            else:
                self.register_parameter(name, nn.Parameter(_first(name, shape)))
        self.register_buffer("diagonal", torch.eye(sizes["T2"]))
        self.drop = nn.Dropout(dropout)

    def normalised(self, window: Tensor) -> Tensor:
        """Squashed z-scores, then BiN with the identity mixed in."""
        z = (window - self.mean) * self.inverse_std
        x = z / (float(HALF) + z.abs())
        over_time = x - x.mean(1, keepdim=True)
        over_time = over_time / torch.sqrt((over_time**2).mean(1, keepdim=True) + float(EPSILON))
        across = x - x.mean(2, keepdim=True)
        across = across / torch.sqrt((across**2).mean(2, keepdim=True) + float(EPSILON))
        timed = over_time * self.time_gain + self.time_bias
        crossed = across * self.feature_gain[:, None] + self.feature_bias[:, None]
        return self.mix[0] * x + self.mix[1] * timed + self.mix[2] * crossed

    def attention(self) -> Tensor:
        """The temporal attention with its diagonal fixed at 1 / T2 (TNNLS 2019, section III-B)."""
        return self.tabl_attention * (1.0 - self.diagonal) + self.diagonal / self.diagonal.shape[0]

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding, direction logits, volatility."""
        x = self.normalised(window)
        x = self.drop(torch.relu(self.first_time @ x @ self.first_feature + self.first_bias))
        x = self.drop(torch.relu(self.second_time @ x @ self.second_feature + self.second_bias))
        x = x @ self.tabl_feature
        scores = torch.softmax(x.transpose(1, 2) @ self.attention(), 2).transpose(1, 2)
        share = self.tabl_mix.clamp(0.0, 1.0)
        summed = self.tabl_time @ (share * x * scores + (1.0 - share) * x)
        embedding = self.tabl_scale * summed + self.tabl_bias
        logits = embedding @ self.direction_weight + self.direction_bias
        raw = embedding @ self.volatility_weight + self.volatility_bias
        return embedding, logits, nn.functional.softplus(raw) * self.volatility_scale

    def whiten(self, window: Tensor) -> None:
        """Give the embedding mean 0 and deviation 1 over these windows, leaving what the heads say as it was.

        So that a cosine between two embeddings compares moments with the average moment, not with the origin.
        """
        with torch.no_grad():
            embedding = self.forward(window)[0]
            mean, deviation = embedding.mean(0), embedding.std(0) + 1e-6
            self.direction_bias += mean @ self.direction_weight
            self.volatility_bias += mean @ self.volatility_weight
            self.direction_weight *= deviation[:, None]
            self.volatility_weight *= deviation
            self.tabl_scale /= deviation
            self.tabl_bias.copy_((self.tabl_bias - mean) / deviation)

    def arrays(self) -> Arrays:
        """The weights as the numba kernel takes them."""
        found = {name: getattr(self, name).detach().numpy().copy() for name in SHAPES}
        found["tabl_attention"] = self.attention().detach().numpy().copy()
        found["tabl_mix"] = np.clip(found["tabl_mix"], 0.0, 1.0)
        return {name: np.ascontiguousarray(value, np.float32) for name, value in found.items()}


class _Served(nn.Module):  # type: ignore[misc]
    """The network as it is served: probabilities in place of logits."""

    def __init__(self, network: TickNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embedding, logits, volatility = self.network(window)
        return embedding, torch.softmax(logits, 1), volatility


def exported(network: TickNetwork, window: int, features: int) -> bytes:
    """The network as ONNX: `window` float32 (1, T, D) -> `embedding`, `direction`, `volatility`."""
    network.eval()
    with _unsaid():
        program = torch.onnx.export(
            _Served(network).eval(),
            (torch.zeros(1, window, features),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["window"],
            output_names=["embedding", "direction", "volatility"],
            verbose=False,
        )
    buffer = io.BytesIO()
    program.save(buffer)
    graph = onnx.load_model_from_string(buffer.getvalue())
    _forget_where_it_was_made(graph)
    return bytes(graph.SerializeToString(deterministic=True))


@contextmanager
def _unsaid() -> Iterator[None]:
    """Keep the exporter from telling the user about its own deprecations and about an absent torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _forget_where_it_was_made(graph: Any) -> None:
    """Drop stack traces and file paths: they differ between machines and tell nothing of the model."""
    del graph.metadata_props[:]
    for part in (graph.graph, *graph.graph.node, *graph.graph.input, *graph.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for part in (*graph.graph.value_info, *graph.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def _first(name: str, shape: tuple[int, ...]) -> Tensor:
    """What a parameter starts as: scaled normals for matrices, ones for gains, shares for mixes, or zeros."""
    if name == "mix":
        return torch.tensor([1.0, 0.1, 0.1])  # the plain view first: best on validation
    if name == "tabl_mix":
        return torch.full(shape, 0.5)
    if name.endswith("gain"):
        return torch.ones(shape)
    if name in ("tabl_time", "volatility_weight"):
        return torch.randn(shape) / math.sqrt(shape[0])
    if name.endswith("_time"):
        return torch.randn(shape) / math.sqrt(shape[1])
    if name.endswith(("_feature", "_weight")):
        return torch.randn(shape) * math.sqrt(2.0 / shape[0]) if len(shape) == 2 else torch.randn(shape)
    return torch.zeros(shape)
