"""A tick-window encoder: bilinear normalisation, two bilinear layers, temporal attention, two heads.

Sources: Tran, Iosifidis, Kanniainen, Gabbouj, "Temporal Attention augmented Bilinear Network for Financial
Time-Series Data Analysis", IEEE TNNLS 30(5), 2019 (BL and TABL layers, the C topology BL-BL-TABL); Tran,
Kanniainen, Gabbouj, Iosifidis, "Data Normalization for Bilinear Structures in High-Frequency Financial
Time-series", ICPR 2020 (BiN). Ours: the identity is mixed in beside the two normalised views, because both
erase the level that a volatility forecast lives on; inputs are squashed by z / (HALF + |z|), which keeps
apart the many small moves that z-scores crowd around zero; the last layer, rescaled, gives the embedding.

Everything is float32 in loops of fixed order, no BLAS: one window's numbers never depend on what else is
in the batch. A window is (T, D), time down, features across, so that every inner loop runs over contiguous
memory.
"""

import math
from typing import Any

import numpy as np

from gpi.tools.kernels.jit import jit
from gpi.tools.kernels.shared import Array

MEMORY = np.dtype((np.record, [("last_ts", "i8"), ("count", "i8")]))  # count: rows this session
HALF = np.float32(0.3)  # the z-score that is squashed to a half; the far ends go to +-1
EPSILON = np.float32(1e-4)  # added to BiN's variances, of squashed numbers

# Arrays of a model in the order they are packed, with their shapes in terms of the sizes
# T, D: window; T1, D1 and T2, D2: after each bilinear layer; E: embedding.
SHAPES = {
    "mean": ("D",),
    "inverse_std": ("D",),
    "mix": ("3",),  # identity, normalised over time, normalised over features
    "time_gain": ("D",),
    "time_bias": ("D",),
    "feature_gain": ("T",),
    "feature_bias": ("T",),
    "first_time": ("T1", "T"),
    "first_feature": ("D", "D1"),
    "first_bias": ("T1", "D1"),
    "second_time": ("T2", "T1"),
    "second_feature": ("D1", "D2"),
    "second_bias": ("T2", "D2"),
    "tabl_feature": ("D2", "E"),
    "tabl_attention": ("T2", "T2"),
    "tabl_mix": ("1",),
    "tabl_time": ("T2",),
    "tabl_scale": ("E",),
    "tabl_bias": ("E",),
    "direction_weight": ("E", "3"),
    "direction_bias": ("3",),
    "volatility_weight": ("E",),
    "volatility_bias": ("1",),
    "volatility_scale": ("1",),  # bps
}


@jit
def unpacked(weights: Array, sizes: Array) -> Any:
    """The flat weights as views in the order of SHAPES. sizes: int64 (T, D, T1, D1, T2, D2, E)."""
    T, D, T1, D1, T2, D2, E = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]
    at = 0
    mean, at = weights[at : at + D], at + D
    inverse_std, at = weights[at : at + D], at + D
    mix, at = weights[at : at + 3], at + 3
    time_gain, at = weights[at : at + D], at + D
    time_bias, at = weights[at : at + D], at + D
    feature_gain, at = weights[at : at + T], at + T
    feature_bias, at = weights[at : at + T], at + T
    first_time, at = weights[at : at + T1 * T].reshape(T1, T), at + T1 * T
    first_feature, at = weights[at : at + D * D1].reshape(D, D1), at + D * D1
    first_bias, at = weights[at : at + T1 * D1].reshape(T1, D1), at + T1 * D1
    second_time, at = weights[at : at + T2 * T1].reshape(T2, T1), at + T2 * T1
    second_feature, at = weights[at : at + D1 * D2].reshape(D1, D2), at + D1 * D2
    second_bias, at = weights[at : at + T2 * D2].reshape(T2, D2), at + T2 * D2
    tabl_feature, at = weights[at : at + D2 * E].reshape(D2, E), at + D2 * E
    tabl_attention, at = weights[at : at + T2 * T2].reshape(T2, T2), at + T2 * T2
    tabl_mix, at = weights[at : at + 1], at + 1
    tabl_time, at = weights[at : at + T2], at + T2
    tabl_scale, at = weights[at : at + E], at + E
    tabl_bias, at = weights[at : at + E], at + E
    direction_weight, at = weights[at : at + E * 3].reshape(E, 3), at + E * 3
    direction_bias, at = weights[at : at + 3], at + 3
    volatility = weights[at : at + E + 2]  # E weights, bias, scale
    scaling = (mean, inverse_std)
    normalisation = (mix, time_gain, time_bias, feature_gain, feature_bias)
    first = (first_time, first_feature, first_bias)
    second = (second_time, second_feature, second_bias)
    tabl = (tabl_feature, tabl_attention, tabl_mix, tabl_time, tabl_scale, tabl_bias)
    heads = (direction_weight, direction_bias, volatility)
    return scaling, normalisation, first, second, tabl, heads


@jit
def scale(scaling: Any, row: Array, out: Array) -> bool:
    """One row (D,) of raw features as squashed z-scores; False and nothing done when one is not finite."""
    mean, inverse_std = scaling
    for d in range(row.shape[0]):
        if not math.isfinite(row[d]):
            return False
    for d in range(row.shape[0]):
        z = (row[d] - mean[d]) * inverse_std[d]
        out[d] = z / (HALF + abs(z))
    return True


@jit
def remember(memory: Array, ring: Array, instrument: Any, silence_ns: Any, ts: Any, row: Array) -> bool:
    """Put a row into its instrument's ring; True when the ring holds a whole window ending in it."""
    m = memory[instrument]
    if m.count > 0 and ts - m.last_ts > silence_ns:
        m.count = 0  # a new session: no window reaches across a silence
    span = ring.shape[1]
    slot = m.count % span
    for d in range(row.shape[0]):
        ring[instrument, slot, d] = row[d]
    m.count += 1
    m.last_ts = ts
    return bool(m.count >= span)


@jit
def recall(memory: Array, ring: Array, instrument: Any, stride: Any, window: Array) -> None:
    """Copy an instrument's window, (T, D), oldest row first, every `stride`-th row ending in the newest."""
    span = ring.shape[1]
    at = memory[instrument].count - span  # of the window's first row
    for t in range(window.shape[0]):
        slot = (at + t * stride) % span
        for d in range(window.shape[1]):
            window[t, d] = ring[instrument, slot, d]


@jit
def normalise(x: Array, parameters: Any, moments: Array, out: Array) -> None:
    """BiN (ICPR 2020, eq. 1-6) with the identity mixed in: (T, D) -> (T, D). `moments` is scratch (2, D)."""
    mix, time_gain, time_bias, feature_gain, feature_bias = parameters
    T, D = x.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    mean, spread = moments[0], moments[1]
    inverse_t, inverse_d = one / np.float32(T), one / np.float32(D)
    for d in range(D):
        mean[d] = zero
        spread[d] = zero
    for t in range(T):
        for d in range(D):
            mean[d] += x[t, d]
    for d in range(D):
        mean[d] *= inverse_t
    for t in range(T):
        for d in range(D):
            away = x[t, d] - mean[d]
            spread[d] += away * away
    for d in range(D):
        spread[d] = mix[1] * time_gain[d] / np.float32(math.sqrt(spread[d] * inverse_t + EPSILON))
    for t in range(T):
        across = zero
        for d in range(D):
            across += x[t, d]
        across *= inverse_d
        square = zero
        for d in range(D):
            away = x[t, d] - across
            square += away * away
        gain = mix[2] * feature_gain[t] / np.float32(math.sqrt(square * inverse_d + EPSILON))
        bias = mix[2] * feature_bias[t]
        for d in range(D):
            over_time = (x[t, d] - mean[d]) * spread[d] + mix[1] * time_bias[d]
            over_features = (x[t, d] - across) * gain + bias
            out[t, d] = mix[0] * x[t, d] + over_time + over_features


@jit
def bilinear(x: Array, parameters: Any, mixed: Array, out: Array) -> None:
    """BL layer (TNNLS 2019, eq. 1): relu(time @ x @ feature + bias), time first. `mixed` is scratch (D,)."""
    time, feature, bias = parameters
    for s in range(out.shape[0]):
        for d in range(x.shape[1]):
            mixed[d] = np.float32(0.0)
        for t in range(x.shape[0]):
            share = time[s, t]
            for d in range(x.shape[1]):
                mixed[d] += share * x[t, d]
        for e in range(out.shape[1]):
            out[s, e] = bias[s, e]
        for d in range(x.shape[1]):
            share = mixed[d]
            for e in range(out.shape[1]):
                out[s, e] += share * feature[d, e]
        for e in range(out.shape[1]):
            out[s, e] = max(out[s, e], np.float32(0.0))


@jit
def attend(x: Array, parameters: Any, mixed: Array, scores: Array, out: Array) -> None:
    """TABL layer (TNNLS 2019, eq. 4-8) without its last activation: (T2, D2) -> (E,).

    Scratch: mixed (T2, E), scores (T2,). The attention's diagonal is fixed at 1 / T2 by whoever made the
    weights.
    """
    feature, attention, mix, time, gain, bias = parameters
    T, E = mixed.shape
    for t in range(T):
        for e in range(E):
            mixed[t, e] = np.float32(0.0)
        for d in range(x.shape[1]):
            share = x[t, d]
            for e in range(E):
                mixed[t, e] += share * feature[d, e]
    keep = np.float32(1.0) - mix[0]
    for e in range(E):
        top = np.float32(-np.inf)
        for t in range(T):
            score = np.float32(0.0)
            for s in range(T):
                score += mixed[s, e] * attention[s, t]
            scores[t] = score
            top = max(top, score)
        total = np.float32(0.0)
        for t in range(T):
            scores[t] = np.float32(math.exp(scores[t] - top))
            total += scores[t]
        value = np.float32(0.0)
        for t in range(T):
            value += mixed[t, e] * (mix[0] * scores[t] / total + keep) * time[t]
        out[e] = gain[e] * value + bias[e]


@jit
def speak(embedding: Array, parameters: Any, direction: Array) -> Any:
    """The heads: softmax into `direction` (3,), and the volatility, bps, as softplus times its scale."""
    weight, bias, last = parameters
    E = embedding.shape[0]
    top = np.float32(-np.inf)
    for c in range(3):
        logit = bias[c]
        for e in range(E):
            logit += embedding[e] * weight[e, c]
        direction[c] = logit
        top = max(top, logit)
    total = np.float32(0.0)
    for c in range(3):
        direction[c] = np.float32(math.exp(direction[c] - top))
        total += direction[c]
    for c in range(3):
        direction[c] = direction[c] / total
    raw = last[E]
    for e in range(E):
        raw += embedding[e] * last[e]
    positive = max(raw, np.float32(0.0)) + np.float32(math.log1p(math.exp(-abs(raw))))
    return positive * last[E + 1]


@jit
def forward(x: Array, parameters: Any, scratch: Any, embedding: Array, direction: Array) -> Any:
    """One scaled window (T, D) -> `embedding` (E,), `direction` (3,); returns the volatility in bps."""
    _, normalisation, first, second, tabl, heads = parameters
    normalised, moments, mixed, one, two, attended, scores = scratch
    normalise(x, normalisation, moments, normalised)
    bilinear(normalised, first, mixed, one)
    bilinear(one, second, mixed, two)
    attend(two, tabl, attended, scores, embedding)
    return speak(embedding, heads, direction)


@jit
def workspace(sizes: Array) -> Any:
    """Scratch for `forward`, made once a batch."""
    T, D, T1, D1, T2, D2, E = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]
    f4 = np.float32
    widest = max(D, D1)
    moments, mixed = np.empty((2, D), f4), np.empty(widest, f4)
    one, two = np.empty((T1, D1), f4), np.empty((T2, D2), f4)
    return np.empty((T, D), f4), moments, mixed, one, two, np.empty((T2, E), f4), np.empty(T2, f4)


@jit
def run(
    memory: Array, ring: Any, weights: Array, sizes: Array, timing: Array, ts: Array, instrument: Array,
    features: Array, first: int, embedding: Array, direction: Array, volatility: Array,
) -> int:  # fmt: skip
    """Encode rows `first`.. of a batch; returns where it stopped: no room for an instrument, or the end.

    memory: MEMORY (capacity,). ring: float32 (capacity, span, D). weights: float32, packed as SHAPES.
    sizes: int64 (T, D, T1, D1, T2, D2, E). timing: int64 (stride, silence_ns). features: float32 (rows, D).
    Out: embedding (rows, E), direction (rows, 3), volatility (rows,), NaN where the window is not full or
    a feature of the row is not finite; such a row does not enter the window.
    """
    parameters = unpacked(weights, sizes)
    scratch = workspace(sizes)
    stride, silence_ns = timing[0], timing[1]
    window, row = np.empty((sizes[0], sizes[1]), np.float32), np.empty(sizes[1], np.float32)
    for i in range(first, ts.shape[0]):
        if instrument[i] < 0 or instrument[i] >= memory.shape[0]:
            return i
        full = False
        if scale(parameters[0], features[i], row):
            full = remember(memory, ring, instrument[i], silence_ns, ts[i], row)
        if full:
            recall(memory, ring, instrument[i], stride, window)
            volatility[i] = forward(window, parameters, scratch, embedding[i], direction[i])
        else:
            embedding[i, :] = np.nan
            direction[i, :] = np.nan
            volatility[i] = np.nan
    return int(ts.shape[0])


@jit
def follow(
    memory: Array, ring: Any, timing: Array, ts: Array, instrument: Array, features: Array, first: int, window: Array
) -> tuple[int, bool]:
    """Remember rows until a window is full: copies it, unscaled, into `window` (T, D).

    Returns (the first row not remembered yet, whether a window was full). Not full before the end of the
    batch means that there is no room for the next row's instrument. For encoders that are not kernels.
    """
    for i in range(first, ts.shape[0]):
        if instrument[i] < 0 or instrument[i] >= memory.shape[0]:
            return i, False
        finite = True
        for d in range(features.shape[1]):
            finite = finite and math.isfinite(features[i, d])
        if finite and remember(memory, ring, instrument[i], timing[1], ts[i], features[i]):
            recall(memory, ring, instrument[i], timing[0], window)
            return i + 1, True
    return ts.shape[0], False
