"""A venue in this process and a broker on it: what the broker's tests are made of."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from gpi.formats.execution import NEW, WITHDRAW, ExecutionReport, OrderRequest
from gpi.formats.instruments import Instrument, Instruments, equity
from gpi.formats.secrets import Secret
from gpi.formats.words import GTC, LIMIT
from gpi.tools.brokers.alpaca.broker import Alpaca
from gpi.tools.brokers.alpaca.rest import Keys
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.startup import Terms
from gpi.tools.venue.truth import truth
from gpi.tools.venue.venue import Options, made, opened

KEY_ID, SECRET = "PKTESTTESTTESTTEST", "canary-secret-of-the-broker-tests"
NAMES = ("AAA", "BBB", "CCC")
NAN = float("nan")
START_NS = 1_764_169_200_000_000_000  # a Wednesday, 15:00 UTC: the market is open


class Venue:
    """`gpi venue` on a thread: `tick`, `fault` and `truth` as its control endpoint has them."""

    def __init__(
        self, cash: str = "100000", rate_limit: int = 0, more: Iterable[Instrument] = (), fees: str = "zero"
    ) -> None:
        self.instruments = Instruments([*(equity(name) for name in NAMES), *more])
        self.options = Options(
            accounts={KEY_ID: (Secret(SECRET), Decimal(cash))},
            rate_limit=rate_limit,
            fees=fees,
            by_calendar=False,
            fill="conservative",
        )
        self.keys = Keys(Secret(KEY_ID), Secret(SECRET))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        for name in NAMES:
            self.tick(symbol=name, bid=[99.99, 500], ask=[100.01, 500], ts=START_NS)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.world = made(self.options, self.instruments)
        self._at = await opened(self.world)
        self.url = self._at.url
        self._ready.set()
        await self._end.wait()
        await self._at.close()

    def close(self) -> None:
        """Gone, with all its sockets; a second time does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)

    def control(self, **words: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.world.token.reveal()}"}
        reply = requests.post(f"{self.url}/gpi/control", json=words, headers=headers, timeout=90)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def tick(self, **words: Any) -> None:
        self.control(tick=words)

    def fault(self, name: str, **words: Any) -> None:
        self.control(fault={"name": name, **words})

    def rest(self, method: str, path: str, **more: Any) -> Any:
        headers = {"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET}
        return requests.request(method, self.url + path, headers=headers, timeout=5, **more)

    @property
    def account(self) -> dict[str, Any]:
        async def told() -> dict[str, Any]:
            return truth(self.world)["accounts"][KEY_ID]

        return asyncio.run_coroutine_threadsafe(told(), self._loop).result(5)

    @property
    def open_orders(self) -> int:
        return int(self.account["open_orders"])

    def position(self, symbol: str) -> Decimal:
        return sum(
            (Decimal(f["qty"]) * (1 if f["side"] == "buy" else -1) for f in self.account["fills"]
             if f["symbol"] == symbol and not f["busted"]), Decimal(0)
        )  # fmt: skip


class Client:
    """A broker and everything it ever answered."""

    def __init__(self, venue: Venue, folder: Path, guards: Guards | None = None, **terms: Any) -> None:
        self.venue, self.said, self.told = venue, list[str](), list[ExecutionReport]()
        terms = {"journal": folder / "orders.sqlite", "grace_s": 1.0, "every_s": (0.5, 1.0)} | terms
        self.broker = Alpaca(venue.keys, venue.url, venue.instruments, Terms(folder, **terms), self.said.append, guards)
        self.next = 1

    def new(self, side: int = 1, qty: float = 10, px: float = NAN, symbol: str = "AAA", **more: Any) -> int:
        order_id, self.next = self.next, self.next + 1
        instrument = self.venue.instruments.named(symbol)
        words = {"order_type": LIMIT, "tif": GTC} | more
        self.broker.send([OrderRequest(NEW, START_NS, order_id, instrument.id, symbol, side, qty=qty, px=px, **words)])
        return order_id

    def cancel(self, order_id: int) -> None:
        self.broker.send([OrderRequest(WITHDRAW, START_NS, order_id, 0, "AAA")])

    def heard(self, *actions: int, order: int | None = None) -> list[ExecutionReport]:
        self.told += self.broker.reports()
        return [a for a in self.told if a.action in actions and order in (None, a.order_id)]

    def until(self, seen: Callable[[], Any], seconds: float = 10.0) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = seen()
            if found:
                return found
            time.sleep(0.01)
        raise AssertionError(f"not within {seconds} s; answered {self.told}, said {self.said}")

    def hears(self, action: int, order: int | None = None, seconds: float = 10.0) -> ExecutionReport:
        found: list[ExecutionReport] = self.until(lambda: self.heard(action, order=order), seconds)
        return found[-1]


@contextmanager
def trading(venue: Venue, folder: Path, guards: Guards | None = None, **terms: Any) -> Iterator[Client]:
    """A broker that is open, and closed at the end."""
    client = Client(venue, folder, guards, **terms)
    client.broker.open()
    try:
        yield client
    finally:
        client.told += client.broker.finish(8.0)
        client.broker.close()
