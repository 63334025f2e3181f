"""Long random sessions: three accounts trade with each other and with a real day's market, through alpaca-py.

After every few requests the books are held against each other, by what clients are told alone: cash against all
activities, positions and orders against fills, the stream against the list, lives of orders against what may follow.
"""

import json
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.quarantine import Quarantine
from gpi.formats.secrets import Secret
from gpi.tools.feeds.files import open_ticks
from tests.venues import KEY, SECRET, Ready, until, venue_here

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DAY = ("eq_quotes_lean_BAC_IBM_20131007_09.parquet", "eq_trades_lean_BAC_IBM_SPY_20131007_09.parquet")
FIRST: Final = 1_381_152_600 * 10**9  # 2013-10-07 09:30 in New York
CASH: Final = {KEY: 100_000, "PKTWO": 30_000, "PKTHREE": 1_500}
ENDS: Final = {"fill": "filled", "canceled": "canceled", "expired": "expired", "rejected": "rejected",
               "replaced": "replaced"}  # fmt: skip
WORKING: Final = {"partial_fill", "pending_cancel", "order_replace_rejected", "restated", *ENDS}
NEXT: Final = {  # what may be told of an order after what
    None: {"pending_new", "accepted", "new", *WORKING},  # an exit's life begins without a word
    "pending_new": {"new", "accepted", *WORKING},
    "accepted": {"new", *WORKING},
    "new": WORKING,
    "partial_fill": WORKING,
    "restated": {"new", *WORKING},
    "pending_cancel": {"partial_fill", *ENDS},
    "order_replace_rejected": WORKING,
}
pytestmark = [pytest.mark.jit, pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")]


class Trader:
    """One account: its client, and everything its stream has said."""

    def __init__(self, venue: Ready, key_id: str, secret: str, opened: ExitStack) -> None:
        self.key_id = key_id
        self.client = TradingClient(key_id, secret, url_override=venue.url, raw_data=True)
        self.client._retry = 0
        opened.callback(self.client._session.close)
        self.heard: list[Any] = []
        socket = opened.enter_context(connect(f"{venue.ws}/stream", close_timeout=1, max_size=None, ping_interval=None))
        socket.send(json.dumps({"action": "auth", "key": key_id, "secret": secret}))
        socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert [json.loads(socket.recv())["stream"] for _ in range(2)] == ["authorization", "listening"]
        threading.Thread(target=self._listen, args=(socket,), daemon=True).start()
        self.refused: dict[str, int] = defaultdict(int)

    def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            for message in socket:
                self.heard.append(json.loads(message)["data"])

    def ask(self, verb: str, path: str, words: Any = None) -> Any:
        """One request; None where it is refused, which must be with a code and in words."""
        try:
            return getattr(self.client, verb)(path, words)
        except APIError as refused:
            assert refused.status_code in (403, 404, 422), refused
            assert refused.code and refused.message
            self.refused[refused.message.split("(")[0][:40]] += 1
            return None

    def orders(self) -> list[Any]:
        """All there ever were, page by page: oldest first."""
        found: list[Any] = []
        while True:
            after = {"after": found[-1]["submitted_at"]} if found else {}
            page = self.client.get("/orders", {"status": "all", "limit": 500, "direction": "asc", **after})
            found += page
            if len(page) < 500:
                return found

    def activities(self) -> list[Any]:
        """All, page by page."""
        found: list[Any] = []
        while True:
            token = {"page_token": found[-1]["id"]} if found else {}
            page = self.client.get("/account/activities", {"page_size": 100, "direction": "asc", **token})
            found += page
            if len(page) < 100:
                return found


def day(batch: int) -> Any:
    """The recording, as it would be replayed."""
    return open_ticks([DATA / name for name in DAY], batch=batch, quarantine=Quarantine())


def frames(batch: int) -> Iterator[Frame]:
    """The first real day, in order."""
    for frame in day(batch).frames:
        if frame["ts_event"][0] > FIRST + 7 * 3600 * 10**9:
            return
        yield frame


def wished(dice: random.Random, venue: Ready) -> dict[str, Any]:
    """An order; some too large, some at odd prices, some with exits."""
    symbol = dice.choice(("BAC", "IBM", "BAC", "IBM", "SPY"))
    assert venue.world is not None
    quote = venue.world.exchange.quote(venue.world.instruments.named(symbol).id)
    mid = round(quote.bid_px, 2) if quote.bid_px > 0 else {"BAC": 14.0, "IBM": 182.0, "SPY": 168.0}[symbol]
    kind = dice.choice(("market", "market", "limit", "limit", "limit", "stop", "stop_limit", "trailing_stop"))
    side = dice.choice(("buy", "sell"))
    up = 1 if side == "buy" else -1
    near = round(mid * (1 + up * dice.choice((-0.002, -0.0005, 0.0, 0.0005))), 2)
    tif = dice.choice(("day", "day", "gtc", "ioc", "fok"))
    body = {"symbol": symbol, "side": side, "type": kind, "time_in_force": tif,
            "qty": dice.choice((1, 7, 50, 100, 300, 2500, 0.5, 100_000))}  # fmt: skip
    if dice.random() < 0.1:
        body |= {"qty": None, "notional": dice.choice((0.5, 10, 1234.56)), "type": "market", "time_in_force": "day"}
    if body["type"] in ("limit", "stop_limit"):
        body["limit_price"] = near
    if body["type"] in ("stop", "stop_limit"):
        body["stop_price"] = round(mid * (1 + up * 0.0005), 2)
    if body["type"] == "trailing_stop":
        body[dice.choice(("trail_price", "trail_percent"))] = 0.1
    if dice.random() < 0.2:
        far = (round(mid * (1 + 0.001 * up), 2), round(mid * (1 - 0.001 * up), 2))
        body |= {"order_class": dice.choice(("bracket", "oco", "oto")), "time_in_force": "day"}
        if body["order_class"] == "oco":
            far = far[::-1]
        body |= {"stop_loss": {"stop_price": far[1]}}
        body |= {} if body["order_class"] == "oto" else {"take_profit": {"limit_price": far[0]}}
    return {name: value for name, value in body.items() if value is not None}


def acted(dice: random.Random, venue: Ready, trader: Trader) -> None:
    """One request of a trader."""
    working = trader.client.get("/orders", {"status": "open", "limit": 500})
    what = dice.choices(("order", "cancel", "replace", "close", "sweep"), (60, 15, 15, 8, 2))[0]
    if what == "order":
        power = Decimal(trader.client.get("/account")["buying_power"])
        held = {each["symbol"]: Decimal(each["qty"]) for each in trader.client.get("/positions")}
        wish = wished(dice, venue)
        made = trader.ask("post", "/orders", wish)
        assert power >= 0 and (made is None or made["status"] in ("accepted", "pending_new"))
        opens = wish["side"] == "buy" and held.get(wish["symbol"], Decimal(0)) >= 0
        if made is not None and opens and "limit_price" in wish:
            assert Decimal(str(wish["qty"])) * Decimal(str(wish["limit_price"])) <= power, "more than could be paid for"
    elif what == "close":
        held = trader.client.get("/positions")
        if held:
            how = dice.choice(({}, {"percentage": 50}, {"qty": 1}))
            trader.ask("delete", f"/positions/{dice.choice(held)['symbol']}", how)
    elif what == "sweep":
        trader.ask("delete", dice.choice(("/orders", "/positions")), None)
    elif working:
        one = dice.choice(working)
        if what == "cancel":
            trader.ask("delete", f"/orders/{one['id']}")
        else:
            words: dict[str, Any] = {"qty": dice.randint(1, 400)}
            if one["limit_price"]:
                words["limit_price"] = round(float(one["limit_price"]) * dice.choice((0.999, 1.001)), 2)
            trader.ask("patch", f"/orders/{one['id']}", words)


def sound(trader: Trader) -> None:
    """One account's books, from what it is told alone."""
    account, rows, orders = trader.client.get("/account"), trader.activities(), trader.orders()
    cash = Decimal(CASH[trader.key_id])
    held: dict[str, Decimal] = defaultdict(Decimal)
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["activity_type"] != "FILL":
            cash += Decimal(row["net_amount"])
            continue
        signed = Decimal(row["qty"]) * (1 if row["side"] == "buy" else -1)
        cash -= signed * Decimal(row["price"])
        held[row["symbol"]] += signed
        filled[row["order_id"]] += Decimal(row["qty"])
    assert Decimal(account["cash"]) == cash
    positions = {each["symbol"]: Decimal(each["qty"]) for each in trader.client.get("/positions")}
    assert positions == {symbol: qty for symbol, qty in held.items() if qty}
    assert {each["id"]: Decimal(each["filled_qty"]) for each in orders if Decimal(each["filled_qty"])} == dict(filled)
    for each in orders:
        whole = Decimal(each["filled_qty"]) == Decimal(each["qty"] or each["filled_qty"] or -1)
        assert whole if each["status"] == "filled" else each["filled_at"] is None
    assert len({row["id"] for row in rows}) == len(rows) and len({each["id"] for each in orders}) == len(orders)


def told_alike(trader: Trader) -> None:
    """The stream: every life legal, every fill once, and the same end as the list says."""
    orders = {each["id"]: each for each in trader.orders()}
    last: dict[str, str] = {}
    told: dict[str, Decimal] = defaultdict(Decimal)
    for update in trader.heard:
        name, event = update["order"]["id"], update["event"]
        assert event in NEXT[last.get(name)], (last.get(name), event, update)
        last[name] = event
        if event in ("fill", "partial_fill"):
            told[name] += Decimal(update["qty"])
            assert told[name] == Decimal(update["order"]["filled_qty"])
        if event in ENDS:
            NEXT.setdefault(event, set())
            assert update["order"]["status"] == orders[name]["status"] == ENDS[event]
    for name, order in orders.items():
        assert told.get(name, Decimal(0)) == Decimal(order["filled_qty"])
        over = order["status"] in ENDS.values()
        assert over == (last.get(name) in ENDS), (order["status"], last.get(name))


@pytest.mark.parametrize("fill, seed", [("alpaca-paper", 1), ("conservative", 2), ("queue", 3)])
def test_a_day_of_three_traders(fill: str, seed: int) -> None:
    """Some 400 requests between 900,000 real rows: the books agree all along, and in the end."""
    dice = random.Random(seed)
    accounts = {key_id: (Secret(SECRET if key_id == KEY else key_id), Decimal(cash)) for key_id, cash in CASH.items()}
    table = list(Instruments.of(day(8).schema))
    with venue_here(table, FIRST - 10**9, accounts=accounts, fill=fill, seed=seed) as venue, ExitStack() as opened:
        traders = [Trader(venue, key_id, secret.reveal(), opened) for key_id, (secret, _) in accounts.items()]
        for number, frame in enumerate(frames(1 << 12)):
            venue.play(frame)
            for _ in range(3):
                acted(dice, venue, dice.choice(traders))
            if number % 20 == 0:
                for trader in traders:
                    sound(trader)
        told = venue.state()["counters"]
        until(lambda: sum(len(each.heard) for each in traders) == sum(
            count for name, count in told.items() if name.startswith("updates.")))  # fmt: skip
        for trader in traders:
            sound(trader)
            told_alike(trader)
        state = venue.state()
        assert state["counters"].get("mishaps", 0) == 0
        assert state["counters"]["fills"] > 50 and sum(sum(each.refused.values()) for each in traders) > 20
        assert all(len(each.heard) > 50 for each in traders[:2])
