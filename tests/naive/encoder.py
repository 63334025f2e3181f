"""The tick encoder by its definitions: lists of lists, (T, D), time down.

Its sources stand in gpi.tools.kernels.models.encoder.
"""

from math import exp, isfinite, log1p, sqrt
from typing import Any

Matrix = list[list[float]]


def product(a: Matrix, b: Matrix) -> Matrix:
    """The matrix product."""
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a]


def softmax(scores: list[float]) -> list[float]:
    """Shares proportional to the exponentials."""
    return [exp(s) / sum(exp(t) for t in scores) for s in scores]


def squashed(window: Matrix, mean: list[float], inverse_std: list[float]) -> Matrix:
    """z / (0.3 + |z|) of the z-scores."""
    z = [[(x - m) * i for x, m, i in zip(row, mean, inverse_std, strict=True)] for row in window]
    return [[x / (0.3 + abs(x)) for x in row] for row in z]


def standard(values: list[float]) -> list[float]:
    """Values less their mean, over the root of their variance + 1e-4 (BiN, ICPR 2020, eq. 2 and 5)."""
    mean = sum(values) / len(values)
    deviation = sqrt(sum((v - mean) ** 2 for v in values) / len(values) + 1e-4)
    return [(v - mean) / deviation for v in values]


def normalised(x: Matrix, w: dict[str, Any]) -> Matrix:
    """The identity, the view normalised over time, and that over features, mixed (BiN, ICPR 2020, eq. 1-6)."""
    timed = list(zip(*[standard(list(column)) for column in zip(*x, strict=True)], strict=True))
    crossed = [standard(row) for row in x]
    over_time = [[v * g + b for v, g, b in zip(r, w["time_gain"], w["time_bias"], strict=True)] for r in timed]
    scaled = zip(crossed, w["feature_gain"], w["feature_bias"], strict=True)
    across = [[v * gain + bias for v in row] for row, gain, bias in scaled]
    a, b, c = w["mix"]
    rows = zip(x, over_time, across, strict=True)
    return [[a * i + b * j + c * k for i, j, k in zip(*row, strict=True)] for row in rows]


def bilinear(x: Matrix, time: Matrix, feature: Matrix, bias: Matrix) -> Matrix:
    """relu(time x feature + bias) (BL, TNNLS 2019, eq. 1)."""
    y = product(product(time, x), feature)
    return [[max(v + b, 0.0) for v, b in zip(row, more, strict=True)] for row, more in zip(y, bias, strict=True)]


def attended(x: Matrix, w: dict[str, Any]) -> list[float]:
    """The temporal attention layer (TABL, TNNLS 2019, eq. 4-8), rescaled: the embedding."""
    mixed = list(zip(*product(x, w["tabl_feature"]), strict=True))  # (E, T2)
    shares = [softmax(scores) for scores in product(mixed, w["tabl_attention"])]
    (m,) = w["tabl_mix"]
    kept = [[v * (m * s + 1 - m) for v, s in zip(r, a, strict=True)] for r, a in zip(mixed, shares, strict=True)]
    summed = [sum(v * t for v, t in zip(row, w["tabl_time"], strict=True)) for row in kept]
    return [s * v + b for s, v, b in zip(w["tabl_scale"], summed, w["tabl_bias"], strict=True)]


def encoded(window: Matrix, w: dict[str, Any]) -> tuple[list[float], list[float], float]:
    """Embedding, direction, volatility of one raw window."""
    x = normalised(squashed(window, w["mean"], w["inverse_std"]), w)
    x = bilinear(x, w["first_time"], w["first_feature"], w["first_bias"])
    embedding = attended(bilinear(x, w["second_time"], w["second_feature"], w["second_bias"]), w)
    logits = [v + b for v, b in zip(product([embedding], w["direction_weight"])[0], w["direction_bias"], strict=True)]
    raw = sum(e * v for e, v in zip(embedding, w["volatility_weight"], strict=True)) + w["volatility_bias"][0]
    return embedding, softmax(logits), log1p(exp(raw)) * w["volatility_scale"][0]


def window_of(rows: list[tuple[int, list[float]]], window: int, stride: int, silence_ns: int) -> Matrix | None:
    """The window ending in the last of an instrument's rows (ts, features); None when there is none."""
    if not all(isfinite(v) for v in rows[-1][1]):
        return None
    finite = [row for row in rows if all(isfinite(v) for v in row[1])]
    breaks = [i for i in range(1, len(finite)) if finite[i][0] - finite[i - 1][0] > silence_ns]
    session = finite[breaks[-1] if breaks else 0 :]
    taken = session[::-1][: (window - 1) * stride + 1 : stride]
    return [row[1] for row in taken[::-1]] if len(taken) == window else None
