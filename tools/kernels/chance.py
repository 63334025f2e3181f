"""Random numbers whose state is one int64 in a record: the same bits compiled or not, on any cut of a stream.

Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003: the (13, 7, 17) generator, period
2^64 - 1. Only shifts and xors, which wrap without a word in numpy too.
"""

from typing import Any

from gpi.tools.kernels.jit import borrowing
from gpi.tools.kernels.shared import Record

LOW_57 = (1 << 57) - 1
LOW_53 = (1 << 53) - 1
LOW_16 = (1 << 16) - 1
UNIT = 2.0**-53
ROOT_3 = 3.0**0.5


def seeded(seed: int) -> int:
    """A state to start from: any seed will do, near ones give unlike draws."""
    mixed = (seed + 1) * 0x9E3779B97F4A7C15 % (1 << 64)
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % (1 << 64)
    return (mixed ^ (mixed >> 27)) % (1 << 63) or 1


@borrowing
def bits(m: Record) -> Any:
    """The next 64 random bits of `m.rng` (int64, never zero)."""
    x = m.rng
    x ^= x << 13
    x ^= (x >> 7) & LOW_57
    x ^= x << 17
    m.rng = x
    return x


@borrowing
def uniform(m: Record) -> Any:
    """Uniform on (0, 1], so that its logarithm is finite."""
    return (((bits(m) >> 11) & LOW_53) + 1) * UNIT


@borrowing
def normal(m: Record) -> Any:
    """Four uniforms summed to mean 0 and variance 1 (Irwin-Hall): normal enough, and never beyond 3.5."""
    x = bits(m)
    total = (x & LOW_16) + ((x >> 16) & LOW_16) + ((x >> 32) & LOW_16) + ((x >> 48) & LOW_16)
    return (total * (1.0 / 65536.0) - 2.0) * ROOT_3
