"""The symbols people mean by @tier1, @tier2 and @universe."""

from difflib import get_close_matches
from typing import Final

from gpi.formats.errors import UsageError

TIER1: Final = tuple("SPY NVDA QQQ TSLA AAPL MSFT IBIT META AMZN GOOGL".split())
TIER2: Final = tuple(
    (
        "TQQQ SQQQ SOXL SOXS AMD TSM AVGO INTC QCOM MU BAC WFC JPM XLF FBTC COIN MSTR ETHA UNH LLY "
        "JNJ PFE XLV WMT HD V MA IWM XLK GLD SLV XOM CVX XLE VXX UVXY SVXY SMCI PLTR UPST ROKU XBI "
        "ARKQ IYR XRT TLT HYG UUP EFA EEM USO UNG DIA NFLX PYPL CRM ORCL ARKK ARM"
    ).split()
)
TIERS: Final = {"@tier1": TIER1, "@tier2": TIER2, "@universe": TIER1 + TIER2}


def expand(text: str) -> tuple[str, ...]:
    """The symbols of a comma-separated list in which @names stand for whole tiers, each once, in order.

    Raises UsageError for an unknown @name, naming the nearest, and for a list of nothing.

    >>> expand("COIN,@tier1")[:3]
    ('COIN', 'SPY', 'NVDA')
    """
    symbols: dict[str, None] = {}
    for word in (part.strip() for part in text.split(",")):
        if word.startswith("@"):
            symbols.update(dict.fromkeys(_tier(word)))
        elif word:
            symbols[word.upper()] = None
    if not symbols:
        raise UsageError(f"no symbols in {text!r}: give some, such as AAPL,MSFT or @tier1")
    return tuple(symbols)


def _tier(word: str) -> tuple[str, ...]:
    found = TIERS.get(word.lower())
    if found is None:
        near = get_close_matches(word.lower(), TIERS, 1, 0.0)
        raise UsageError(f"there is no {word}: did you mean {near[0]}? (known: {', '.join(TIERS)})")
    return found
