"""What lies about a tick: the columns of its row, every instrument, the engine that takes the wishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from gpi.formats.columns import selected
from gpi.formats.errors import UsageError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.tools.kernels.orders import Engine
from gpi.tools.kernels.trader.sending import own
from gpi.tools.strategies.told import Market, OpenOrder, Outlook

NAN: Final = float("nan")


class Around(Mapping[str, Market]):
    """What lies about a tick: the frame it stands in, the engine, the names. One of it per session."""

    def __init__(self) -> None:
        self.frame: Any = None
        self.row, self.tick, self.written = 0, 0, [0]
        self.e: Any = None
        self.instruments = Instruments()
        self._places: dict[str, tuple[str, Any]] = {}

    def bind(self, e: Engine) -> None:
        """The engine's memory, whenever it has grown."""
        self.e = e
        self.bytes = memoryview(e.seen.view(np.uint8))  # type: ignore[arg-type]

    def over(self, frame: Frame, instruments: Instruments) -> None:
        """Rows are those of a frame from now on."""
        if self.frame is None or frame.layout is not self.frame.layout:
            self._places.clear()
        self.frame, self.instruments = frame, instruments

    def during(self, tick: int) -> Around:
        """Itself while that tick is there. Raises UsageError for a view that was kept."""
        if tick != self.tick:
            raise UsageError("a view that was kept knows its numbers only: ask for columns and markets during the tick")
        return self

    def symbol(self, instrument_id: int) -> str:
        """The symbol of an id."""
        known = self.instruments
        return known[instrument_id].symbol if instrument_id < len(known) else str(instrument_id)

    def named(self, symbol: str) -> int:
        """The id of a symbol. Raises BadInput for one that the stream has not announced."""
        return self.instruments.named(symbol).id

    def __getitem__(self, symbol: str) -> Market:
        return Market(*self.e.market[self.named(symbol)].item())

    def __iter__(self) -> Iterator[str]:
        return iter(self.instruments.symbols)

    def __len__(self) -> int:
        return len(self.instruments)

    def column(self, name: str) -> Any:
        """The value of a column, or of an element of one, at the row."""
        if name not in self._places:
            found = selected([name], self.frame.layout.schema, "the strategy")[0]
            place = list(found.places) if found.vector else found.places[0] if found.places else None
            self._places[name] = (found.column, place)
        column, place = self._places[name]
        value = self.frame[column][self.row]
        return value.item() if place is None else value[place].copy()

    def outlook(self) -> Outlook:
        """The columns of encoder and pattern bank; NaN for those that are not there."""
        c, row = self.frame.columns, self.row
        direction = c["direction"][row].tolist() if "direction" in c else (NAN, NAN, NAN)
        return Outlook(*direction, *(float(c[name][row]) if name in c else NAN for name in Outlook._fields[3:]))

    def orders_in(self, symbol: str) -> tuple[OpenOrder, ...]:
        """Our open orders in an instrument; what the tick's view told stays in the view."""
        return self.orders(int(own(self.e, self.named(symbol))))

    def orders(self, count: int) -> tuple[OpenOrder, ...]:
        """The first so many of the orders that the engine has laid out."""
        return tuple(OpenOrder(*self.e.mine[k].item()) for k in range(count))
