"""Every verb of the trading API in any order, on legs, parents, ended and unknown orders, while the market moves.

Whatever was asked: no answer of 500 or above, nothing goes wrong inside, what is open is in the book or waits for it,
times run forward, cash is what the fills say, and after DELETE /v2/orders nothing is left. GPI_LONG=1: more of it, from
a seed that is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gpi.formats.instruments import crypto, equity, option
from gpi.tools.venue.money import exact
from tests.venues import KEY, SECRET, TOKEN, Ready, venue_here

CALL, HIGHER, PUT = "AAPL260116C00190000", "AAPL260116C00200000", "AAPL260116P00185000"
MIDDLES: Final = {"AAPL": 190.0, "MSFT": 400.0, "BTC/USD": 64_000.0, CALL: 3.2, HIGHER: 1.1, PUT: 2.1}
LONG: Final = bool(os.environ.get("GPI_LONG"))
SEED: Final = secrets.randbits(32) if LONG else 20_260_105
OPTIONS: Final = (CALL, HIGHER, PUT)
PENDING: Final = {"pending_new", "pending_cancel", "pending_replace"}
TIMES: Final = ("filled_at", "canceled_at", "expired_at", "failed_at", "replaced_at")
SIDES: Final = st.sampled_from(["buy", "sell"])
SYMBOLS: Final = st.sampled_from([*MIDDLES, "NOPE"])
QTYS: Final = st.sampled_from([1, 2, 3, 5, 0.5, "1.25", 10, 400, "0.000000001"])
TYPES: Final = st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"])
TIFS: Final = st.sampled_from(["day", "gtc", "gtc", "day", "day", "opg", "cls", "ioc", "fok"])
AWAY: Final = st.sampled_from([-0.1, -0.02, -0.002, 0.0, 0.002, 0.02, 0.1])  # of the middle
WHICH: Final = st.integers(0, 1 << 20)
PARTS: Final = st.sampled_from([{}, {"qty": "1"}, {"qty": "0.5"}, {"percentage": "50"}, {"percentage": "33.3333"},
                                {"percentage": "0"}, {"qty": "99999"}, {"qty": 1, "percentage": 1}])  # fmt: skip
WORDS: Final = st.none() | st.booleans() | st.integers(-5, 10**13) | st.floats() | st.text(max_size=8)
JSONS: Final = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS: Final = (
    "symbol", "side", "qty", "notional", "type", "time_in_force", "limit_price", "stop_price", "trail_price", "trail",
    "trail_percent", "extended_hours", "client_order_id", "order_class", "take_profit", "stop_loss", "legs",
    "position_intent", "name", "symbols", "suspend_trade", "max_margin_multiplier", "max_options_trading_level",
)  # fmt: skip
GOOD: Final = (
    "AAPL", "BTC/USD", CALL, "buy", "sell", 1, "2", "market", "limit", "stop", "day", "gtc", "bracket", "oco", "oto",
    "mleg", 190, {"limit_price": 200}, {"stop_price": 180}, {"stop_price": 180, "limit_price": 179}, "buy_to_open",
    [{"symbol": CALL, "ratio_qty": 1, "side": "buy"}, {"symbol": HIGHER, "ratio_qty": 1, "side": "sell"}],
    ["AAPL", "MSFT"], True, "4", 3, "one",
)  # fmt: skip
BODIES: Final = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(GOOD) | JSONS, max_size=9) | JSONS
QUERY: Final = st.sampled_from(["", "AAPL", "open", "all", "closed", "asc", "desc", "1", "500", "2026-01-05", "true",
                                "2026-01-05T15:30:00.5Z", "1Min", "1D", "0"]) | st.text(max_size=12)  # fmt: skip


def rounded(symbol: str, px: float) -> float:
    """A price the symbol may have."""
    return max(0.01, round(px, 2))


class Trading(RuleBasedStateMachine):
    """One account against one venue of its own."""

    @initialize(fill=st.sampled_from(["conservative", "alpaca-paper", "whole"]), start=st.sampled_from([0, -3, 6]))
    def open(self, fill: str, start: int) -> None:
        """A venue, quoted; half of them before the open or after the close."""
        self.stack = contextlib.ExitStack()
        listed = [equity("AAPL"), equity("MSFT"), crypto("BTC/USD"), *(option(each) for each in OPTIONS)]
        begun = 1_767_627_000_000_000_000 + start * 3600 * 10**9
        self.venue: Ready = self.stack.enter_context(venue_here(listed, begun, fill=fill))
        self.http = HTTPConnection(self.venue.url.removeprefix("http://"), timeout=30)
        self.stack.callback(self.http.close)
        self.ids: list[str] = [str(UUID(int=7))]
        self.lists: list[str] = ["none"]
        for symbol, px in MIDDLES.items():
            self._tick(symbol, px, 50.0)

    # -- asking --

    def call(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request; its JSON. No answer is of 500 or above, and every refusal says why."""
        data = None if body is None else json.dumps(body).encode()
        asked = f"{path}?{urlencode(query, errors='surrogatepass')}" if query else path
        status, found = self.raw(verb, asked, data, {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET})
        assert status < 500, (verb, asked, body, found)
        if status >= 400:
            assert found["code"] and found["message"], (verb, asked, found)
        return found

    def raw(self, verb: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        """One request on the connection that is there: a session of `requests` takes three times as long."""
        self.http.request(verb, path, data, headers)
        told = self.http.getresponse()
        content = told.read()
        return told.status, json.loads(content) if content else None

    def learn(self, told: Any) -> None:
        """Remember the ids of an answer."""
        if isinstance(told, list):
            for each in told:
                self.learn(each)
        elif isinstance(told, dict):
            if "client_order_id" in told and told["id"] not in self.ids:
                self.ids.append(told["id"])
            self.learn(told.get("legs"))
            self.learn(told.get("body"))

    def some(self, which: int) -> str:
        """An order somebody has heard of, the latest more often, or nobody has."""
        return self.ids[-1 - which % min(len(self.ids), 1 + which % 40)]

    def control(self, **words: Any) -> Any:
        """What happens to the world; it may be refused, and never fails."""
        told = self.raw("POST", "/gpi/control", json.dumps(words).encode(), {"Authorization": f"Bearer {TOKEN}"})
        assert told[0] < 500, (words, told)
        return told[1]

    def _tick(self, symbol: str, px: float, size: float, trade: str | None = None) -> None:
        half = 0.02 if symbol in OPTIONS else 0.01
        words: dict[str, Any] = {"bid": [round(px - half, 2), size], "ask": [round(px + half, 2), size]}
        if trade:
            words["trade"] = [round(px, 2), size, trade]
        self.control(tick={"symbol": symbol, **words})

    # -- orders --

    @rule(symbol=SYMBOLS, side=SIDES, qty=QTYS, kind=TYPES, tif=TIFS, away=AWAY, stop=AWAY, late=st.booleans(),
          dollars=st.sampled_from([None, None, None, 50, "1000.5"]))  # fmt: skip
    def order(
        self, symbol: str, side: str, qty: Any, kind: str, tif: str, away: float, stop: float, late: bool, dollars: Any
    ) -> None:
        """A simple order."""
        middle = MIDDLES.get(symbol, 10.0)
        body: dict[str, Any] = {"symbol": symbol, "side": side, "type": kind, "time_in_force": tif}
        body |= {"qty": qty} if dollars is None else {"notional": dollars}
        if kind in ("limit", "stop_limit"):
            body["limit_price"] = rounded(symbol, middle * (1 + away))
        if kind in ("stop", "stop_limit"):
            body["stop_price"] = rounded(symbol, middle * (1 + (abs(stop) if side == "buy" else -abs(stop))))
        if kind == "trailing_stop":
            body |= {"trail_percent": 1} if stop < 0 else {"trail_price": "0.5"}
        if late:
            body["extended_hours"] = True
        self.learn(self.call("POST", "/v2/orders", body))

    @rule(symbol=st.sampled_from(["AAPL", "MSFT"]), side=SIDES, qty=st.integers(1, 5), away=AWAY, gtc=st.booleans(),
          group=st.sampled_from(["bracket", "bracket", "oto", "oco", "oco"]), kind=st.sampled_from(["market", "limit"]),
          limited=st.booleans(), profit=st.booleans())  # fmt: skip
    def group(
        self, symbol: str, side: str, qty: int, away: float, gtc: bool, group: str, kind: str, limited: bool,
        profit: bool,
    ) -> None:  # fmt: skip
        """A bracket, an OTO, or an OCO."""
        middle, sign = MIDDLES[symbol], 1 if side == "buy" else -1
        if group == "oco":
            sign, kind = -sign, "limit"
        body: dict[str, Any] = {"symbol": symbol, "side": side, "qty": qty, "type": kind, "order_class": group,
                                "time_in_force": "gtc" if gtc else "day"}  # fmt: skip
        if kind == "limit" and group != "oco":
            body["limit_price"] = rounded(symbol, middle * (1 + away / 5))
        loss: dict[str, Any] = {"stop_price": rounded(symbol, middle * (1 - 0.05 * sign))}
        if limited:
            loss["limit_price"] = rounded(symbol, middle * (1 - 0.06 * sign))
        gain = {"limit_price": rounded(symbol, middle * (1 + 0.05 * sign))}
        body |= {"take_profit": gain} if group != "oto" or profit else {}
        body |= {"stop_loss": loss} if group != "oto" or not profit else {}
        self.learn(self.call("POST", "/v2/orders", body))

    @rule(qty=st.integers(1, 3), sides=st.tuples(SIDES, SIDES, SIDES), ratio=st.integers(1, 2), legs=st.integers(2, 3),
          limit=st.sampled_from([None, -3.0, 0.5, 2.1, 2.5, 9.0]))  # fmt: skip
    def several(self, qty: int, sides: tuple[str, str, str], ratio: int, legs: int, limit: float | None) -> None:
        """A multi-leg order."""
        wanted = [{"symbol": each, "ratio_qty": str(ratio if n else 1), "side": side}
                  for n, (each, side) in enumerate(zip(OPTIONS[:legs], sides, strict=False))]  # fmt: skip
        body = {"order_class": "mleg", "qty": qty, "type": "market" if limit is None else "limit", "legs": wanted,
                "time_in_force": "day", "limit_price": limit}  # fmt: skip
        self.learn(self.call("POST", "/v2/orders", {word: value for word, value in body.items() if value is not None}))

    @rule(which=WHICH, qty=st.sampled_from([None, None, 1, 2, 7, "0.5"]), away=st.none() | AWAY, stop=st.none() | AWAY,
          trail=st.sampled_from([None, None, 1, "0.3"]), own=st.sampled_from([None, None, "mine"]),
          tif=st.sampled_from([None, None, "gtc", "day", "ioc", "cls"]), small=st.booleans())  # fmt: skip
    def patch(self, which: int, qty: Any, away: Any, stop: Any, trail: Any, own: Any, tif: Any, small: bool) -> None:
        """A replacement of anything: a leg, a parent, what has ended."""
        wanted = self.some(which)
        symbol = (self.call("GET", f"/v2/orders/{wanted}") or {}).get("symbol", "AAPL")
        middle = MIDDLES.get(symbol, 2.2)
        body = {"qty": qty, "limit_price": None if away is None else rounded(symbol, middle * (1 + away)),
                "stop_price": None if stop is None else rounded(symbol, middle * (1 + stop)), "trail": trail,
                "time_in_force": tif, "client_order_id": own}  # fmt: skip
        body = {word: value for word, value in body.items() if value is not None or small}
        self.learn(self.call("PATCH", f"/v2/orders/{wanted}", body))

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """Any order, again and again."""
        self.call("DELETE", f"/v2/orders/{self.some(which)}")

    @rule()
    def cancel_all(self) -> None:
        """Every open order: what is open afterwards is not pending."""
        for each in self.call("DELETE", "/v2/orders"):
            assert each["status"] == 200, each

    # -- positions, lists, words --

    @rule(symbol=SYMBOLS, part=PARTS)
    def close(self, symbol: str, part: dict[str, Any]) -> None:
        """A position, or a part of it."""
        self.learn(self.call("DELETE", f"/v2/positions/{quote(symbol, safe='')}", **part))

    @rule(cancels=st.sampled_from(["true", "false", ""]))
    def close_all(self, cancels: str) -> None:
        """All positions."""
        self.learn(self.call("DELETE", "/v2/positions", cancel_orders=cancels))

    @rule(symbol=SYMBOLS, how=st.sampled_from(["exercise", "do-not-exercise"]))
    def exercise(self, symbol: str, how: str) -> None:
        """An option, or what is none."""
        self.call("POST", f"/v2/positions/{quote(symbol, safe='')}/{how}")

    @rule(words=st.fixed_dictionaries({}, optional={
        "suspend_trade": st.sampled_from([False, False, True, None, "x"]), "no_shorting": st.booleans(),
        "fractional_trading": st.booleans(), "max_options_trading_level": st.integers(0, 4),
        "max_margin_multiplier": st.sampled_from(["1", "2", "4", 4, "8"])}))  # fmt: skip
    def configure(self, words: dict[str, Any]) -> None:
        """The account's own rules."""
        self.call("PATCH", "/v2/account/configurations", words)

    @rule()
    def unconfigure(self) -> None:
        """The usual rules again, so that there is something to refuse."""
        self.call("PATCH", "/v2/account/configurations", {
            "suspend_trade": False, "no_shorting": False, "fractional_trading": True, "max_options_trading_level": 3,
            "max_margin_multiplier": "4"})  # fmt: skip

    @rule(verb=st.sampled_from(["POST", "PUT", "DELETE", "GET", "symbol", "new", "name"]), which=WHICH, symbol=SYMBOLS)
    def watch(self, verb: str, which: int, symbol: str) -> None:
        """Watchlists."""
        path, body = f"/v2/watchlists/{self.lists[which % len(self.lists)]}", {"symbol": symbol, "symbols": [symbol]}
        if verb == "new":
            told = self.call("POST", "/v2/watchlists", {"name": f"list {which % 4}", "symbols": [symbol]})
            self.lists.append(told.get("id", "none"))
        elif verb == "symbol":
            self.call("DELETE", f"{path}/{quote(symbol, safe='')}")
        elif verb == "name":
            self.call("GET", "/v2/watchlists:by_name", name=f"list {which % 4}")
        else:
            self.call(verb, path, body)

    @rule(status=st.sampled_from(["open", "closed", "all"]), nested=st.booleans(), limit=st.sampled_from([1, 3, 500]),
          way=st.sampled_from(["asc", "desc"]), which=WHICH)  # fmt: skip
    def look(self, status: str, nested: bool, limit: int, way: str, which: int) -> None:
        """Lists, by every filter; one by each of its names."""
        words = {"status": status, "nested": str(nested).lower(), "limit": limit, "direction": way}
        told = self.call("GET", "/v2/orders", **words)
        assert len(told) <= limit
        submitted = [each["submitted_at"] for each in told]
        assert submitted == sorted(submitted, reverse=way == "desc", key=_instant)
        for each in told[:1]:
            at = each["submitted_at"]
            later, before = (self.call("GET", "/v2/orders", **words, **{w: at}) for w in ("after", "until"))
            assert all(_instant(o["submitted_at"]) > _instant(at) for o in later)
            assert all(_instant(o["submitted_at"]) < _instant(at) for o in before)
            again = self.call("GET", "/v2/orders:by_client_order_id", client_order_id=each["client_order_id"])
            assert again["id"] == each["id"]
        self.call("GET", f"/v2/orders/{self.some(which)}", nested=str(nested).lower())
        paths = ("account", "account/activities", "account/portfolio/history", "account/configurations", "clock",
                 "positions", "watchlists", "assets", "options/contracts")  # fmt: skip
        self.call("GET", f"/v2/{paths[which % len(paths)]}")

    @rule(path=st.sampled_from(["/v2/orders", "/v2/account/configurations", "/v2/watchlists", "/v2/orders/{}",
                                "/v2/positions/{}", "/v2/watchlists/{}"]),
          verb=st.sampled_from(["POST", "POST", "PATCH", "PUT", "DELETE"]), body=BODIES, which=WHICH)  # fmt: skip
    def nonsense(self, path: str, verb: str, body: Any, which: int) -> None:
        """Any JSON where an order belongs."""
        self.learn(self.call(verb, path.format(self.some(which)), body))

    @rule(path=st.sampled_from(["/v2/orders", "/v2/account/activities", "/v2/account/portfolio/history", "/v2/assets",
                                "/v2/options/contracts", "/v2/positions"]),
          words=st.dictionaries(st.sampled_from(["status", "limit", "after", "until", "direction", "nested", "symbols",
                                                 "side", "asset_class", "after_order_id", "before_order_id", "date",
                                                 "page_size", "page_token", "period", "timeframe", "start", "end",
                                                 "attributes", "type"]), QUERY, max_size=4))  # fmt: skip
    def asking(self, path: str, words: dict[str, str]) -> None:
        """Any words in a query."""
        self.call("GET", path, **words)

    # -- the world --

    @rule(symbol=st.sampled_from(list(MIDDLES)), away=AWAY, size=st.sampled_from([1.0, 2.0, 50.0, 1000.0]),
          trade=st.sampled_from([None, "buy", "sell"]))  # fmt: skip
    def tick(self, symbol: str, away: float, size: float, trade: str | None) -> None:
        """The market moves."""
        self._tick(symbol, MIDDLES[symbol] * (1 + away), size, trade)

    @rule()
    def still(self) -> None:
        """The market as it was, with much on both sides."""
        for symbol, px in MIDDLES.items():
            self._tick(symbol, px, 1000.0)

    @rule(seconds=st.sampled_from([0, 1, 61, 3600, 6 * 3600, 17 * 3600, 3 * 86_400, 12 * 86_400]))
    def advance(self, seconds: int) -> None:
        """Time passes: bells, expiries."""
        self.control(advance=seconds)

    @rule(words=st.sampled_from([
        {"halt": "AAPL"}, {"resume": "AAPL"}, {"luld": {"symbol": "AAPL", "seconds": 60}}, {"mwcb": 1},
        {"resume": "*"}, {"assign": {"symbol": CALL, "now": 1}}, {"bust": True}, {"correct": {"price": "3"}},
        {"external": {"symbol": "AAPL", "side": "sell", "qty": "1", "limit_price": "191"}},
        {"external": {"symbol": "MSFT", "side": "buy", "qty": "2", "position": 1}},
        {"fault": {"name": "reject", "count": 1}}, {"fault": {"name": "late-reject", "count": 1}},
        {"fault": {"name": "cancel-loses", "count": 1}}, {"asset": {"symbol": "MSFT", "shortable": False}},
    ]))  # fmt: skip
    def happen(self, words: dict[str, Any]) -> None:
        """Halts, assignments, busts, strangers, faults."""
        self.control(**words)

    # -- what holds --

    @invariant()
    def sound(self) -> None:
        """See the module's words."""
        if not hasattr(self, "venue"):
            return
        world = self.venue.world
        assert world is not None and world.counters["mishaps"] == 0
        ledgers, account = world.accounts, world.accounts[KEY]
        assert {each.id for each in account.orders.values() if each.open} == account.working.keys()
        for order in account.working.values():
            assert order.status not in PENDING, order
            at_venue = order.exchange_id in world.exchange._slots
            waits = any(each is order or order in each.legs for each in ledgers.waiting)
            assert at_venue or waits or (order.instrument is None and any(leg.open for leg in order.legs)), order
            if order.parent is not None:
                assert order in order.parent.legs, order
        for order in account.orders.values():
            if order.exchange_id in world.exchange._slots and ledgers.by_exchange[order.exchange_id] is order:
                assert order.open, order
            assert order.filled_qty <= order.size, order
            at = order.updated_at or order.submitted_at
            assert at >= order.submitted_at, order
            for word in TIMES:
                when = getattr(order, word)
                assert when is None or order.submitted_at <= when <= at, (word, order)
        stand = [fill for fill in account.fills if not fill.busted]
        cash = account.start + sum((amount for _, amount, _ in account.adjustments), Decimal(0))
        for fill in stand:
            cash -= fill.side * fill.qty * fill.price * exact(fill.instrument.multiplier) + fill.fee
            assert fill.ts >= fill.order.submitted_at
        assert cash == account.cash
        for shown in self.call("GET", "/v2/positions"):
            held = Decimal(shown["qty"])
            assert held and 0 <= Decimal(shown["qty_available"]) * (1 if held > 0 else -1) <= abs(held), shown

    def teardown(self) -> None:
        """Everything canceled: nothing is left, and the truth says what REST says."""
        if not hasattr(self, "venue"):
            return
        try:
            self.control(clear="*")
            self.cancel_all()
            assert self.call("GET", "/v2/orders", status="open", limit=500) == []
            self.still()
            assert self.call("GET", "/v2/orders", status="open", limit=500) == []
            self.sound()
            truth = self.venue.account()
            assert truth["open_orders"] == 0 and not [o for o in truth["orders"] if o["status"] in PENDING]
            shown = {each["symbol"]: each["qty"] for each in self.call("GET", "/v2/positions")}
            assert shown == {
                name.replace("/", "").replace(" ", ""): each["qty"] for name, each in truth["positions"].items()
            }
            assert self.call("GET", "/v2/account")["cash"] == truth["cash"]
        finally:
            self.stack.close()


def _instant(text: str) -> tuple[str, int]:
    """A time that sorts, to the nanosecond."""
    head, _, fraction = text.rstrip("Z").partition(".")
    return head, int(fraction.ljust(9, "0") or 0)


def test_every_verb_in_any_order() -> None:
    """The machine above."""
    many = settings(
        max_examples=400 if LONG else 25, stateful_step_count=60 if LONG else 25, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), derandomize=not LONG, print_blob=False,
        phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
    )  # fmt: skip
    if LONG:
        print(f"seed {SEED}")
        run_state_machine_as_test(seed(SEED)(Trading), settings=many)
    else:
        run_state_machine_as_test(Trading, settings=many)
