"""A secret that cannot be printed, pickled, formatted or logged by accident; `reveal` is the one way out.

Every secret made in this process is remembered, so that `masked` finds it in a text that somebody else wrote: a
vendor's error, a log record, a traceback.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn
from urllib.parse import quote

MASK: Final = "****"
SHORTEST: Final = 8  # a shorter secret would be found in innocent words, and is none

_known: set[str] = set()


class Secret:
    """A key or token. Its repr, str and format are a mask; it compares by value and cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= SHORTEST:
            _known.update((value, quote(value, safe="")))

    def reveal(self) -> str:
        """The value itself, for the one line that signs a request."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __getstate__(self) -> Any:
        raise TypeError("a secret is not copied out of its process")


def masked(text: str) -> str:
    """The text with every secret of this process replaced by the mask.

    >>> _ = Secret("correct horse battery")
    >>> masked("auth: correct horse battery")
    'auth: ****'
    """
    for value in sorted(_known, key=len, reverse=True):
        if value in text:
            text = text.replace(value, MASK)
    return text
