"""F30: a trader that holds something is ended, well or badly, and started again."""

from __future__ import annotations

import json
import sqlite3
import time
from decimal import Decimal
from typing import Any, Final

import pyarrow.parquet as pq

from gpi.formats.words import REASONS, REFUSE
from gpi.tools.chaos.cases.kills import SYMBOLS
from gpi.tools.chaos.desk import LOOSE, START_S, Desk
from gpi.tools.chaos.lab import Lab
from gpi.tools.chaos.processes import until
from gpi.tools.chaos.rows import Case, Row

LIVES: Final = 5  # restarts of a case
CENT: Final = Decimal("0.01")
RECONCILED: Final = "reconciled: "
FEES: Final = ("--fees", "auto")  # as the venue charges


def restarted(lab: Lab, case: Case) -> None:
    """Lives that end honestly, by kill -9, or so in mid-fill; what each made and what lay between adds up."""
    with Desk(lab, case, SYMBOLS[:4]) as desk:
        for symbol in desk.market.symbols:
            desk.market.quote(symbol)
        first = last = _equity(desk)
        profits = between = Decimal(0)
        began: Decimal | None = None
        for life in range(min(LIVES, case.units)):
            start = _begun(desk)
            if start is None:
                return
            between += start - last
            profit, last = _lived(desk, case, start, life)
            profits += profit
            began = _same_day(desk, began)
            for _ in range(case.dice.randrange(8)):
                desk.market.tick()
            desk.seen.count("restarts with positions", int(bool(desk.venue.account()["positions"])))
        start = _begun(desk)
        if start is None:
            return
        between += start - last
        profit, last = _lived(desk, case, start, -1)
        total = _equity(desk) - first
        off = abs(profits + profit + between - total)
        desk.seen.expect(off < CENT, f"the runs and what lay between make {profits + profit + between}, it is {total}")
        desk.judge()
        _limited(desk)


def _begun(desk: Desk) -> Decimal | None:
    """A trader, reconciled; the equity it begins with, which must be the venue's."""
    desk.start("Hoard", *FEES, every=2, hold_s=0.5)
    trader = desk.trader
    assert trader is not None
    if _reconciled(desk) is None or not trader.alive():
        desk.seen.violate("the trader does not start", desk.last_line())
        return None
    line = next(each for each in trader.said().splitlines() if RECONCILED in each)
    start = Decimal(line.split("equity ")[1].split(";")[0].replace(",", ""))
    truth = _equity(desk)
    desk.seen.expect(abs(start - truth) < CENT, f"begins with {start}, the venue has {truth}")
    return start


def _reconciled(desk: Desk) -> float | None:
    """Seconds until the newest trader has begun; the venue's time goes on meanwhile, its prices stand."""
    trader, market = desk.trader, desk.market
    assert trader is not None

    def begun() -> bool:
        market.quote(market.symbols[0], mid=market.mids[market.symbols[0]], tell=False)
        return RECONCILED in trader.said() or not trader.alive()

    return until(begun, START_S, 0.02)


def _lived(desk: Desk, case: Case, start: Decimal, life: int) -> tuple[Decimal, Decimal]:
    """Trades for a while and ends: (its profit, its equity at the end); of one killed it is all the venue's."""
    desk.trading()
    way = "honest" if life < 0 else case.dice.choice(("honest", "kill -9", "kill -9 in mid-fill"))
    _tick_for(desk, case.dice.uniform(0.2, 0.8))
    desk.seen.count(f"ends: {way}")
    if way == "honest":
        desk.finish()
        return _told(desk, start)
    if way != "kill -9":
        desk.venue.fault("delay", place="stream.updates.send", seconds=0.3)
        desk.market.tick(12)
    desk.crash()
    desk.venue.clear()
    equity = _equity(desk)
    return equity - start, equity


def _told(desk: Desk, start: Decimal) -> tuple[Decimal, Decimal]:
    """What an honest run says of itself, against the venue: cash and equity to the cent, profit from its start."""
    said: dict[str, Any] = json.loads((desk.run / "performance_metrics.json").read_text())
    account, equity = desk.venue.account(), _equity(desk)
    cash = Decimal(float(pq.read_table(desk.run / "equity.parquet", columns=["cash"])["cash"][-1].as_py()))
    truth = Decimal(account["cash"])
    seen = desk.seen
    seen.expect(abs(cash - truth) < CENT / 2, f"cash {cash:.4f}, the venue has {truth}")
    for name, wanted in (("start_equity", start), ("final_equity", equity), ("total_pnl", equity - start)):
        seen.expect(abs(Decimal(said[name]) - wanted) < CENT, f"{name} {said[name]:.4f}, the venue has {wanted}")
    assert desk.trader is not None
    seen.expect("the session is told" not in desk.trader.said(), "the cash had to be set right")
    seen.count("honest ends to the cent")
    return Decimal(said["total_pnl"]), equity


def _same_day(desk: Desk, began: Decimal | None) -> Decimal | None:
    """With what the day began, by the journal: no restart changes it."""
    with sqlite3.connect(f"file:{desk.journal}?mode=ro", uri=True) as db:
        rows = [Decimal(equity) for (equity,) in db.execute("SELECT equity FROM days ORDER BY day")]
    db.close()
    if not desk.seen.expect(bool(rows), "the journal does not know how the day began"):
        return began
    if began is not None and len(rows) == 1:
        desk.seen.expect(abs(rows[0] - began) < CENT, f"the day began with {began}, after a restart with {rows[0]}")
    return rows[0]


def _limited(desk: Desk) -> None:
    """A loss made before a restart counts after it: with a limit of half of it, nothing is bought."""
    held = {symbol: Decimal(each["qty"]) for symbol, each in desk.venue.account()["positions"].items()}
    if not held:
        desk.seen.count("nothing held at the last end")
        return
    for symbol in held:
        desk.market.quote(symbol, mid=desk.market.mids[symbol] - 5)
    began = _same_day(desk, None)
    lost = (began or Decimal(1)) - _equity(desk)
    if not desk.seen.expect(lost > 0, f"a fall of 5 of what is held lost {lost}"):
        return
    limit = lost / 2 / (began or Decimal(1))
    desk.limits.write_text(LOOSE.replace("daily_loss = 0.9", f"daily_loss = {float(limit):.12f}"))
    bought = _buys(desk)
    desk.start("Hoard", *FEES, every=1, qty=50)
    trader = desk.trader
    assert trader is not None
    _reconciled(desk)
    for _ in range(40):
        for symbol in desk.market.symbols:
            desk.market.quote(symbol, mid=desk.market.mids[symbol])
    time.sleep(0.2)
    desk.finish()
    desk.seen.expect(_buys(desk) == bought, "the day's loss was forgotten: it bought again")
    table = pq.read_table(desk.run / "orders.parquet", columns=["action", "reason"])
    actions, reasons = table["action"].to_numpy(), table["reason"].to_numpy()
    refused = {REASONS[int(code)] for code in reasons[actions == REFUSE]}
    desk.seen.expect("DAILY_LOSS" in refused, f"refused for {sorted(refused)}")
    desk.seen.count("limits kept over a restart")


def _buys(desk: Desk) -> int:
    return sum(order["side"] == "buy" for order in desk.venue.account()["orders"])


def _equity(desk: Desk) -> Decimal:
    return Decimal(desk.venue.account()["equity"])


def _tick_for(desk: Desk, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        desk.market.tick()
        time.sleep(0.004)


ROWS: Final = (
    Row(
        "F30",
        "a trader with positions ended and started again: honestly, by kill -9, by kill -9 in mid-fill",
        "I1-I5; begins with the venue's equity, ends with its cash and equity to the cent, profits and what lay between"
        " add up; the day's loss is not begun afresh",
        restarted,
        short=2 * LIVES,
        long=100,
        units=LIVES,
    ),
)
