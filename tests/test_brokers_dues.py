"""One truth about fees: after any fills, in any pieces and over any restarts, the session's cash is the broker's."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpi.formats.execution import CASH, DAY, NEW, POSITION, STATE, ExecutionReport, OrderRequest
from gpi.formats.instruments import KEY, Instrument, Instruments, crypto, equity, index, option
from gpi.formats.market.accruals import Accrual, charged_as
from gpi.formats.market.calendar import day_of
from gpi.formats.market.fees import SCHEDULES
from gpi.formats.ticks import ticks
from gpi.formats.words import FILLED
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Terms
from gpi.tools.brokers.dues import Dues
from gpi.tools.brokers.executions import STREAM, Execution
from gpi.tools.brokers.journal import Journal
from gpi.tools.brokers.standing import Standing
from gpi.tools.brokers.startup import charged
from gpi.tools.venue.accounts.account import Account, Fill
from gpi.tools.venue.accounts.charges import Charges
from gpi.tools.venue.accounts.orders import Order
from tests.naive import fees as naive
from tests.trading import frame, setup

ROWS = Instruments(
    [
        equity("AAA"), equity("BBB"), equity("PENNY"), option("AAA   261218C00100000"), option("AAA   261218P00090000"),
        option("SPXW  261218C06000000"), crypto("BTC/USD"),
    ]
)  # fmt: skip
PRICES = {"AAA": 103, "BBB": 412, "PENNY": 0.37, "BTC/USD": 91_234}
ERAS = [
    date(2024, 6, 20),
    date(2025, 5, 12),
    date(2025, 12, 30),
    date(2026, 4, 2),
    date(2026, 6, 29),
    date(2026, 9, 29),
]
"""Days around which a schedule changes; each case goes on for some days from there."""


def fills(seed: int, count: int) -> list[tuple[Instrument, int, int, Decimal, Decimal]]:
    """(instrument, ts, side, qty, px), most of them pieces of an order, over a few days of every era."""
    dice, found = random.Random(seed), list[tuple[Instrument, int, int, Decimal, Decimal]]()
    days = [era + timedelta(n) for era in ERAS for n in range(4)]
    while len(found) < count:
        day = days[len(found) * len(days) // count]
        row, side = ROWS[dice.randrange(len(ROWS))], dice.choice((1, -1))
        at = datetime(day.year, day.month, day.day, 14, tzinfo=UTC) + timedelta(seconds=dice.randrange(20_000))
        for _ in range(dice.choice((1, 1, 2, 5))):
            qty = dice.choice((1, 2, 7, 100, 1_313, 90_000)) if row.asset_class == "equity" else dice.choice((1, 3, 40))
            size = Decimal(qty) / (1_000 if row.asset_class == "crypto" else 1)
            if row.asset_class == "equity" and dice.random() < 0.1:
                size = Decimal(dice.randrange(1, 10**9)) / 10**6  # a fraction of a share
            px = PRICES.get(row.symbol, 5) * dice.uniform(0.9, 1.1)
            found.append((row, int(at.timestamp() * 1e9), side, size, Decimal(repr(round(px, dice.choice((2, 4)))))))
    return found[:count]


def restarted(dues: Dues, done: list[tuple[Instrument, int, int, Decimal, Decimal]], dice: random.Random) -> Dues:
    """The dues of another run: what came before is counted again, in any order."""
    again = Dues()
    again.announced(ROWS)
    before = done[-2_000:]
    dice.shuffle(before)
    for row, ts, side, qty, px in before:
        again.before(row.symbol, ts, side, qty, px)
    return again


@pytest.mark.parametrize("restarts", [0, 40])
def test_the_sessions_cash_is_the_brokers_after_ten_thousand_fills(restarts: int) -> None:
    """To the cent after every one, in pieces, in shares, options and coins, over days and changes of the schedules."""
    dice = random.Random(restarts)
    account = Account("key", "id", "PA1", Decimal(10**9), 0)
    charges, dues = Charges("alpaca"), Dues()
    dues.announced(ROWS)
    order = Order.__new__(Order)
    schema = ticks(0).with_metadata({KEY.encode(): ROWS.to_json().encode()})
    session = Session(schema, setup({}, external=True, terms=Terms.announced(ROWS)))
    session.hear([ExecutionReport(0, CASH, px=1e9), ExecutionReport(0, STATE)])
    done = fills(7, 10_000)
    wakes = frame([{"ts": ts, "bid": (100, 9), "ask": (102, 9)} for _, ts, *_ in done])
    stops = set(dice.sample(range(len(done)), restarts))
    for n, (row, ts, side, qty, px) in enumerate(done):
        if n in stops:
            dues = restarted(dues, done[:n], dice)
        fee = charges.fee("key", row, ts, side, 2, qty, px)
        account.book(Fill(str(n), ts, order, row, side, qty, px, fee, Decimal(0), qty))
        said = dues.charge(row.symbol, side, Execution(str(n), ts, qty, px, qty, STREAM))
        assert said == fee
        told = ExecutionReport(ts, FILLED, 10**6 + n, row.id, side, float(qty), float(px), 0.0, float(said))
        session.hear([told])
        session.step(wakes.slice(n, n + 1))
        assert abs(Decimal(float(session.account.cash)) - account.cash) < Decimal("0.001")
    assert round(float(session.account.cash), 2) == round(float(account.cash), 2)
    assert abs(float(session.account.fees) - float(account.fees)) < 0.001


def test_a_days_charges_are_its_sums_rounded_up_whoever_adds_them() -> None:
    """Against the plain decimals of the tests: per kind and class, whatever the order of the fills."""
    done = fills(3, 2_000)
    shuffled = done.copy()
    random.Random(1).shuffle(shuffled)
    wanted = Decimal(0)
    for kind in ("equity", "option", "crypto"):
        for day in sorted({day_of(ts) for _, ts, *_ in done}):
            mine = [each for each in done if each[0].asset_class == kind and day_of(each[1]) == day]
            if kind == "crypto":
                fees = SCHEDULES["alpaca_crypto"].at(day)
                wanted += sum((naive.charge(fees, s < 0, False, q, q * p) for _, _, s, q, p in mine), Decimal(0))
                continue
            sums = [Decimal(0)] * 4
            for row, _, side, qty, px in mine:
                fees = SCHEDULES[charged_as(row)].at(day)
                *daily, clearing = naive.kinds(fees, side < 0, qty, qty * px * Decimal(repr(row.multiplier)))
                sums = [one + more for one, more in zip(sums, daily, strict=True)]
                wanted += naive.up(clearing)
            wanted += sum(map(naive.up, sums), Decimal(0))
    for each in (done, shuffled):
        accrual = Accrual()
        paid = sum((accrual.fee(row, ts, side, 2, qty, px) for row, ts, side, qty, px in each), Decimal(0))
        assert abs(paid - wanted) < Decimal("0.00001")  # coins, to nine places each


def test_who_is_charged_by_what() -> None:
    """Coins by Alpaca's tiers at Alpaca, options that end in cash without section 31, an index by nothing."""
    rows = (
        equity("AAA"),
        option("AAA   261218C00100000"),
        option("SPXW  261218C06000000"),
        crypto("BTC/USD"),
        index("SPX"),
    )
    wanted = ["alpaca_equity", "alpaca_option", "alpaca_index_option", "alpaca_crypto", "zero"]
    assert [charged_as(row) for row in rows] == wanted


def test_a_symbol_that_the_stream_does_not_carry_is_known_by_its_spelling() -> None:
    """What another stream's run traded today counts as well."""
    dues = Dues()
    assert dues.row("ETH/USD").asset_class == "crypto" and dues.row("ZZZ").asset_class == "equity"
    assert dues.row("AAA261218C00100000").multiplier == 100.0


def test_a_fill_counts_for_the_day_it_happened() -> None:
    """One heard of late, after midnight in New York, adds to the sums of its own day."""
    noon = int(datetime(2026, 2, 3, 17, tzinfo=UTC).timestamp() * 1e9)
    accrual, row = Accrual(), equity("AAA")
    first = accrual.fee(row, noon, -1, 2, Decimal(1), Decimal(10))
    tomorrow = accrual.fee(row, noon + 86_400 * 10**9, -1, 2, Decimal(1), Decimal(10))
    late = accrual.fee(row, noon + 1, -1, 2, Decimal(1), Decimal(10))
    assert (first, tomorrow, late) == (Decimal("0.01"), Decimal("0.01"), Decimal(0))


def test_a_restart_goes_on_with_the_sums_of_the_day(tmp_path: Path) -> None:
    """The journal knows what was executed: a second cent is charged when the day's sum reaches it, not sooner."""
    noon = int(datetime(2026, 2, 3, 17, tzinfo=UTC).timestamp() * 1e9)
    journal = Journal(tmp_path / "orders.sqlite")
    journal.begin_run(1, "PA1", "http://here", {})
    request = OrderRequest(NEW, noon, 1, 0, "AAA", -1, qty=1.0)
    journal.intend("gpi-PA1-1", request, {}, noon)
    journal.executed("gpi-PA1-1", "AAA", Execution("e1", noon, Decimal(1), Decimal(10), Decimal(1), STREAM))
    journal.commit()
    more = Execution("e2", noon + 1, Decimal(1), Decimal(10), Decimal(1), STREAM)
    assert charged(journal, True, noon + 2).charge("AAA", -1, more) == Decimal(0)
    assert Dues().charge("AAA", -1, more) == Decimal("0.01")
    assert charged(journal, False, noon + 2).charge("AAA", -1, more) is None
    journal.close()


def test_positions_are_not_cash() -> None:
    """A position told between two fills leaves the cash as it was."""
    session = Session(frame([]).layout.schema, setup({}, external=True))
    session.hear([ExecutionReport(0, CASH, px=100.0), ExecutionReport(0, POSITION, instrument_id=0, qty=3.0, px=2.0)])
    assert session.account.cash == 100.0 and session.account.equity == 106.0


def test_a_session_is_told_of_its_own_symbols_and_begins_the_day_without_the_rest() -> None:
    """Ten of A, which it trades, and two of B, which it does not know until it is announced."""
    row = SimpleNamespace(multiplier=1.0)
    blotter = SimpleNamespace(dues=SimpleNamespace(spent=Decimal(0), row=lambda key: row))
    standing = Standing(blotter, lambda line: None)  # type: ignore[arg-type]
    standing.cash, standing.ids = Decimal(1000), {"A": 0}
    standing.held = {"A": (Decimal(10), Decimal(5)), "B": (Decimal(2), Decimal(50))}
    standing.marks = {"A": Decimal(6), "B": Decimal(60)}
    cash, position, day = standing.begin(7, None)
    assert (cash.action, cash.px) == (CASH, 1000.0)
    assert (position.action, position.instrument_id, position.qty, position.fee, position.leaves) == (
        POSITION,
        0,
        10,
        6,
        0,
    )
    assert (day.action, day.px) == (DAY, 1060.0)  # 1,180 in all, less what it does not know
    standing.announced({"A": 0, "B": 1})
    (late,) = standing.told
    assert (late.instrument_id, late.qty, late.leaves, late.fee) == (
        1,
        2,
        2,
        60,
    )  # its worth is neither profit nor loss
