"""Prices: the exchange's quotes as decimals."""

from __future__ import annotations

import math
from decimal import Decimal

from gpi.formats.instruments import Instrument
from gpi.tools.venue.alpaca.assets import Assets
from gpi.tools.venue.exchange import Exchange
from gpi.tools.venue.money import exact


class Prices:
    """What things cost now. None where nobody quotes."""

    def __init__(self, exchange: Exchange, assets: Assets) -> None:
        self._exchange = exchange
        self._assets = assets

    def named(self, symbol: str) -> Instrument | None:
        """The instrument of a symbol, if the venue lists it."""
        return self._assets.find(symbol)

    def instrument(self, instrument_id: int) -> Instrument:
        """The instrument of an id."""
        return self._assets.of(instrument_id)

    def bid(self, instrument: Instrument) -> Decimal | None:
        """The best bid."""
        return _priced(self._exchange.quote(instrument.id).bid_px)

    def ask(self, instrument: Instrument) -> Decimal | None:
        """The best offer; the last trade where there is none."""
        return _priced(self._exchange.quote(instrument.id).ask_px) or self.last(instrument)

    def last(self, instrument: Instrument) -> Decimal | None:
        """The last trade."""
        return _priced(self._exchange.last(instrument.id)[1])

    def now(self, instrument: Instrument) -> Decimal | None:
        """The mid; else the last trade; else None."""
        quote = self._exchange.quote(instrument.id)
        if quote.bid_px > 0 and quote.ask_px > 0:
            return exact((quote.bid_px + quote.ask_px) / 2)
        return self.last(instrument)

    def mark(self, instrument: Instrument, cost: Decimal) -> Decimal:
        """The price now, or the cost of what nobody prices."""
        found = self.now(instrument)
        return cost if found is None else found


def _priced(price: float) -> Decimal | None:
    return exact(price) if price > 0 and not math.isinf(price) else None
