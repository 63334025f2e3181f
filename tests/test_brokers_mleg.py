"""Orders of several option legs at a venue: one request, all legs or none, each leg told by its own id."""

import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gpi.formats.execution import NEW, STATE, WITHDRAW, Leg, OrderRequest
from gpi.formats.instruments import option
from gpi.formats.words import ACCEPTED, CANCELED, DAY, FILLED, LIMIT, MARKET, REASONS, REJECTED
from gpi.tools.brokers import families
from gpi.tools.brokers.alpaca.wire import Unsendable
from tests.brokerage import NAN, START_NS, Client, Venue, trading

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
LOW, HIGH = option("AAA251219C00100000"), option("AAA251219C00105000")


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue(more=(LOW, HIGH))
    made.tick(symbol=LOW.symbol, bid=[4.9, 50], ask=[5.1, 50])
    made.tick(symbol=HIGH.symbol, bid=[1.9, 50], ask=[2.1, 50])
    yield made
    made.close()


def spread(client: Client, px: float, units: float = 2.0, side: int = 1) -> tuple[int, int]:
    """Buy the low call and sell the high one, at a net debit; -1: the other way round."""
    n, client.next = client.next, client.next + 2
    low, high = (client.venue.instruments.named(each.symbol) for each in (LOW, HIGH))
    legs = (Leg(n, low.id, low.symbol, side, 1), Leg(n + 1, high.id, high.symbol, -side, 1))
    kind = MARKET if px != px else LIMIT
    client.broker.send([OrderRequest(NEW, START_NS, n, low.id, low.symbol, 0, kind, DAY, units, px, legs=legs)])
    return n, n + 1


def held(client: Client) -> tuple[Decimal, Decimal]:
    """What our executions add up to."""
    expected = client.broker.engine.blotter.expected
    return expected.get(LOW.symbol.replace(" ", ""), Decimal(0)), expected.get(HIGH.symbol.replace(" ", ""), Decimal(0))


def test_a_spread_is_one_request_and_its_legs_fill_by_their_own_ids(venue: Venue, tmp_path: Path) -> None:
    """Opened at a debit, closed at a credit: intents by what is held, positions at the end as the venue's."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        for side, px, there in ((1, 3.3, (2, -2)), (-1, -2.7, (0, 0))):
            for leg in spread(client, px, side=side):
                client.hears(ACCEPTED, leg)
                assert client.hears(FILLED, leg).leaves == 0
            assert held(client) == there
        client.until(lambda: not client.broker.engine.blotter.open, 15.0)
        tops = [o for o in venue.account["orders"] if o["symbol"] == ""]
        assert [o["client_order_id"][-2:] for o in tops] == ["1m", "3m"]
        rows = client.broker.journal.rows("SELECT count(*), count(broker_id) FROM orders")
        assert rows == [(6, 6)]
    assert not any("EXTERNAL" in line for line in client.said) and not client.heard(REJECTED)
    assert venue.position(LOW.symbol.replace(" ", "")) == 0


def test_a_spread_that_waits_is_cancelled_whole(venue: Venue, tmp_path: Path) -> None:
    """WITHDRAW names the first leg; each leg's end is told."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        legs = spread(client, 1.0)
        for leg in legs:
            client.hears(ACCEPTED, leg)
        client.broker.send([OrderRequest(WITHDRAW, START_NS, legs[0], 0, LOW.symbol)])
        for leg in legs:
            client.hears(CANCELED, leg)
    assert venue.open_orders == 0


@pytest.mark.parametrize("fault", ["status", "reset", "drop"])
def test_a_spread_whose_reply_is_lost_is_found_with_its_legs(venue: Venue, tmp_path: Path, fault: str) -> None:
    """Once at the venue, its fills once here."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        words: dict[str, Any] = {"status": 504} if fault == "status" else {}
        words |= {"place": "stream.updates.send"} if fault == "drop" else {}
        venue.fault(fault, count=1, **words)
        for leg in spread(client, NAN):
            client.hears(FILLED, leg, 15.0)
        client.until(lambda: not client.broker.engine.holds.blocks and held(client) == (2, -2))
    assert len([o for o in venue.account["orders"] if o["symbol"] == ""]) == 1
    assert not any("EXTERNAL" in line for line in client.said)


def test_a_spread_that_is_refused_is_refused_by_leg(venue: Venue, tmp_path: Path) -> None:
    """By the account (no money), and here (half a unit)."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        for units, why in ((5_000.0, "BUYING_POWER"), (0.5, "MALFORMED")):
            for leg in spread(client, 3.3, units):
                assert REASONS[client.hears(REJECTED, leg).reason] == why
    assert not venue.account["fills"]


def test_a_trader_that_starts_again_cancels_a_spread_of_its_former_life(venue: Venue, tmp_path: Path) -> None:
    """Nothing of it is somebody else's."""
    with trading(venue, tmp_path) as client:
        client.hears(STATE)
        client.hears(ACCEPTED, spread(client, 1.0)[1])
        client.broker.engine.clerk.stop = lambda *_: None  # type: ignore[method-assign]
        os.kill(client.broker._man.pid, signal.SIGKILL)
    assert venue.open_orders > 0
    with trading(venue, tmp_path) as client:
        client.hears(STATE, seconds=15.0)
        assert venue.open_orders == 0 and not any("EXTERNAL" in line for line in client.said)


@pytest.mark.parametrize(
    "px, sent", [(3.3, "3.30"), (1.239, "1.23"), (-0.05, "-0.05"), (-0.051, "-0.06"), (0.1 + 0.2, "0.30")]
)
def test_a_net_price_is_never_more_aggressive_than_asked(px: float, sent: str) -> None:
    """A debit is rounded down, a credit up."""
    legs = (Leg(1, 3, LOW.symbol, 1, 1), Leg(2, 4, HIGH.symbol, -1, 1))
    request = OrderRequest(NEW, START_NS, 1, 3, LOW.symbol, 0, LIMIT, DAY, 1.0, px, legs=legs)
    assert families.combination(request, "id", {})["limit_price"] == sent
    with pytest.raises(Unsendable):
        families.combination(request._replace(legs=legs[:1]), "id", {})
