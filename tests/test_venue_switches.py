"""Every switch of docs/venue.md, turned on as it is written there, and what a client sees of it from outside.

A switch without its effect here fails a test, and so does a line of the table that cannot be written.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gpi.formats.instruments import equity, option
from gpi.tools.venue.faults import Faults
from gpi.tools.venue.switches import SWITCHES, parsed
from tests.venues import MONDAY, Ready, until, venue_here

CALL = "AAPL260116C00190000"
ROOT = Path(__file__).resolve().parents[1]
SILENCE_S = 0.3  # after which nothing more is expected
MINUTE = 60 * 10**9


class Wire:
    """A plain socket of JSON."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, **words: Any) -> None:
        """One message."""
        self.socket.send(json.dumps(words))

    def hear(self, seconds: float = 10.0) -> Any:
        """The next message; None when nothing comes, "closed CODE" when the other side has left."""
        try:
            return json.loads(self.socket.recv(seconds))
        except TimeoutError:
            return None
        except ConnectionClosed as wrong:
            return f"closed {wrong.rcvd.code if wrong.rcvd else 1006}"

    def rest(self) -> list[Any]:
        """What still comes until it is silent, or ends."""
        found = []
        while (said := self.hear(SILENCE_S)) is not None:
            found.append(said)
            if isinstance(said, str):
                break
        return found


class Cruel:
    """A quoted venue, and how to look at it."""

    def __init__(self, venue: Ready, open_: contextlib.ExitStack) -> None:
        self.venue, self._open = venue, open_

    def on(self, text: str) -> None:
        """Turn a switch on, written as on the command line."""
        name, words = parsed(text)
        self.venue.control(fault={"name": name, **words})

    def socket(self, path: str) -> Wire:
        """Connected, not let in."""
        return Wire(self._open.enter_context(connect(self.venue.ws + path, close_timeout=1)))

    def updates(self) -> Wire:
        """A listener to trade_updates."""
        wire = self.socket("/stream")
        wire.say(action="auth", key=self.venue.key_id, secret=self.venue.secret)
        wire.say(action="listen", data={"streams": ["trade_updates"]})
        assert [wire.hear()["stream"], wire.hear()["stream"]] == ["authorization", "listening"]
        return wire

    def data(self) -> Wire:
        """A reader of quotes and trades."""
        wire = self.socket("/v2/iex")
        wire.say(action="auth", key=self.venue.key_id, secret=self.venue.secret)
        wire.say(action="subscribe", quotes=["AAPL"], trades=["AAPL"], statuses=["AAPL"])
        assert [wire.hear()[0]["T"] for _ in range(3)] == ["success", "success", "subscription"]
        return wire

    def told(self, switch: str) -> list[Any]:
        """What a reader hears of two quotes after a switch."""
        wire = self.data()
        self.on(switch)
        for bid in (98, 97):
            self.venue.tick(bid=[bid, 100], ask=[101, 100])
        return wire.rest()

    def events(self, switch: str) -> list[Any]:
        """What a listener hears of one market order after a switch: pending_new, new, fill when all is well."""
        wire = self.updates()
        self.on(switch)
        assert self.venue.order().status_code == 200
        return [each if isinstance(each, str) else (each["data"] or {}).get("event") for each in wire.rest()]

    def status(self, order: Any) -> str:
        """How an order stands."""
        return str(self.venue.call("GET", f"/v2/orders/{order.json()['id']}").json()["status"])


@pytest.fixture
def cruel() -> Iterator[Cruel]:
    """A share and an option, quoted."""
    with venue_here([equity("AAPL"), option(CALL)]) as venue, contextlib.ExitStack() as opened:
        venue.tick(bid=[99, 1000], ask=[101, 1000], trade=[100, 1])
        venue.tick(CALL, bid=[3.1, 50], ask=[3.2, 50])
        yield Cruel(venue, opened)


def torn(cruel: Cruel, switch: str) -> None:
    """The answer never comes whole; the order exists."""
    cruel.on(switch)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        cruel.venue.order()
    assert len(cruel.venue.account()["orders"]) == 1


def hangs(cruel: Cruel) -> None:
    """No answer within the client's patience; with seconds=, a late one."""
    cruel.on("hang:count=1")
    body = {"symbol": "AAPL", "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{cruel.venue.url}/v2/orders", json=body, headers=cruel.venue.headers, timeout=0.3)
    cruel.on("hang:count=1,seconds=0.3")
    begun = time.monotonic()
    assert cruel.venue.order().status_code == 200 and time.monotonic() - begun >= 0.3


def storms(cruel: Cruel) -> None:
    """429 in each vendor's words, for so long."""
    cruel.on("storm:seconds=0.5")
    assert cruel.venue.call("GET", "/v2/clock").json()["code"] == 42910000
    polygon = requests.get(f"{cruel.venue.url}/v3/quotes/AAPL?apiKey={cruel.venue.secret}", timeout=10)
    assert polygon.status_code == 429 and polygon.json()["status"] == "ERROR"
    until(lambda: cruel.venue.call("GET", "/v2/clock").status_code == 200)


def slow(cruel: Cruel) -> None:
    """The answer takes its time."""
    cruel.on("slow:seconds=0.3,count=1")
    begun = time.monotonic()
    assert cruel.venue.call("GET", "/v2/clock").status_code == 200 and time.monotonic() - begun >= 0.3


def answered(switch: str, seen: Callable[[requests.Response], bool], path: str = "") -> Callable[[Cruel], None]:
    """What the answer to an order (or to GET path) looks like."""

    def effect(cruel: Cruel) -> None:
        cruel.on(switch)
        assert seen(cruel.venue.call("GET", path) if path else cruel.venue.order())

    return effect


def heard(switch: str, *said: Any) -> Callable[[Cruel], None]:
    """What a listener to trade_updates hears of an order."""

    def effect(cruel: Cruel) -> None:
        assert cruel.events(switch) == list(said)
        assert len(cruel.venue.account()["fills"]) == 1, "the truth is whole"

    return effect


def spoiled(switch: str, seen: Callable[[list[Any]], bool]) -> Callable[[Cruel], None]:
    """What a reader of market data hears of two quotes, item by item."""

    def effect(cruel: Cruel) -> None:
        messages = cruel.told(switch)
        items = [item for each in messages for item in (each if isinstance(each, list) else [each])]
        assert seen(items), items

    return effect


def rejects(cruel: Cruel) -> None:
    """200, and then rejected, on the stream and in the list."""
    wire = cruel.updates()
    cruel.on("reject:symbol=AAPL,count=1")
    assert cruel.status(cruel.venue.order()) == "rejected"
    assert [each["data"]["event"] for each in wire.rest()] == ["pending_new", "rejected"]


def late_rejects(cruel: Cruel) -> None:
    """PATCH 200; the new order is rejected, the old one works."""
    cruel.on("late-reject:count=1")
    old = cruel.venue.order(type="limit", limit_price=50)
    new = cruel.venue.call("PATCH", f"/v2/orders/{old.json()['id']}", {"limit_price": 51})
    assert (new.status_code, cruel.status(new), cruel.status(old)) == (200, "rejected", "new")


def cancel_loses(cruel: Cruel) -> None:
    """DELETE 204; the order fills."""
    cruel.on("cancel-loses:probability=1")
    made = cruel.venue.order(type="limit", limit_price=50)
    assert cruel.venue.call("DELETE", f"/v2/orders/{made.json()['id']}").status_code == 204
    assert cruel.status(made) == "filled"


def mute(cruel: Cruel) -> None:
    """Silent for good, but alive: it still answers a ping."""
    wire = cruel.updates()
    cruel.on("mute:place=stream.updates.send,count=1")
    cruel.venue.order()
    cruel.venue.order()
    assert wire.rest() == []
    assert wire.socket.ping().wait(5)


def delayed(cruel: Cruel) -> None:
    """The first message comes after all others."""
    wire = cruel.updates()
    cruel.on("delay:place=stream.updates.send,seconds=0.5,count=1")
    cruel.venue.order()
    assert [wire.hear()["data"]["event"] for _ in range(3)] == ["new", "fill", "pending_new"]


def auth_failed(cruel: Cruel) -> None:
    """Right keys are refused, once, on each wire."""
    for path, word in (("/v2/iex", 402), ("/stocks", "auth_failed")):
        wire = cruel.socket(path)
        wire.hear()
        cruel.on("auth-failed:place=stream.data.auth,count=1")
        wire.say(action="auth", key=cruel.venue.key_id, secret=cruel.venue.secret, params=cruel.venue.secret)
        said = wire.hear()[0]
        assert word in (said.get("code"), said.get("status"))
        assert str(wire.hear()).startswith("closed")
    cruel.data()


def too_many(cruel: Cruel) -> None:
    """406, and again while the half-dead slot is held; then not."""
    cruel.on("too-many:place=stream.data.connect,count=1,seconds=0.5")
    for code in (406, 406):
        wire = cruel.socket("/v2/iex")
        wire.say(action="auth", key=cruel.venue.key_id, secret=cruel.venue.secret)
        wire.hear()
        assert wire.hear()[0].get("code") == code
    time.sleep(0.6)
    cruel.data()
    cruel.on("too-many:place=stream.data.connect,vendor=polygon,count=1")
    other = cruel.socket("/stocks")
    other.hear()
    other.say(action="auth", params=cruel.venue.secret)
    assert other.hear()[0]["status"] == "max_connections"


def stops(switch: str, word: str) -> Callable[[Cruel], None]:
    """Told on the socket; an order waits; after its time it fills."""

    def effect(cruel: Cruel) -> None:
        wire = cruel.data()
        cruel.on(switch)
        cruel.venue.tick(bid=[99, 1000], ask=[101, 1000])
        assert word in [item.get("sc") for each in wire.rest() for item in each]
        waiting = cruel.venue.order()
        cruel.venue.tick(bid=[99, 1000], ask=[101, 1000])
        assert cruel.status(waiting) == "accepted"
        cruel.venue.control(advance=1000)
        cruel.venue.tick(bid=[99, 1000], ask=[101, 1000])
        cruel.venue.tick(bid=[99, 1000], ask=[101, 1000])
        assert cruel.status(waiting) == "filled"

    return effect


def resumes(cruel: Cruel) -> None:
    """Trading goes on at its time."""
    cruel.on("halt:symbol=AAPL")
    waiting = cruel.venue.order()
    cruel.on(f"resume:symbol=AAPL,at={MONDAY + MINUTE}")
    cruel.venue.tick(bid=[99, 1000], ask=[101, 1000], ts=MONDAY + MINUTE // 2)
    assert cruel.status(waiting) == "accepted"
    for late in (2, 3):
        cruel.venue.tick(bid=[99, 1000], ask=[101, 1000], ts=MONDAY + late * MINUTE)
    assert cruel.status(waiting) == "filled"


def skews(cruel: Cruel) -> None:
    """The clock and the header are wrong by the same; X-RateLimit-Reset keeps its distance from Date."""
    from email.utils import parsedate_to_datetime

    with venue_here(rate_limit=100) as venue:
        cruel = Cruel(venue, contextlib.ExitStack())
        found = []
        for seconds in (0, 3600):
            cruel.on(f"skew:seconds={seconds}")
            said = venue.call("GET", "/v2/clock")
            date = parsedate_to_datetime(said.headers["Date"]).timestamp()
            assert 0 < int(said.headers["X-RateLimit-Reset"]) - date <= 61
            found.append((date, said.json()["timestamp"]))
        assert 3590 < found[1][0] - found[0][0] < 3610 and found[0][1][:13] != found[1][1][:13]
        assert abs(found[0][0] - time.time()) < 60, "the headers tell the wall's time, whatever day is played"


def assigns(cruel: Cruel) -> None:
    """The short call is gone, the shares are, too, and the activity says why."""
    cruel.venue.order(qty=100)
    cruel.venue.order(CALL, "sell")
    cruel.on(f"assign:symbol={CALL},now=1")
    assert cruel.venue.call("GET", "/v2/positions").json() == []
    (said,) = cruel.venue.call("GET", "/v2/account/activities/OPASN").json()
    assert (said["net_amount"], said["symbol"]) == ("19000", CALL)


def busts(cruel: Cruel) -> None:
    """Told; the position and the activity are gone."""
    wire = cruel.updates()
    cruel.venue.order()
    cruel.on("bust:count=1")
    assert wire.rest()[-1]["data"]["event"] == "trade_bust"
    assert cruel.venue.call("GET", "/v2/positions").json() == []
    assert cruel.venue.call("GET", "/v2/account/activities").json() == []


def corrects(cruel: Cruel) -> None:
    """Told; the price is another everywhere."""
    wire = cruel.updates()
    made = cruel.venue.order()
    cruel.on("correct:price=100.5")
    said = wire.rest()[-1]["data"]
    assert (said["event"], said["price"]) == ("trade_correct", "100.5")
    assert cruel.venue.call("GET", f"/v2/orders/{made.json()['id']}").json()["filled_avg_price"] == "100.5"
    assert Decimal(cruel.venue.call("GET", "/v2/account").json()["cash"]) == Decimal("99899.5")


def external(cruel: Cruel) -> None:
    """An order and a position nobody here asked for."""
    wire = cruel.updates()
    cruel.on("external:symbol=AAPL,side=buy,qty=5")
    cruel.on("external:symbol=AAPL,side=buy,qty=2,position=1")
    assert "fill" in [each["data"]["event"] for each in wire.rest()]
    assert cruel.venue.call("GET", "/v2/positions/AAPL").json()["qty"] == "7"


EFFECTS: Final[dict[str, Callable[[Cruel], None]]] = {
    "status": answered("status:status=504,count=1", lambda r: r.status_code == 504 and "code" in r.json()),
    "hang": hangs,
    "reset": lambda cruel: torn(cruel, "reset:count=1"),
    "cut": lambda cruel: torn(cruel, "cut:count=1"),
    "html": answered("html:place=rest.account.get.after,status=502", lambda r: r.text[:6] == "<html>", "/v2/account"),
    "storm": storms,
    "slow": slow,
    "unknown-enum": answered("unknown-enum:count=1", lambda r: r.json()["status"] == "partially_held"),
    "extra-fields": answered("extra-fields", lambda r: "novelty" in r.json()),
    "reject": rejects,
    "late-reject": late_rejects,
    "cancel-loses": cancel_loses,
    "mute": mute,
    "drop": heard("drop:place=stream.updates.send,after=2,count=1", "pending_new", "new", "closed 1006"),
    "drop-after": heard("drop-after:place=stream.updates.sent,count=1", "pending_new", "closed 1006"),
    "close": spoiled("close:place=stream.data.send,code=1001,count=1", lambda said: said == ["closed 1001"]),
    "lose": heard("lose:place=stream.updates.send,count=1", "new", "fill"),
    "duplicate": heard("duplicate:place=stream.updates.send,count=1", "pending_new", "pending_new", "new", "fill"),
    "reorder": heard("reorder:place=stream.updates.send,count=1", "new", "pending_new", "fill"),
    "delay": delayed,
    "null-data": heard("null-data:count=1", None, "pending_new", "new", "fill"),
    "auth-failed": auth_failed,
    "too-many": too_many,
    "slow-client": spoiled("slow-client:count=1", lambda said: said[0]["code"] == 407 and said[1][:6] == "closed"),
    "nan": spoiled("nan:symbol=AAPL,value=inf,count=1", lambda said: said[0]["bp"] == float("inf")),
    "crossed": spoiled("crossed:symbol=AAPL,count=1", lambda said: said[0]["bp"] > said[0]["ap"]),
    "malformed": spoiled("malformed:count=1", lambda said: "bp" not in said[0] and said[1]["bp"] == 97),
    "wrong-time": spoiled("wrong-time:seconds=3600,count=1", lambda said: said[0]["t"][:13] > said[1]["t"][:13]),
    "unknown-type": spoiled("unknown-type:count=1", lambda said: "zz" in [each["T"] for each in said]),
    "not-array": spoiled("not-array:count=1", lambda said: said[0]["status"] == "?"),
    "spike": spoiled("spike:factor=1000,count=1", lambda said: said[0]["bp"] == 98_000),
    "halt": stops("halt:symbol=AAPL,seconds=30", "H"),
    "luld": stops("luld:symbol=AAPL,seconds=300", "P"),
    "mwcb": stops("mwcb:level=1", "H"),
    "resume": resumes,
    "skew": skews,
    "assign": assigns,
    "bust": busts,
    "correct": corrects,
    "external": external,
}


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_a_switch_does_what_it_says(cruel: Cruel, name: str) -> None:
    """Seen from outside; and the venue counts that it struck."""
    assert name in EFFECTS, f"{name} is a new switch: say here what a client sees of it"
    EFFECTS[name](cruel)
    if name != "skew":
        state = cruel.venue.state()
        struck = [each for each in state["faults"]["struck"] if each.startswith(f"{name}@")]
        assert struck or state["counters"].get(f"happened.{name}")
        assert state["counters"].get("mishaps", 0) == 0


def test_every_line_of_the_table_can_be_written() -> None:
    """docs/venue.md: each switch once, and its example is one that is understood."""
    text = (ROOT / "docs" / "venue.md").read_text()
    examples = re.findall(r"^\| `([a-z-]+(?::[^`]+)?)` \|", text.partition("| switch |")[2], re.MULTILINE)
    assert sorted(each.partition(":")[0] for each in examples) == sorted(SWITCHES)
    for each in examples:
        name, words = parsed(each)
        Faults(lambda: 0).set(name, **{key: MONDAY if value == "..." else value for key, value in words.items()})
