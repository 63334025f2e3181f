"""From rows to columns: records, which a kernel writes one after another, as the body of a frame."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gpi.tools.kernels.jit import jit

Array = npt.NDArray[Any]


def places(dtype: np.dtype[Any]) -> Array:
    """Where a record's fields are: int64 (fields, 2), offset and size in bytes, in order."""
    fields: Any = dtype.fields
    return np.array([(fields[name][1], fields[name][0].itemsize) for name in dtype.names or ()], np.int64)


@jit
def spread(rows: Array, count: int, fields: Array, body: Array) -> None:
    """Write `count` rows (uint8, (n, record size)) column by column into `body`, each padded to 8 bytes.

    `fields` is `places` of the record; the columns must stand in the frame in the same order.
    """
    at = 0
    for f in range(fields.shape[0]):
        offset, size = fields[f, 0], fields[f, 1]
        for row in range(count):
            for byte in range(size):
                body[at + row * size + byte] = rows[row, offset + byte]
        at += (count * size + 7) // 8 * 8
