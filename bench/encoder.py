"""What a window costs to encode, in the numba kernel and through onnxruntime, and what a bank costs to ask.

The same weights, the same rows. A window: a batch of rows through the stage. A row: frames of one row, the whole
step (frame widened, kernel run). The bank: one query of 16 numbers, the kernel's exact scan against FAISS.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from bench.harness import interleaved, machine, report, timed
from gpi.formats.frame import Frame, concatenated
from gpi.tools.embed.onnx import onnx_embedding
from gpi.tools.embed.tick import SHIPPED, tick_embedding
from gpi.tools.features.tick import tick_features
from gpi.tools.kernels.models.patterns import PATTERN, nearest
from gpi.tools.market.orderflow import simulate
from gpi.tools.market.scenarios import scenario
from gpi.tools.memory.index import graph, search
from gpi.tools.stage import Stage

ROWS = 4000


def featured() -> Frame:
    """A calm market of one symbol with its features."""
    stream = tick_features()(simulate(scenario("calm"), ["SPY"], seed=1, events=ROWS))
    return concatenated([frame.copy() for frame in stream.frames], stream.schema)


def whole(stage: Stage, frame: Frame) -> Callable[[], float]:
    """Seconds of all rows as one frame."""
    return timed(lambda: stage.step(stage.start(), frame))


def singly(stage: Stage, frame: Frame) -> Callable[[], float]:
    """Seconds of the median frame of one row, the window being full."""
    state, taken = stage.start(), []
    stage.step(state, frame)
    rows = [frame.slice(i, i + 1).copy() for i in range(frame.rows - 500, frame.rows)]

    def run() -> float:
        taken.clear()
        for row in rows:
            begun = time.perf_counter()
            stage.step(state, row)
            taken.append(time.perf_counter() - begun)
        return float(np.median(taken))

    return run


def encoders() -> None:
    """The two ways to serve the shipped weights."""
    frame, stages = featured(), {"numba": tick_embedding(), "onnxruntime": onnx_embedding(SHIPPED)}
    out = {name: stage.step(stage.start(), frame) for name, stage in stages.items()}
    windows = int(np.isfinite(out["numba"]["volatility"]).sum())
    gap = max(float(np.nanmax(np.abs(out["numba"][c] - out["onnxruntime"][c]))) for c in ("embedding", "volatility"))
    report("largest difference", gap, "")
    for what, make, count in (("window", whole, windows), ("row", singly, 1)):
        found = interleaved({name: make(stage, frame) for name, stage in stages.items()}, rounds=5)
        for name, taken in found.items():
            ratio = f"{taken.p50 / found['numba'].p50:.1f} times numba, best {taken.best / count * 1e6:.2f}"
            report(f"{name}, {what}", taken.p50 / count * 1e6, "us", ratio)


def asked(ask: Callable[[np.ndarray], np.ndarray], queries: np.ndarray) -> Callable[[], float]:
    """Seconds of all queries, one at a time."""
    return timed(lambda: [ask(query) for query in queries])


def banks() -> None:
    """Exact scan and graph at three sizes; recall of the graph among the 16 nearest."""
    rng = np.random.default_rng(0)
    for size in (8_192, 50_000, 100_000):
        vectors = rng.normal(size=(size, 16)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        columns, patterns, index = np.ascontiguousarray(vectors.T), np.zeros(size, PATTERN), graph(vectors)
        rows, cosines, queries = np.empty(16, np.int64), np.empty(16, np.float32), vectors[: 100 * 7 : 7].copy()

        def scan(query: np.ndarray, at=(columns, patterns, size), out=(rows, cosines)) -> np.ndarray:  # type: ignore[no-untyped-def]
            return out[0][: nearest(*at, 0, query, 0.5, *out)]

        def walk(query: np.ndarray, index=index, size=size) -> np.ndarray:  # type: ignore[no-untyped-def]
            return np.asarray(search(index, query, 16, size)[0])

        found = interleaved({"scan": asked(scan, queries), "graph": asked(walk, queries)})
        hits = float(np.mean([len(set(scan(q).tolist()) & set(walk(q).tolist())) / len(scan(q)) for q in queries]))
        report(f"scan of {size:,}", found["scan"].p50 / 100 * 1e6, "us")
        report(f"graph of {size:,}", found["graph"].p50 / 100 * 1e6, "us", f"recall {hits:.3f}")


if __name__ == "__main__":
    print(machine())
    encoders()
    banks()
