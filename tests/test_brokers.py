"""Orders at a venue: asked for once, told once, whatever the wire does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpi.formats.answers import CASH, POSITION, STATE
from gpi.formats.orders import ACCEPTED, CANCELED, FILLED
from tests.brokerage import Venue, trading

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


@pytest.fixture
def venue() -> Iterator[Venue]:
    made = Venue()
    yield made
    made.close()


def test_an_order_is_accepted_filled_and_told_once(venue: Venue, tmp_path: Path) -> None:
    """Cash and state first; then the life of an order."""
    with trading(venue, tmp_path) as client:
        assert client.hears(STATE).qty == 0
        assert client.heard(CASH)[0].px == 100_000.0
        order = client.new(px=100.01)
        client.hears(FILLED, order)
        resting = client.new(px=99.0)
        client.hears(ACCEPTED, resting)
        client.cancel(resting)
        client.hears(CANCELED, resting)
    assert [a.action for a in client.told if a.order_id == order] == [ACCEPTED, FILLED]
    assert venue.position("AAA") == 10
    assert venue.open_orders == 0
    assert not client.heard(POSITION)
    assert client.broker.failure is None
