"""matches/1: what the pattern bank remembers of moments like this one."""

from typing import Final

import pyarrow as pa

MATCH_RETURN: Final = pa.field("match_return", pa.float32(), nullable=False)  # mean outcome, bps
MATCH_WIN_RATE: Final = pa.field("match_win_rate", pa.float32(), nullable=False)  # share of outcomes > 0
MATCH_CONFIDENCE: Final = pa.field("match_confidence", pa.float32(), nullable=False)  # 0..1
MATCH_COUNT: Final = pa.field("match_count", pa.int32(), nullable=False)  # neighbours used, 0 when none

MATCHES: Final = (MATCH_RETURN, MATCH_WIN_RATE, MATCH_CONFIDENCE, MATCH_COUNT)
