"""Conditions of shares' trades: which of the tape's codes say that a print's price is not the market's at that moment.

Polygon tells numbers, Alpaca the letters of the two tapes. The codes here are those that by the tapes' own rules do not
change the last price (averages, derivatives, prior references, sellers' terms, prints out of sequence) or are no trade
of their own (official opens and closes). Odd lots (37, I) and extended hours (12, T) do not change it either, but are
executions at the market's price: they are not here.
"""

from typing import Any, Final

from gpi.tools.kernels.data.slots import Array
from gpi.tools.kernels.jit import borrowing

NUMBERS: Final = frozenset((2, 5, 7, 10, 13, 15, 16, 20, 22, 29, 32, 33, 38, 52, 53))
LETTERS: Final = frozenset("CGMNPQRUVWZ479")
AVERAGE: Final = "B"  # an average price, but on tape C a bunched trade at the market's


def place(letter: str) -> int:
    """The bit of a letter (A..Z) or digit.

    >>> place("A"), place("Z"), place("0")
    (0, 25, 26)
    """
    return ord(letter) - 65 if letter >= "A" else ord(letter) - 48 + 26


NUMBERED: Final = sum(1 << number for number in NUMBERS)
LETTERED: Final = sum(1 << place(letter) for letter in LETTERS)
B_BIT, H_BIT, VARIATION_BIT = 1 << place(AVERAGE), 1 << place("H"), 1 << 21


@borrowing
def numbers(buf: Array, a: int, b: int) -> Any:
    """The numbers 0..62 of a JSON list, a bit each."""
    found, n = 0, -1
    for k in range(a, b):
        c = int(buf[k])
        if 48 <= c <= 57:
            n = min((0 if n < 0 else n * 10) + c - 48, 999)
        else:
            if 0 <= n < 63:
                found |= 1 << n
            n = -1
    return found


@borrowing
def letters(buf: Array, a: int, b: int) -> Any:
    """The letters and digits that stand alone in a list of JSON or msgpack texts, a bit each (`place`)."""
    found = 0
    for k in range(a + 1, b):
        if buf[k - 1] == 0xA1 or (buf[k - 1] == 34 and k + 1 < b and buf[k + 1] == 34):
            c = int(buf[k])
            if 65 <= c <= 90:
                found |= 1 << (c - 65)
            elif 48 <= c <= 57:
                found |= 1 << (c - 22)
    return found
