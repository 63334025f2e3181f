"""What is true of the exchange behind the venue: requests in, events out, over the kernel that also backtests."""

from typing import Any

import pytest

from gpi.formats.instruments import Instruments, equity
from gpi.formats.words import ACCEPTED, CANCELED, DAY, EXPIRED, FILLED, GTC, IOC, LIMIT, MARKET, REJECTED, REPLACED
from gpi.tools.venue.exchange import Exchange, Request
from tests.trading import START, TICK, frame


def opened(fill: Any = "conservative", **quote: Any) -> Exchange:
    """An exchange with 50 bid at 1.00 and 50 offered at 1.02."""
    made = Exchange(Instruments([equity("AAA")]), fill=fill)
    made.tick(frame([{"ts": START, "bid": (100, 50), "ask": (102, 50), **quote}]))
    return made


def buy(qty: float, px: int | None = None, tif: int = GTC, side: int = 1, **more: Any) -> Request:
    """An order; prices in ticks."""
    return Request(
        0, side, MARKET if px is None else LIMIT, tif, qty, float("nan") if px is None else px * TICK, **more
    )


def told(made: Exchange) -> list[tuple[int, int, float]]:
    """(order id, action, qty) of what happened."""
    return [(e.order_id, e.action, e.qty) for e in made.events()]


def test_a_market_order_takes_what_is_offered_and_the_rest_expires() -> None:
    """50 are offered: 30 fill at once, of another 30 the last 20."""
    made = opened()
    assert (made.submit(buy(30.0, tif=IOC)), made.submit(buy(30.0, tif=IOC))) == (1, 2)
    assert told(made) == [(1, ACCEPTED, 30.0), (1, FILLED, 30.0), (2, ACCEPTED, 30.0), (2, FILLED, 20.0),
                          (2, EXPIRED, 30.0)]  # fmt: skip


def test_a_resting_order_can_be_cancelled_once() -> None:
    """The second cancel finds nothing; ids are never used again."""
    made = opened()
    order = made.submit(buy(5.0, 100))
    assert made.cancel(order)
    assert not made.cancel(order)
    assert told(made) == [(order, ACCEPTED, 5.0), (order, CANCELED, 5.0)]
    assert made.submit(buy(5.0, 100)) == order + 1


def test_a_trade_through_the_price_fills_and_last_tells_of_it() -> None:
    """A trade at 0.99 fills the bid at 1.00."""
    made = opened()
    order = made.submit(buy(5.0, 100))
    made.tick(frame([{"ts": START + 1, "trade": (-1, 99, 7, False)}]))
    assert told(made)[-1] == (order, FILLED, 5.0)
    assert made.last(0) == (START + 1, 99 * TICK, 7.0)
    assert made.now == START + 1


def test_paper_ignores_the_displayed_size_and_waits_for_a_market() -> None:
    """Before any quote the order waits; the first offer fills it, sixty of fifty offered."""
    made = Exchange(Instruments([equity("AAA")]), seed=3)
    order = made.submit(buy(60.0, tif=DAY))
    assert told(made) == [(order, ACCEPTED, 60.0)]
    market = {"bid": (100, 50), "ask": (102, 50)}
    made.tick(frame([{"ts": START + n, **market} for n in range(5)]))
    filled = made.events()
    assert sum(e.qty for e in filled) == 60.0
    assert {round(e.px / TICK) for e in filled} == {102}


def test_one_paper_fill_in_ten_is_partial_and_the_seed_repeats_it() -> None:
    """Of 1,000 orders about 100 fill in parts, the same ones every time."""

    def parts(seed: int) -> list[int]:
        made = Exchange(Instruments([equity("AAA")]), seed=seed)
        made.tick(frame([{"ts": START, "bid": (100, 50), "ask": (102, 50)}]))
        orders = [made.submit(buy(100.0, tif=IOC)) for _ in range(1000)]
        partial = {e.order_id for e in made.events() if e.action == EXPIRED}
        return [n for n in orders if n in partial]

    assert 70 < len(parts(1)) < 130
    assert parts(1) == parts(1) != parts(2)


@pytest.mark.parametrize("wrong", [buy(0.0, 100), buy(-1.0, 100), buy(float("nan"), 100), buy(1.0, 0), buy(1.0, 1, 99)])
def test_what_is_no_order_is_rejected(wrong: Request) -> None:
    """The event says so; nothing else changes."""
    made = opened()
    order = made.submit(wrong)
    assert [(e.order_id, e.action) for e in made.events()] == [(order, REJECTED)]
    assert not made.cancel(order)


def test_the_exchange_grows_with_its_orders_and_instruments() -> None:
    """A thousand orders and an instrument id that was never announced."""
    made = opened()
    orders = [made.submit(buy(1.0, 90)) for _ in range(1000)]
    made.tick(frame([{"ts": START + 5, "i": 40, "bid": (100, 50), "ask": (102, 50)}]))
    made.tick(frame([{"ts": START + 6, "trade": (-1, 80, 1000, False)}]))
    assert [e.order_id for e in made.events() if e.action == FILLED] == orders


def test_a_replacement_has_an_id_of_its_own_and_keeps_its_place_when_it_only_shrinks() -> None:
    """50 stand ahead of us, 10 trade: after shrinking 40 are ahead, after a new price and back 50 again."""
    made = opened()
    order = made.submit(buy(20.0, 100))
    made.tick(frame([{"ts": START + 1, "trade": (-1, 100, 10, False)}]))
    smaller = made.replace(order, qty=5.0)
    assert smaller is not None
    made.tick(frame([{"ts": START + 2, "trade": (-1, 100, 45, False)}]))
    assert told(made) == [(order, ACCEPTED, 20.0), (order, REPLACED, 5.0), (smaller, ACCEPTED, 5.0),
                          (smaller, FILLED, 5.0)]  # fmt: skip
    assert made.replace(smaller, qty=1.0) is None
    other = made.submit(buy(20.0, 99))
    assert (moved := made.replace(other, px=100 * TICK)) is not None
    made.tick(frame([{"ts": START + 3, "trade": (-1, 100, 45, False)}]))
    assert [e.order_id for e in made.events() if e.action == FILLED] == []
    assert made.cancel(moved)
