"""matches/1: what the pattern bank remembers of moments like this one."""

from typing import Final

import pyarrow as pa

MATCH_RETURN: Final = pa.field("match_return", pa.float32(), nullable=False)
MATCH_WIN_RATE: Final = pa.field("match_win_rate", pa.float32(), nullable=False)
MATCH_CONFIDENCE: Final = pa.field("match_confidence", pa.float32(), nullable=False)
MATCH_COUNT: Final = pa.field("match_count", pa.int32(), nullable=False)

MATCHES: Final = (MATCH_RETURN, MATCH_WIN_RATE, MATCH_CONFIDENCE, MATCH_COUNT)

MATCH_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "match_return": ("bps", "mean outcome of the neighbours; NaN: none"),
    "match_win_rate": ("share", "of their outcomes > 0; NaN: none"),
    "match_confidence": ("share", "|mean| / (|mean| + its standard error); 0: no or one neighbour"),
    "match_count": ("number", "neighbours used, 0 when none"),
}
"""Unit and meaning of every column of matches/1."""
