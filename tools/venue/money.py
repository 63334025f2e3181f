"""Numbers and times as the wire writes them: decimals as strings, times as UTC with nanoseconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Any, Final

from gpi.formats.market.calendar import NEW_YORK
from gpi.formats.words import SECOND
from gpi.tools.venue.refusals import malformed

ZERO: Final = Decimal(0)
CENT: Final = Decimal("0.01")
NANO: Final = Decimal("1e-9")  # the finest quantity and price on the wire
LONGEST: Final = 12  # digits before the point, and zeros after it, of a number anybody may ask for
SHOWN: Final = 40  # characters of what was asked, in the words that refuse it
NUMBER: Final = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,4})?")
TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?)(?:\.([0-9]{1,18}))?(Z|[ +-][0-9]{2}:?[0-9]{2})?"
)
EARLIEST, LATEST = date(1700, 1, 1), date(2200, 12, 31)  # beyond, ns do not fit: days there are as good as these
DIGITS: Final = re.compile(r"[0-9]{1,18}")


@lru_cache(1 << 14)
def exact(number: float) -> Decimal:
    """A float of the exchange as the decimal it stands for, to nine places.

    >>> exact(0.1 + 0.2)
    Decimal('0.3')
    """
    return Decimal(repr(number)).quantize(NANO).normalize() + ZERO


def text(number: Decimal) -> str:
    """A decimal in plain digits, without an exponent and without trailing zeros.

    >>> text(Decimal("100.500")), text(Decimal("1E+3"))
    ('100.5', '1000')
    """
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def maybe(number: Decimal | None) -> str | None:
    """The same, where there may be none."""
    return None if number is None else text(number)


def given(value: Any, name: str) -> Decimal | None:
    """A number of a request: JSON number or string. Raises Refusal for anything else; None stays None.

    Floats are taken at their shortest repr, so 0.30000000000000004 is more than nine places and stays so. What has
    more than LONGEST digits before or after the point is no number of a market.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise malformed(f"{name} must be a number")
    written = repr(value) if isinstance(value, float) else str(value)
    if NUMBER.fullmatch(written) is None:
        raise malformed(f"invalid {name}: {written[:SHOWN]}")
    number = Decimal(written)
    if number and not -LONGEST <= number.adjusted() <= LONGEST:
        raise malformed(f"invalid {name}: {written[:SHOWN]}")
    return number


def whole(value: str | None, name: str, least: int, most: int, usual: int) -> int:
    """A whole number of a query within bounds; `usual` where there is none. Raises Refusal."""
    if not value:
        return usual
    if DIGITS.fullmatch(value) is None or not least <= int(value) <= most:
        raise malformed(f"{name} must be between {least} and {most}")
    return int(value)


def places(number: Decimal) -> int:
    """Digits after the point."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def floored(number: Decimal, step: Decimal = NANO) -> Decimal:
    """Rounded towards zero to a multiple of `step`."""
    return (number / step).to_integral_value(ROUND_DOWN) * step


def real(number: Decimal | None) -> float:
    """For the exchange: a float, NaN for none."""
    return math.nan if number is None else float(number)


@lru_cache(4096)
def stamp(ts: int) -> str:
    """ns as RFC 3339 in UTC.

    >>> stamp(1_700_000_000_123_456_789)
    '2023-11-14T22:13:20.123456789Z'
    """
    seconds, ns = divmod(ts, SECOND)
    day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{day}.{ns:09d}".rstrip("0").rstrip(".") + "Z" if ns else f"{day}Z"


def stamped(ts: int | None) -> str | None:
    """The same, where there may be none."""
    return None if ts is None else stamp(ts)


def eastern(ts: int) -> str:
    """ns as RFC 3339 with New York's offset, as /v2/clock writes it."""
    seconds, ns = divmod(ts, SECOND)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(NEW_YORK)
    offset = moment.strftime("%z")
    fraction = f".{ns:09d}" if ns else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:]}"


def instant(value: str, name: str) -> int:
    """ns of a time in a query: RFC 3339 or a date, UTC unless it says otherwise. Raises Refusal."""
    found = TIME.fullmatch(value)
    try:
        if found is None:
            raise ValueError
        main, fraction, zone = found[1], found[2] or "", found[3] or ""
        moment = datetime.fromisoformat(main + zone.replace("Z", "+00:00").replace(" ", "+"))  # + comes as a space
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * SECOND + int((fraction + "000000000")[:9])
    except (ValueError, OverflowError):
        raise malformed(f"invalid {name}: {value[:SHOWN]}") from None


def dated(value: str | None, usual: date) -> date:
    """The day of a query, or of a time in it, within EARLIEST and LATEST; `usual` where there is none. Raises Refusal.

    >>> dated("9999-12-31", LATEST), dated("2026-01-05T10:00:00Z", LATEST)
    (datetime.date(2200, 12, 31), datetime.date(2026, 1, 5))
    """
    try:
        return usual if not value else min(max(date.fromisoformat(value[:10]), EARLIEST), LATEST)
    except ValueError:
        raise malformed(f"invalid date: {value[:SHOWN] if value else ''}") from None
