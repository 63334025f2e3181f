"""Options in the engine: fills inside the quote, expiries, cover, mixed fees; and recorded days to the cent."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gpi.formats.instruments import Instrument, Instruments, equity, index, option
from gpi.formats.ipc import writing
from gpi.formats.market.fees import SCHEDULES
from gpi.formats.market.settlement import ending
from gpi.formats.ticks import TICKS
from gpi.formats.words import (
    ACCEPTED,
    ACTIONS,
    CANCELED,
    DAY,
    FILLED,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MAKER,
    MARKET,
    REASONS,
    SECOND,
    SETTLED,
    TAKER,
)
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Rules, Setup, unlimited
from gpi.tools.backtest.traded import Traded, joined
from gpi.tools.stage import load, save
from gpi.tools.venue.exchange import Exchange, Request
from tests.data import shared
from tests.laws import same
from tests.naive.options import Leg, leg_price
from tests.shell import gpi
from tests.trading import INSTANT, TICK, frame, scripted

EXPIRY = date(2024, 6, 21)
CLOSE = ending("AAPL", EXPIRY).settled
CALL, PUT, SHARE = option("AAPL240621C00190000"), option("AAPL240621P00190000"), equity("AAPL")
TABLE = (CALL, PUT, SHARE)
QUOTES = {0: (400, 420), 1: (100, 140), 2: (19_350, 19_352)}  # cents
HOURS_BEFORE = CLOSE - 3 * 3600 * SECOND


def market(before: int = 6, after: int = 2, quotes: dict[int, tuple[int, int]] = QUOTES) -> list[dict[str, Any]]:
    """Quotes of all three in turn, a second apart: some hours before the close, then after it."""
    rows = [(HOURS_BEFORE, n) for n in range(before)] + [(CLOSE + SECOND, n) for n in range(after)]
    return [
        {
            "ts": start + n * SECOND + k * 1000,
            "i": k,
            "bid": (bid, 50 if k < 2 else 500),
            "ask": (ask, 50 if k < 2 else 500),
        }
        for start, n in rows
        for k, (bid, ask) in quotes.items()
    ]


def session(script: Any, table: tuple[Instrument, ...] = TABLE, **changes: Any) -> Session:
    """A session over the three of them, without limits, latency or fees unless told."""
    given = {"latency": INSTANT, "limits": unlimited(), **changes}
    return Session(Instruments(table).on(TICKS), Setup(scripted(script)[0], **given))


def ran(ticks: list[dict[str, Any]], script: Any, **changes: Any) -> Traded:
    """All that is traded, to the end."""
    trader = session(script, **changes)
    return joined([trader.step(frame(ticks)), trader.finish()])


def fills(traded: Traded) -> list[tuple[int, int, float, float, int]]:
    """(instrument, side, qty, px, liquidity) of every fill."""
    names = ("instrument_id", "side", "qty", "px", "liquidity")
    columns = [traded.fills[name].tolist() for name in names]
    return [(i, s, q, round(px, 4), kind) for i, s, q, px, kind in zip(*columns, strict=True)]


def identity(start: float, traded: Traded, table: tuple[Instrument, ...] = TABLE) -> Decimal:
    """Cash as the fills say, in decimals."""
    cash = Decimal(str(start))
    f = traded.fills
    for i, side, qty, px, fee in zip(
        *(f[n].tolist() for n in ("instrument_id", "side", "qty", "px", "fee")), strict=True
    ):
        cash -= side * Decimal(str(qty)) * Decimal(f"{px:.6f}") * Decimal(str(table[i].multiplier)) + Decimal(
            f"{fee:.6f}"
        )
    return cash


def test_an_order_fills_inside_the_quote_and_never_beyond_its_limit() -> None:
    """3/4 of 4.00 x 4.20 is 4.15 to buy, 4.05 to sell; a limit of 4.14 fails, 60 get what is shown."""
    script = {0: [(1, 1.0, 415, GTC), (-1, 1.0, 405, IOC), (1, 1.0, 414, IOC), (1, 60.0, None, IOC)]}
    got = ran(market(2, 0), script)
    assert fills(got) == [(0, 1, 1.0, 4.15, TAKER), (0, -1, 1.0, 4.05, TAKER), (0, 1, 49.0, 4.15, TAKER)]
    assert [ACTIONS[a] for a in got.orders["action"][got.orders["order_id"] == 3]] == ["submit", "accepted", "expired"]


def test_the_whole_spread_is_travelled_where_the_setting_says_so() -> None:
    """1.0 takes the far side, 0.5 the mid; alpaca-paper takes the far side whatever the setting."""
    script = {0: [(1, 1.0, None, IOC)]}
    for share, fill, px in ((1.0, "conservative", 4.2), (0.5, "conservative", 4.1), (0.5, "alpaca-paper", 4.2)):
        rules = Rules(fill, option_slippage=(share,))
        assert [row[3] for row in fills(ran(market(2, 0), script, rules=rules))] == [px]


def test_a_resting_order_fills_when_the_quote_passes() -> None:
    """A bid of 4.10 fills at its own price once 3/4 of the spread is no more, or at the offer if that is lower."""
    for quote, px in (((394, 412), 4.10), ((380, 400), 4.00), ((400, 415), None)):
        ticks = [*market(2, 0), {"ts": HOURS_BEFORE + 9 * SECOND, "i": 0, "bid": (quote[0], 50), "ask": (quote[1], 50)}]
        expected = [] if px is None else [(0, 1, 1.0, px, MAKER)]
        assert fills(ran(ticks, {0: [(1, 1.0, 410, GTC)]})) == expected


def test_fill_or_kill_looks_at_what_is_left_and_no_quote_fills_nothing() -> None:
    """Of 50 shown, 60 are killed; a trade fills nothing, nor does a quote without the side that is taken."""
    got = ran(market(2, 0), {0: [(1, 60.0, 420, FOK), (1, 50.0, 420, FOK)]})
    assert fills(got) == [(0, 1, 50.0, 4.15, TAKER)]
    ticks = market(2, 0)
    ticks += [{"ts": HOURS_BEFORE + 9 * SECOND, "i": 0, "trade": (-1, 300, 99.0, False)}]
    ticks += [{"ts": HOURS_BEFORE + 10 * SECOND, "i": 0, "bid": (400, 50), "ask": None}]
    assert fills(ran(ticks, {0: [(1, 1.0, 410, GTC)]})) == []


def test_a_long_call_in_the_money_becomes_shares_at_the_strike() -> None:
    """Two calls bought at 4.15 end at 193.51: 200 shares for 190; the put is worthless; the orders say settled."""
    got = ran(market(), {0: [(1, 2.0, None, IOC)], 1: [(1, 3.0, None, IOC)]})
    assert fills(got)[2:] == [(0, -1, 2.0, 0.0, 0), (2, 1, 200.0, 190.0, 0), (1, -1, 3.0, 0.0, 0)]
    told = got.orders["action"] == SETTLED
    assert got.orders["px"][told].tolist() == [0.0, 190.0, 0.0] and not got.orders["reason"][told].any()
    assert (np.diff(got.orders["ts_event"]) >= 0).all() and got.orders["ts_event"][told].min() == CLOSE
    cash = Decimal(1_000_000) - Decimal("4.15") * 200 - Decimal("1.30") * 300 - 190 * 200
    assert identity(1e6, got) == cash and Decimal(f"{got.equity['cash'][-1]:.2f}") == cash


def test_shorts_are_assigned_as_drawn() -> None:
    """All of ten short calls, or those that the seed draws where only some are exercised; the rest lapses."""
    script = {0: [(-1, 10.0, None, IOC)]}
    assert fills(ran(market(), script))[1:] == [(0, 1, 10.0, 0.0, 0), (2, -1, 1000.0, 190.0, 0)]
    some = {fills(ran(market(), script, rules=Rules(exercised=0.5), seed=seed))[-1][2] for seed in range(6)}
    assert len(some) > 1 and all(shares % 100 == 0 and shares < 1000 for shares in some)


def test_an_index_option_is_paid_in_cash() -> None:
    """SPXW at its index's last price; SPX the next morning, once the index has opened."""
    weekly, monthly = option("SPXW240621C05000000"), option("SPX240621C05000000")
    table = (weekly, monthly, index("SPX"))
    opened, end = ending("SPX", EXPIRY).settled, ending("SPXW", EXPIRY).settled
    quote = [{"i": k, "bid": (10_000, 9), "ask": (10_010, 9)} for k in (0, 1)]
    spot = [(opened - 20 * 3600 * SECOND, 508_000), (opened + 5 * SECOND, 510_000), (end - SECOND, 512_345), (end, 1)]
    ticks = [{**quote[k], "ts": spot[0][0] + n * SECOND + k} for n in range(2) for k in (0, 1)]
    ticks += [{"ts": opened + SECOND, **quote[0]}]
    ticks += [
        {"ts": ts + 3 * SECOND * (k == 0), "i": 2, "trade": (0, px, 1.0, False)} for k, (ts, px) in enumerate(spot)
    ]
    ticks.sort(key=lambda tick: tick["ts"])
    got = ran(ticks, {0: [(1, 1.0, None, IOC)], 1: [(1, 1.0, None, IOC)]}, table=table)
    assert fills(got)[2:] == [(1, -1, 1.0, 100.0, 0), (0, -1, 1.0, 123.45, 0)]


def test_without_its_underlying_an_option_is_paid_its_last_quote() -> None:
    """And the row says so."""
    got = ran([tick for tick in market() if tick["i"] < 2], {0: [(1, 1.0, None, IOC)]}, table=TABLE[:2])
    assert fills(got)[1:] == [(0, -1, 1.0, 4.1, 0)]
    assert [REASONS[r] for r in got.orders["reason"][got.orders["action"] == SETTLED]] == ["NO_UNDERLYING"]


def test_expiries_do_not_depend_on_the_cuts_and_survive_a_save() -> None:
    """Orders rest, are in flight and filled around the end: the same rows in any cut, and after save and load."""
    late = {"ts": CLOSE - SECOND // 1000, "i": 0, "bid": (400, 50), "ask": (420, 50)}
    ticks = sorted([*market(), late], key=lambda tick: tick["ts"])
    script = {0: [(1, 2.0, None, IOC), (-1, 1.0, 900, GTC)], 1: [(-1, 3.0, None, IOC)], 18: [(1, 1.0, None, IOC)]}
    delays = replace(INSTANT, order_ns=400_000, response_ns=2 * SECOND)
    whole = ran(ticks, script, latency=delays)
    assert "expired" in {ACTIONS[a] for a in whole.orders["action"]}
    for cut in range(1, len(ticks)):
        trader, rows = session(script, latency=delays), frame(ticks)
        first = trader.step(rows.slice(0, cut))
        trader.state = load(save(trader.state))
        trader._bind()
        again = joined([first, trader.step(rows.slice(cut, rows.rows)), trader.finish()])
        for a, b in zip(again, whole, strict=True):
            same(a, b, f"cut at {cut}")
    assert not whole.fills["position"][-1] or whole.fills["instrument_id"][-1] == 2


def refusals(script: Any, quotes: dict[int, tuple[int, int]] = QUOTES, **bounds: float) -> list[str]:
    """Reasons of everything that was refused."""
    limits = unlimited()
    for name, value in {"allow_naked_options": 0.0, **bounds}.items():
        limits[0][name] = value
    got = ran(market(4, 0, quotes), script, limits=limits)
    return [REASONS[r] for r in got.orders["reason"] if r]


def test_nothing_is_sold_naked_unless_allowed() -> None:
    """A call needs shares or another call, a put its strike in cash; the cover cannot be sold from under a short."""
    sell, buy = [(-1, 1.0, None, IOC)], [(1, 1.0, None, IOC)]
    assert refusals({0: sell}) == ["OPTION_RULES"]
    assert refusals({0: sell}, allow_naked_options=1.0) == []
    assert refusals({2: [(1, 100.0, None, IOC)], 3: sell}) == []
    assert refusals({2: [(1, 99.0, None, IOC)], 3: sell}) == ["OPTION_RULES"]
    assert refusals({1: sell}) == []  # a million in cash
    assert refusals({1: [(-1, 60.0, 1, GTC)]}) == ["OPTION_RULES"]
    assert refusals({0: buy, 3: sell, 6: sell}) == ["OPTION_RULES"]


def test_none_is_opened_in_its_last_hour_and_not_too_many() -> None:
    """Three hours before the end: a window of four refuses to open, not to close; five contracts at most."""
    assert refusals({0: [(1, 1.0, None, IOC)]}, option_expiry_s=4 * 3600.0) == ["OPTION_RULES"]
    assert refusals({0: [(1, 1.0, None, IOC)]}, option_expiry_s=2 * 3600.0) == []
    assert refusals({0: [(1, 6.0, None, IOC)], 3: [(1, 5.0, None, IOC)]}, max_contracts=5.0) == ["OPTION_RULES"]


def test_each_class_pays_its_own_fees() -> None:
    """A stream of shares and options: every fill by the schedule of what it is, settlements free."""
    script = {
        0: [(1, 2.0, None, IOC)],
        2: [(1, 50.0, None, IOC)],
        3: [(-1, 2.0, None, IOC)],
        5: [(-1, 50.0, None, IOC)],
    }
    got = ran(market(), script, schedule="auto")
    listed, share = SCHEDULES["alpaca_option"].at(EXPIRY), SCHEDULES["alpaca_equity"].at(EXPIRY)
    assert listed.clearing_per_share > 0 and len(fills(got)) == 4
    fee = dict(zip(got.fills["instrument_id"].tolist(), got.fills["fee"].tolist(), strict=True))
    sold = Decimal("193.50") * 50 * Decimal(str(share.sell_bps)) / 10_000
    assert fee[2] == pytest.approx(np.ceil(float(sold) * 100) / 100 + 0.01, abs=1e-9)  # section 31, and TAF
    assert fee[0] > 0.02
    assert Decimal(f"{got.equity['cash'][-1]:.4f}") == identity(1e6, got).quantize(Decimal("0.0001"))


LIMITS = """position_limit = 50.0
gross_exposure = 50.0
cash_reserve = 0.0
daily_loss = 1.0
price_collar = 1.0
stale_data_s = 100.0
order_rate_per_s = 200
max_open_orders = 200
allow_short = true
allow_naked_options = true
option_expiry_s = 3600
max_contracts = 1000
"""
PLAN = """from gpi.tools.strategies.view import View

PLAN = {}


class Planned:
    def __init__(self) -> None:
        self.left = dict(PLAN)

    def on_tick(self, view: View) -> None:
        if view.instrument_id in self.left and view.ts >= self.left[view.instrument_id][0] and view.phase == 1:
            if view.bid_px > 0 and view.ask_px > 0:
                _, side, qty = self.left.pop(view.instrument_id)
                (view.buy if side > 0 else view.sell)(qty)
"""
Bar = tuple[datetime, int, float, float]  # the minute, the instrument, bid and ask (a trade where both are the same)


def minutes(name: str, chosen: list[Instrument]) -> list[Bar]:
    """Quotes of some series at the end of each minute, from a recording."""
    table, found = pq.read_table(shared(name)), list[Bar]()
    for i, one in enumerate(chosen):
        if one.asset_class == "option":
            wanted = {"root": one.underlying, "expiry": one.expiry, "strike": one.strike, "right": one.right}
            mask = pc.equal(table["root"], one.underlying)
            for column in ("expiry", "strike", "right"):
                mask = pc.and_(mask, pc.equal(table[column], wanted[column]))
            found += [(r["ts"], i, r["bid_close"], r["ask_close"]) for r in table.filter(mask).to_pylist()]
    return found


def day_of_ticks(path: Path, bars: list[Bar], chosen: list[Instrument]) -> Path:
    """The bars as ticks at the last second of their minutes, in an Arrow file."""
    bars = sorted(bars)
    rows = [
        {"ts": nanoseconds(ts), "i": i, "trade": (0, round(bid * 100), 1.0, False)}
        if bid == ask
        else {
            "ts": nanoseconds(ts),
            "i": i,
            "bid": (round(bid * 100, 1), 99) if bid else None,
            "ask": (round(ask * 100, 1), 99) if ask else None,
        }
        for ts, i, bid, ask in bars
    ]
    with open(path, "wb") as file, writing(file.fileno(), Instruments(chosen).on(TICKS)) as writer:
        writer.write(frame(rows))
    return path


def nanoseconds(ts: datetime) -> int:
    """The last second of a minute."""
    return int(ts.timestamp() + 59) * SECOND


def planned_run(path: Path, source: Path, plan: dict[int, tuple[int, int, float]]) -> Path:
    """`gpi backtest` of a plan, instrument -> (from when, side, contracts), under limits that let it; verified."""
    (path / "risk.toml").write_text(LIMITS)
    (path / "planned.py").write_text(PLAN.replace("PLAN = {}", f"PLAN = {plan}"))
    run = path / "run"
    desk = f"backtest --strategy {path}/planned.py:Planned --limits {path}/risk.toml --fees zero --out {run}"
    gpi("run", f"replay {source} | {desk}", check=0)
    assert b"identical" in gpi("verify", run, check=0).stderr
    return run


def bought(bars: list[Bar], plan: dict[int, tuple[int, int, float]]) -> Decimal:
    """What a plan's fills cost, in decimals: the naive twin."""
    cost = Decimal(0)
    for i, (start, side, qty) in plan.items():
        bid, ask = next((b, a) for ts, k, b, a in sorted(bars) if k == i and nanoseconds(ts) >= start and b and a)
        leg = Leg(side, 1, Decimal(str(bid)), Decimal(str(ask)), 99)
        px = leg_price(leg, Decimal("0.75"), Decimal("0.01"))
        assert px is not None
        cost += side * Decimal(str(qty)) * 100 * px
    return cost


def test_a_week_of_spxw_from_quotes_to_cash(tmp_path: Path) -> None:
    """4 January 2021 by the index, which was recorded that day; the 6th and 8th by the options' own last quotes."""
    names = [
        "SPXW210104C03700000",
        "SPXW210104P03700000",
        "SPXW210106C03700000",
        "SPXW210108P03800000",
        "SPXW210111C03800000",
    ]
    chosen = [*map(option, names), index("SPX")]
    bars = minutes("opt_1m_quote_lean_index.parquet", chosen)
    spots = [(r["ts"], 5, r["close"], r["close"]) for r in pq.read_table(shared("idx_1m_SPX_lean.parquet")).to_pylist()]
    start = nanoseconds(datetime.fromisoformat("2021-01-04T15:00:00+00:00"))
    plan = {0: (start, 1, 2.0), 1: (start, -1, 1.0), 2: (start, 1, 1.0), 3: (start, -1, 3.0)}
    run = planned_run(tmp_path, day_of_ticks(tmp_path / "week.arrow", bars + spots, chosen), plan)

    cash = Decimal(1_000_000) - bought(bars, plan)
    close = [
        Decimal(f"{px:.2f}")
        for ts, _, px, _ in sorted(spots)
        if nanoseconds(ts) < ending("SPXW", date(2021, 1, 4)).settled
    ][-1]
    cash += 200 * max(Decimal(0), close - 3700) - 100 * max(Decimal(0), 3700 - close)
    for i, contracts in ((2, 100), (3, -300)):
        bid, ask = next((b, a) for _, k, b, a in sorted(bars, reverse=True) if k == i)
        cash += contracts * ((Decimal(str(bid)) + Decimal(str(ask))) / 2 if bid else 0)
    orders, equity_rows = pq.read_table(run / "orders.parquet"), pq.read_table(run / "equity.parquet")
    told = orders.filter(pc.equal(orders["action"], SETTLED))
    assert [REASONS[r] for r in told["reason"].to_pylist()] == ["", "", "NO_UNDERLYING", "NO_UNDERLYING"]
    assert Decimal(f"{equity_rows['cash'][-1].as_py():.2f}") == cash.quantize(Decimal("0.01"))
    assert equity_rows["exposure"][-1].as_py() == 0.0


def test_twx_is_delivered_to_the_cent(tmp_path: Path) -> None:
    """A condor of 5 June 2014 over its end on the 20th: shares at the strikes, priced as TWX was last heard."""
    names = [f"TWX140621{tail}" for tail in ("C00067500", "P00070000", "C00072500", "P00065000")]
    chosen = [*map(option, names), equity("TWX")]
    bars = minutes("opt_1m_quote_lean.parquet", chosen)
    table = pq.read_table(shared("eq_bars_1m_lean_misc.parquet"))
    rows = table.filter(pc.equal(table["symbol"], "TWX")).to_pylist()
    spots = [(r["ts"], 4, r["bid_close"] or r["close"], r["ask_close"] or r["close"]) for r in rows]
    start = nanoseconds(datetime.fromisoformat("2014-06-05T15:00:00+00:00"))
    plan = {0: (start, -1, 3.0), 1: (start, -1, 2.0), 2: (start, 1, 3.0), 3: (start, 1, 2.0)}
    run = planned_run(tmp_path, day_of_ticks(tmp_path / "twx.arrow", bars + spots, chosen), plan)

    end = ending("TWX", date(2014, 6, 21)).settled
    _, _, bid, ask = [row for row in sorted(spots) if nanoseconds(row[0]) < end and row[2] != row[3]][-1]
    close, cash, shares = (Decimal(str(bid)) + Decimal(str(ask))) / 2, Decimal(1_000_000) - bought(bars, plan), 0
    for i, (_, side, qty) in plan.items():
        call, strike = chosen[i].right == "C", Decimal(str(chosen[i].strike))
        if (close - strike if call else strike - close) >= Decimal("0.01"):
            moved = side * int(qty) * 100 * (1 if call else -1)
            shares, cash = shares + moved, cash - moved * strike
    fills_table, equity_rows = pq.read_table(run / "fills.parquet"), pq.read_table(run / "equity.parquet")
    last = fills_table.filter(pc.equal(fills_table["instrument_id"], 4))["position"].to_pylist()
    assert last and last[-1] == shares
    assert Decimal(f"{equity_rows['cash'][-1].as_py():.2f}") == cash


def test_an_option_heard_of_late_ends_when_it_ends() -> None:
    """SPX stops at 16:15 the evening before, between two bells of the day, also where its record is made that day."""
    table = (*(equity(f"S{k}") for k in range(5)), option("SPX240621C05000000"))
    stopped = ending("SPX", EXPIRY).last_trade
    ticks = [{"ts": stopped + n * 60 * SECOND, "i": 5, "bid": (10_000, 9), "ask": (10_010, 9)} for n in (-2, -1, 0, 1)]
    first = {"ts": stopped - 180 * SECOND, "i": 0, "bid": (1000, 9), "ask": (1001, 9)}
    got = ran([first, *ticks], {2: [(1, 1.0, 9_000, GTC)]}, table=table)
    assert [ACTIONS[a] for a in got.orders["action"]] == ["submit", "accepted", "expired"]
    assert got.orders["ts_event"][-1] == stopped


Lived = list[tuple[int, int, int, float, float, float]]
CHAINS = {
    "spxw": ("opt_1m_quote_lean_index.parquet", ["SPXW210106C03700000", "SPXW210108P03800000", "SPXW210111C03800000"]),
    "twx": ("opt_1m_quote_lean.parquet", ["TWX140621C00067500", "TWX140621P00070000", "TWX140621C00072500"]),
}


def quoted(name: str, symbols: list[str]) -> list[dict[str, Any]]:
    """Real quotes with their sizes, a tick a minute and series."""
    table, ticks = pq.read_table(shared(name)), list[dict[str, Any]]()
    for i, one in enumerate(map(option, symbols)):
        mask = pc.equal(table["root"], one.underlying)
        for column, value in (("expiry", one.expiry), ("strike", one.strike), ("right", one.right)):
            mask = pc.and_(mask, pc.equal(table[column], value))
        for r in table.filter(mask).to_pylist():
            sides = {
                side: (round(r[f"{side}_close"] * 100), r[f"{side}_size"])
                for side in ("bid", "ask")
                if r[f"{side}_close"]
            }
            ticks.append({"ts": nanoseconds(r["ts"]) + i, "i": i, "bid": None, "ask": None, **sides})
    return sorted(ticks, key=lambda tick: tick["ts"])[:1200]


def wishes(ticks: list[dict[str, Any]], seed: int) -> dict[int, list[Any]]:
    """Orders of every kind about the quotes, at random rows: (side, qty, px in cents or None, time in force)."""
    dice, script = np.random.default_rng(seed), dict[int, list[Any]]()
    whole = [row for row, tick in enumerate(ticks[:-1]) if tick["bid"] and tick["ask"]]  # the gate wants both sides
    for row in np.sort(dice.choice(whole, 250, replace=False)).tolist():
        bid, ask = ticks[row]["bid"][0], ticks[row]["ask"][0]
        tif = int(dice.choice([GTC, IOC, DAY, FOK]))
        px = None if dice.random() < 0.2 else int(max(5, bid + round((ask - bid) * dice.uniform(-0.3, 1.3))))
        script[row] = [(int(dice.choice([1, -1])), float(dice.integers(1, 60)), px, IOC if px is None else tif)]
    return script


def in_the_venue(ticks: list[dict[str, Any]], script: dict[int, list[Any]], symbols: list[str], fill: Any) -> Lived:
    """What the exchange behind `gpi venue` does with the same orders at the same rows."""
    made, rows = Exchange(Instruments(map(option, symbols)), fill=fill), frame(ticks)
    for row, tick in enumerate(ticks):
        made.tick(rows.slice(row, row + 1))
        for side, qty, px, tif in script.get(row, ()):
            kind, limit = (MARKET, float("nan")) if px is None else (LIMIT, px * TICK)
            made.submit(Request(tick["i"], side, kind, tif, qty, limit))
    return [(e.ts, e.order_id, e.action, e.qty, e.px, e.leaves) for e in made.events()]


@pytest.mark.parametrize("fill", ["conservative", "queue", "whole", "alpaca-paper"])
@pytest.mark.parametrize("chain", CHAINS)
def test_engine_and_venue_fill_the_same_orders_alike(chain: str, fill: str) -> None:
    """250 orders on real quotes: acceptances, fills and ends of the backtest are the venue's, row for row."""
    name, symbols = CHAINS[chain]
    ticks = quoted(name, symbols)
    script = wishes(ticks, 7)
    got = ran(ticks, script, table=tuple(map(option, symbols)), rules=Rules(fill), cash=1e12)
    names = ("ts_event", "order_id", "action", "qty", "px", "leaves")
    rows = list(zip(*(got.orders[each].tolist() for each in names), strict=True))
    lived = [row for row in rows if row[2] in range(ACCEPTED, FILLED + 1)]
    other = in_the_venue(ticks, script, symbols, fill)
    cancelled = [row[1] for row in lived[len(other) :]]  # what still stands is cancelled at the engine's end
    assert str(lived[: len(other)]) == str(other)  # NaN is NaN
    assert {row[2] for row in lived[len(other) :]} <= {CANCELED} and len(set(cancelled)) == len(cancelled)
    inside = [row for row in lived if row[2] == FILLED]
    assert len(inside) > 50
