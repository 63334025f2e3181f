"""Assets: what Alpaca says about an instrument, and every name by which a client may ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from gpi.formats.instruments import Instrument, Instruments
from gpi.formats.market.settlement import underlying
from gpi.tools.venue.data.names import occ, pair
from gpi.tools.venue.refusals import missing, unprocessable

CLASSES: Final = {"equity": "us_equity", "option": "us_option", "crypto": "crypto", "index": "us_index"}
OPTIONED: Final = "options_enabled"  # the attribute of a share on which options are listed
EXCHANGES: Final = {"AMEX", "ARCA", "BATS", "NYSE", "NASDAQ", "OTC"}


@dataclass(slots=True)
class Terms:
    """What may be done with an asset, changed by control (asset: {symbol, shortable, ...})."""

    tradable: bool = True
    shortable: bool = True
    easy_to_borrow: bool = True
    fractionable: bool = True


class Assets:
    """The instruments as Alpaca lists them."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._ids: dict[str, int] = {}
        self._known = 0
        self._terms: dict[int, Terms] = {}
        self._optioned: set[str] = set()  # shares that options are on

    def find(self, name: str) -> Instrument | None:
        """By symbol (BTC/USD, BTCUSD, OCC padded or not) or asset id; None when the venue does not list it."""
        self._learn()
        found = self._ids.get(name.strip().replace(" ", "").upper())
        return None if found is None else self._instruments[found]

    def of(self, instrument_id: int) -> Instrument:
        """The instrument of an id."""
        return self._instruments[instrument_id]

    def named(self, name: str) -> Instrument:
        """The same. Raises Refusal 422 as orders do."""
        found = self.find(name)
        if found is None:
            raise unprocessable(f'asset "{name}" not found')
        return found

    def terms(self, instrument: Instrument) -> Terms:
        """What may be done with it."""
        found = self._terms.get(instrument.id)
        if found is None:
            equity, index = instrument.asset_class == "equity", instrument.asset_class == "index"
            found = Terms(not index, equity, equity, equity or instrument.asset_class == "crypto")
            self._terms[instrument.id] = found
        return found

    def listed(self, asset_class: str | None = None) -> list[dict[str, Any]]:
        """Every share and coin, as JSON; of one class if asked. Options are contracts, indices no assets."""
        wanted = [each for each in self._instruments if each.asset_class in ("equity", "crypto")]
        return [self.wire(each) for each in wanted if asset_class in (None, CLASSES[each.asset_class])]

    def wire(self, instrument: Instrument) -> dict[str, Any]:
        """An asset as JSON."""
        self._learn()
        terms = self.terms(instrument)
        coin = instrument.asset_class == "crypto"
        made: dict[str, Any] = {
            "id": asset_id(wire_symbol(instrument)),
            "class": CLASSES[instrument.asset_class],
            "exchange": exchange(instrument),
            "symbol": wire_symbol(instrument),
            "name": wire_symbol(instrument),
            "status": "active",
            "tradable": terms.tradable,
            "marginable": instrument.asset_class == "equity",
            "maintenance_margin_requirement": 100 if coin else 30,
            "shortable": terms.shortable,
            "easy_to_borrow": terms.easy_to_borrow,
            "fractionable": terms.fractionable,
            "attributes": [OPTIONED] if instrument.symbol in self._optioned and not coin else [],
        }
        if coin:
            made |= {
                "min_order_size": f"{instrument.lot_size:.9f}",
                "min_trade_increment": f"{instrument.lot_size:.9f}",
                "price_increment": f"{instrument.tick_size:.9f}",
            }
        return made

    def contracts(self) -> list[Instrument]:
        """Every option."""
        return [each for each in self._instruments if each.asset_class == "option"]

    def change(self, instrument: Instrument, **words: bool) -> None:
        """Change its terms. Raises Refusal 404 for a word that is none."""
        terms = self.terms(instrument)
        for word, value in words.items():
            if word not in Terms.__slots__:
                raise missing(f"an asset has no {word!r}")
            setattr(terms, word, bool(value))

    def _learn(self) -> None:
        """Index the rows announced since the last look."""
        for row in range(self._known, len(self._instruments)):
            symbol = wire_symbol(self._instruments[row])
            if self._instruments[row].asset_class == "option":
                self._optioned.add(underlying(self._instruments[row].underlying))
            for name in {symbol, symbol.replace("/", ""), self._instruments[row].symbol.replace(" ", "")}:
                self._ids.setdefault(name.upper(), row)
            for name in {symbol, symbol.replace("/", "")}:
                self._ids.setdefault(asset_id(name).upper(), row)
        self._known = len(self._instruments)


def wire_symbol(instrument: Instrument) -> str:
    """Its symbol as Alpaca writes it: options without padding, coins with a slash."""
    if instrument.asset_class == "option":
        return occ(instrument)
    return pair(instrument.symbol, "/") if instrument.asset_class == "crypto" else instrument.symbol


def position_symbol(instrument: Instrument) -> str:
    """Its symbol in positions: coins lose the slash there (and have another asset id)."""
    return wire_symbol(instrument).replace("/", "")


@lru_cache(1 << 14)
def asset_id(symbol: str) -> str:
    """The UUID of an asset, always the same for a symbol."""
    return str(uuid5(NAMESPACE_URL, f"gpi:asset/{symbol}"))


def exchange(instrument: Instrument) -> str:
    """The exchange, one that clients know."""
    if instrument.asset_class == "crypto":
        return "CRYPTO"
    return instrument.venue if instrument.venue in EXCHANGES else "NASDAQ" if instrument.asset_class == "equity" else ""
