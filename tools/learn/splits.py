"""Chronological splits without leaks: purged and embargoed.

Lopez de Prado, "Advances in Financial Machine Learning" (2018), ch. 7: a sample knows the time from the
first row of its window to the end of its label. It may stand in a split only if all of that time does;
after every boundary an embargo keeps slow memory (features with their own windows) from carrying the past
across.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Split(NamedTuple):
    """Sample numbers of the three parts, each in time order."""

    train: Ints
    validation: Ints
    test: Ints


def purged(known_from: Ints, known_to: Ints, shares: tuple[float, float] = (0.6, 0.2), embargo_ns: int = 0) -> Split:
    """Split samples by time into train, validation, test; shares are of train and validation.

    known_from, known_to: ns, the first and last moment a sample depends on (start of window, end of
    label). The boundaries stand at quantiles of `known_to` over all samples, so instruments share them.
    """
    if not (0 < shares[0] < 1 and 0 <= shares[1] < 1 and sum(shares) < 1):
        raise ValueError(f"shares must be positive and leave some for the test, not {shares}")
    ordered = np.sort(known_to)
    count = len(ordered)
    if count == 0:
        nothing = np.zeros(0, np.int64)
        return Split(nothing, nothing, nothing)
    first = ordered[min(int(count * shares[0]), count - 1)]
    second = ordered[min(int(count * (shares[0] + shares[1])), count - 1)]
    train = known_to < first
    validation = (known_from >= first + embargo_ns) & (known_to < second)
    test = known_from >= second + embargo_ns
    order = np.argsort(known_to, kind="stable")
    return Split(*(order[part[order]] for part in (train, validation, test)))
