"""features/1: one vector column per feature set, its element names in the field's metadata.

One `fixed_size_list<float32>[n]` column is three times cheaper to build than n columns and is a zero-copy matrix
for a model. NaN marks an element that is not defined yet (warm-up).
"""

import json
from typing import Final

import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.written import json_of

TICK_FEATURE_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "ret_1s": ("bps", "log return of the mid over the last second"),
    "ret_5s": ("bps", "the same over 5 s"),
    "ret_15s": ("bps", "the same over 15 s"),
    "spread": ("bps", "(ask - bid) / mid; negative when crossed"),
    "volume_intensity": ("ratio", "rate of traded volume, 5 s over 60 s"),
    "price_acceleration": ("bps", "return over the last second less the one before it"),
    "momentum_persistence": ("-1..1", "how far neighbouring moves of the mid agree, last 20 pairs"),
    "quote_intensity": ("ratio", "rate of quotes, 5 s over 60 s"),
    "trade_size_surprise": ("deviations", "log size of the last trade against those before it"),
    "depth_imbalance": ("-1..1", "(bid sizes - ask sizes) / their sum, over all levels of the last book"),
}
"""Unit and meaning of every element of `features`, in their order; defined in docs/features.md."""

TICK_FEATURES: Final = tuple(TICK_FEATURE_MEANINGS)

MICROSTRUCTURE_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "microprice": ("price", "the mid weighted by the opposite sizes"),
    "microprice_offset": ("bps", "microprice / mid - 1"),
    "signed_volume": ("-1..1", "signed sizes over sizes, of the window's trades"),
    "kyle_lambda": ("price per size", "move of the mid for a unit of signed size"),
    "vpin": ("share", "how one-sided the last volume buckets were"),
    "realised_variance": ("bps^2", "sum of squared log moves of the mid over the window"),
    "bipower_variance": ("bps^2", "the same without jumps"),
    "quote_lifetime": ("s", "mean life of the best prices replaced within the window"),
    "quote_age": ("s", "how long the present best prices have stood"),
}
"""Unit and meaning of the first elements of `microstructure`, in their order; defined in docs/features.md."""

ORDER_FLOW: Final = ("size", "order flow imbalance over the window; `ofi_2` .. `ofi_n` of deeper book levels")
"""Unit and meaning of `ofi_1` .. `ofi_n`, which follow."""

MICROSTRUCTURE_FEATURES: Final = tuple(MICROSTRUCTURE_MEANINGS)

FEATURE_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "features": ("vector", "the ten tick features (`gpi featurize`)"),
    "microstructure": ("vector", "who pushes the price (`gpi featurize --microstructure`)"),
}
"""What the columns of features/1 are, as wholes."""


def vector(name: str, elements: tuple[str, ...]) -> pa.Field:
    """A float32 vector column whose element names stand in its metadata.

    >>> vector("features", ("spread", "ret_1s")).type
    FixedSizeListType(fixed_size_list<item: float not null>[2])
    """
    item = pa.field("item", pa.float32(), nullable=False)
    names = {"gpi.names": json.dumps(elements)}
    return pa.field(name, pa.list_(item, len(elements)), nullable=False, metadata=names)


def elements(field: pa.Field) -> tuple[str, ...]:
    """The element names of a vector column; numbered when it carries none. Raises BadInput."""
    stored = (field.metadata or {}).get(b"gpi.names")
    if stored is None:
        return tuple(str(i) for i in range(field.type.list_size))
    try:
        found = json_of(stored)
    except ValueError as wrong:
        raise BadInput(f"the names of {field.name!r} in the stream are unreadable: {wrong}") from None
    if not isinstance(found, list) or len(found) != field.type.list_size or not all(isinstance(e, str) for e in found):
        raise BadInput(f"the names of {field.name!r} in the stream are not its {field.type.list_size} elements'")
    return tuple(found)


def named(field: pa.Field) -> bool:
    """Does a column tell the names of its elements? Then it is asked by name, whatever stands beside them."""
    return b"gpi.names" in (field.metadata or {})


FEATURES: Final = vector("features", TICK_FEATURES)


def microstructure(levels: int = 1) -> pa.Field:
    """`microstructure`: float32[9 + levels], the order flow of `levels` book levels last.

    >>> elements(microstructure(2))[-2:]
    ('ofi_1', 'ofi_2')
    """
    flow = tuple(f"ofi_{level}" for level in range(1, levels + 1))
    return vector("microstructure", MICROSTRUCTURE_FEATURES + flow)


MICROSTRUCTURE: Final = microstructure()
