"""features/1: one vector column per feature set, its element names in the field's metadata.

One `fixed_size_list<float32>[n]` column is three times cheaper to build than n columns and is a zero-copy matrix
for a model. NaN marks an element that is not defined yet (warm-up).
"""

import json
from typing import Final

import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.written import json_of

TICK_FEATURES: Final = (
    "ret_1s",
    "ret_5s",
    "ret_15s",
    "spread",
    "volume_intensity",
    "price_acceleration",
    "momentum_persistence",
    "quote_intensity",
    "trade_size_surprise",
    "depth_imbalance",
)

MICROSTRUCTURE_FEATURES: Final = (
    "microprice",
    "microprice_offset",
    "signed_volume",
    "kyle_lambda",
    "vpin",
    "realised_variance",
    "bipower_variance",
    "quote_lifetime",
    "quote_age",
)  # then ofi_1 .. ofi_n, the order flow imbalance of each book level


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
