"""Instruments: what an `instrument_id` stands for, and the OCC names of options.

The table travels as JSON in the schema metadata under `gpi.instruments`; an id is a row of it,
given in order of first appearance, so it means something only together with its stream. Prices are
quoted in dollars (or the quote currency) per unit of the underlying; a contract's worth is price x
multiplier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from math import inf
from typing import Any, Final, Literal

import pyarrow as pa

from gpi.formats.errors import BadInput
from gpi.formats.market.settlement import underlying
from gpi.formats.ticks import MAX_INSTRUMENTS
from gpi.formats.written import json_of

KEY: Final = "gpi.instruments"
MORE: Final = "gpi.instruments.more"
"""The note that announces rows appended to a table while its stream flows: {"first": id of the first, "rows"}."""
OPTION_MULTIPLIER: Final = 100.0

AssetClass = Literal["equity", "option", "crypto", "index"]
Right = Literal["C", "P"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that is traded or quoted; `underlying` .. `strike` only for options."""

    symbol: str
    asset_class: AssetClass = "equity"
    tick_size: float = 0.01
    lot_size: float = 1.0
    multiplier: float = 1.0
    venue: str = ""
    underlying: str = ""
    expiry: date | None = None
    right: Right | None = None
    strike: float = float("nan")
    id: int = -1  # row of the table it stands in; -1 while it stands in none


INSTRUMENT_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "symbol": ("text", "its name; of an option the OCC symbol, padded"),
    "asset_class": ("text", "equity, option, crypto or index"),
    "tick_size": ("price", "what a price is a multiple of"),
    "lot_size": ("size", "what a size is a multiple of"),
    "multiplier": ("number", "a contract is worth price x multiplier"),
    "venue": ("text", "where it trades, if that is known"),
    "underlying": ("text", "options: the root of the OCC symbol"),
    "expiry": ("date", "options: the last day of the series"),
    "right": ("text", "options: C or P"),
    "strike": ("price", "options: at which it is exercised"),
}
"""Unit and meaning of the fields of an instrument."""


def equity(symbol: str, venue: str = "") -> Instrument:
    """A US share or fund: cents, single shares."""
    return Instrument(symbol, "equity", 0.01, 1.0, 1.0, venue)


def index(symbol: str, venue: str = "") -> Instrument:
    """An index level: quoted, never traded."""
    return Instrument(symbol, "index", 0.01, 1.0, 1.0, venue)


def crypto(symbol: str, venue: str = "") -> Instrument:
    """A coin pair such as BTCUSDT or ETH/BTC, with Binance's spot steps for the pairs we know.

    Ticks are 1e-2 in money and 1e-6 in coins; lots 1e-5 BTC, 1e-4 ETH, else 1e-8.
    """
    tick = 1e-6 if symbol.endswith(("BTC", "ETH")) else 1e-2
    lot = 1e-5 if symbol.startswith("BTC") else 1e-4 if symbol.startswith("ETH") else 1e-8
    return Instrument(symbol, "crypto", tick, lot, 1.0, venue)


def option(occ: str, venue: str = "OPRA") -> Instrument:
    """A listed US option by its OCC symbol, padded or not. Raises BadInput for anything else."""
    root, expiry, right, strike = parse_occ(occ)
    symbol = format_occ(root, expiry, right, strike)
    return Instrument(symbol, "option", 0.01, 1.0, OPTION_MULTIPLIER, venue, root, expiry, right, strike)


_OCC = re.compile(r"(?:O:)?([A-Z][A-Z0-9.]{0,5}) *(\d\d)(\d\d)(\d\d)([CP])(\d{8})")


def parse_occ(symbol: str) -> tuple[str, date, Right, float]:
    """Root, expiry, right and strike of an OCC symbol: `AAPL  240621C00190000`, also without the padding.

    Source: OCC symbology (2010): root padded to 6, yymmdd, C or P, strike in 1/1000 dollar as 8 digits.
    Raises BadInput for anything else.

    >>> parse_occ("AAPL240621C00190000")
    ('AAPL', datetime.date(2024, 6, 21), 'C', 190.0)
    """
    found = _OCC.fullmatch(symbol.strip())
    if found is None:
        raise BadInput(f"{symbol!r} is not an OCC option symbol (such as 'AAPL  240621C00190000')")
    root, year, month, day, right, strike = found.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError:
        raise BadInput(f"{symbol!r}: {year}{month}{day} is not a date (yymmdd)") from None
    if int(strike) == 0:
        raise BadInput(f"{symbol!r}: the strike is zero")
    return root, expiry, "C" if right == "C" else "P", int(strike) / 1000


def format_occ(root: str, expiry: date, right: str, strike: float, *, padded: bool = True) -> str:
    """The OCC symbol of an option. Raises BadInput where OCC cannot write it down.

    >>> format_occ("AAPL", date(2024, 6, 21), "C", 190.0)
    'AAPL  240621C00190000'
    """
    thousandths = round(strike * 1000)
    if not 0 < thousandths < 10**8 or abs(strike * 1000 - thousandths) > 1e-3:
        raise BadInput(f"OCC cannot write the strike {strike}: it must be a multiple of 0.001 below 100,000")
    if right not in ("C", "P"):
        raise BadInput(f"the right of an option is C or P, not {right!r}")
    if not re.fullmatch(r"[A-Z][A-Z0-9.]{0,5}", root):
        raise BadInput(f"OCC cannot write the root {root!r}: one to six capitals or digits")
    if not 2000 <= expiry.year <= 2099:
        raise BadInput(f"OCC cannot write the expiry {expiry}: its year has two digits")
    return f"{root:<6}"[: 6 if padded else len(root)] + f"{expiry:%y%m%d}{right}{thousandths:08d}"


def checked_id(instrument_id: int) -> int:
    """The id, where a tool makes room for it. Raises BadInput for one that cannot be: it would cost all memory."""
    if not 0 <= instrument_id < MAX_INSTRUMENTS:
        raise BadInput(f"instrument_id {instrument_id}: ids are rows of the stream's instrument table")
    return instrument_id


class Instruments:
    """The table: by symbol, by id, growing at the end only."""

    def __init__(self, rows: Iterable[Instrument] = ()) -> None:
        self._rows: list[Instrument] = []
        self._ids: dict[str, int] = {}
        self._first_on: dict[str, int] = {}  # the first option on each underlying
        for row in rows:
            self.add(row)

    def add(self, instrument: Instrument) -> int:
        """The id of this symbol; a new one, the next row, when it is not in the table yet.

        The first announcement of a symbol wins; a later one with other details changes nothing.
        """
        known = self._ids.get(instrument.symbol)
        if known is None:
            known = self._ids[instrument.symbol] = len(self._rows)
            self._rows.append(replace(instrument, id=known))
            if instrument.asset_class == "option":
                self._first_on.setdefault(underlying(instrument.underlying), known)
        return known

    def __getitem__(self, instrument_id: int) -> Instrument:
        """Raises BadInput for an id that is not in the table."""
        if not 0 <= instrument_id < len(self._rows):
            raise BadInput(f"instrument_id {instrument_id} is not among the {len(self._rows)} announced instruments")
        return self._rows[instrument_id]

    def named(self, symbol: str) -> Instrument:
        """The instrument with this symbol. Raises BadInput when the table has none."""
        if symbol not in self._ids:
            shown = ", ".join(self.symbols[:8]) + (" ..." if len(self) > 8 else "")
            raise BadInput(f"the stream carries no {symbol!r}; it has {shown or 'no instruments'}")
        return self._rows[self._ids[symbol]]

    def first_on(self, name: str) -> int:
        """The id of the first option on this underlying; -1 without any."""
        return self._first_on.get(name, -1)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol, in order of id."""
        return tuple(row.symbol for row in self._rows)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instruments) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"Instruments({', '.join(self.symbols)})"

    def to_json(self) -> str:
        """The table as JSON, one object per row; what says nothing is left out."""
        return json.dumps([_plain(row) for row in self._rows], separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Instruments:
        """The table that `to_json` wrote. Raises BadInput."""
        try:
            rows = [_instrument(row) for row in json_of(text, finite=False)]
            if len({row.symbol for row in rows}) < len(rows):
                raise BadInput("the instrument table in the stream names a symbol twice: its ids mean nothing")
            return cls(rows)
        except (ValueError, TypeError, AttributeError) as wrong:
            raise BadInput(f"the instrument table in the stream is unreadable: {wrong}") from wrong

    def news(self, since: int) -> dict[str, str]:
        """The note that announces the rows from id `since` on to whoever has those before."""
        rows = [_plain(row) for row in self._rows[since:]]
        return {MORE: json.dumps({"first": since, "rows": rows}, separators=(",", ":"))}

    def heard(self, notes: Mapping[str, str] | None) -> int | None:
        """Take in what a note announces: the id of the first new row, None where it announces none.

        A note tells the rows that are new (`news`) or, in older recordings, the whole table. Raises BadInput where it
        is unreadable or does not go on where this table ends.
        """
        told = None if not notes else notes.get(MORE, notes.get(KEY))
        if told is None or notes is None:
            return None
        try:
            found = json_of(told, finite=False)
        except ValueError as wrong:
            raise BadInput(f"a note of the stream announces instruments unreadably: {wrong}") from wrong
        found = found if MORE in notes else {"first": 0, "rows": found}
        first, known = (found.get("first"), len(self)) if isinstance(found, dict) else (None, 0)
        if not isinstance(first, int) or isinstance(first, bool) or not 0 <= first <= known:
            raise BadInput(f"a note of the stream announces instruments from {first!r} on, but {known} are known")
        added = list(Instruments.from_json(json.dumps(found.get("rows"))))
        for row in added[: known - first]:
            if row.symbol != self._rows[first + row.id].symbol:
                raise BadInput(f"a note of the stream announces {row.symbol!r} as {first + row.id}, which is another")
        for row in added[known - first :]:
            if self.add(row) < known:
                raise BadInput(f"a note of the stream announces {row.symbol!r} once more")
        return known

    @classmethod
    def of(cls, schema: pa.Schema) -> Instruments:
        """The table that a schema carries; an empty one when it carries none. Raises BadInput."""
        found = (schema.metadata or {}).get(KEY.encode())
        return cls() if found is None else cls.from_json(found)

    def on(self, schema: pa.Schema) -> pa.Schema:
        """The schema carrying this table."""
        return schema.with_metadata({**(schema.metadata or {}), KEY.encode(): self.to_json().encode()})


def _plain(row: Instrument) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(row).items() if name != "id"}
    if row.asset_class != "option":
        for name in ("underlying", "expiry", "right", "strike"):
            del kept[name]
    else:
        kept["expiry"] = row.expiry.isoformat() if row.expiry else None
    return kept


def _instrument(row: dict[str, Any]) -> Instrument:
    expiry = row.get("expiry")
    for name in ("tick_size", "lot_size", "multiplier"):
        value = row.get(name, 1.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
            raise BadInput(
                f"the instrument table says {name} {value!r} of {row.get('symbol')!r}: it must be finite and above 0"
            )
    return Instrument(**{**row, "expiry": date.fromisoformat(expiry) if expiry else None})
