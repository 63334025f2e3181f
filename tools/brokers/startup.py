"""How a trader begins: whose account it is, whose orders stand in it, what a former life has left behind."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from gpi.formats.errors import GpiError, RiskBreach, UsageError, VenueError
from gpi.formats.execution import OrderRequest
from gpi.formats.trust import private_folder
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.rest import Reply, Rest, loopback
from gpi.tools.brokers.blotter import IN_KIND, Blotter
from gpi.tools.brokers.dues import Dues
from gpi.tools.brokers.executions import ZERO, Execution
from gpi.tools.brokers.guards import SKEW_BLOCK_S, SKEW_WARN_S, skew
from gpi.tools.brokers.journal import FEE, Journal, owner
from gpi.tools.brokers.life import DONE, UNKNOWN, Life
from gpi.tools.brokers.looks import told_time
from gpi.tools.brokers.switch import Switch

ORDERS: Final = "SELECT client_id, ask, request, broker_id, state FROM orders"
EXECUTIONS: Final = "SELECT execution_id, ts, qty, px, cumulative, source, busted FROM executions WHERE client_id = ?"
CLOCK_TRIES: Final = 3
OTHER_DAY_S: Final = 86_400.0
SAME_DAY_NS: Final = 48 * 3_600_000_000_000  # executions of the day, and of the one before, in New York
BEFORE_NS: Final = 60 * 1_000_000_000


@dataclass(frozen=True)
class Terms:
    """How an account is traded. `folder`: where its journal lives, unless `journal` names it."""

    folder: Path
    live: bool = False
    account: str | None = None  # what the person typed; must be the broker's
    journal: Path | None = None
    kill_file: Path | None = None
    claims: frozenset[str] = frozenset()  # symbol keys, or ALL
    take_over: bool = False
    rearm: str = "gpi trade --broker alpaca --paper --rearm"  # the command that ends a kill of this account
    attested: Mapping[str, Any] = field(default_factory=dict)  # code, configuration and limits, as accepted
    patience_s: float = 5.0
    grace_s: float = 10.0
    every_s: tuple[float, float] = (5.0, 30.0)
    charged: bool = False  # fees are Alpaca's own, and told with each fill
    stale_s: float = math.inf  # how old a decision may be when it is to be sent, where the broker's clock is ours


@dataclass
class Opened:
    """An account that may be traded, and what was left in it."""

    account: str
    journal: Journal
    switch: Switch
    blotter: Blotter
    leftovers: list[Life]
    since_ns: int
    clock_ns: int  # the broker's time when it was opened
    warnings: list[str]
    own_time: bool = False  # a venue that replays another day: its clock and its ticks are not of now


def open_account(rest: Rest, terms: Terms, url: str) -> Opened:
    """Raises UsageError, RiskBreach or VenueError, each with the way out, where nothing may be traded."""
    account = str(identified(rest, terms)["account_number"])
    asked(rest, "/account/configurations", "suspend_trade", False, terms)
    path = journal_path(terms, account, url)
    warnings: list[str] = []
    if terms.journal is None:
        private_folder(terms.folder, warnings.append, tighten=True)
    switch = Switch(_kill_file(terms, path))
    if switch.pulled:
        switch.effective()
        raise RiskBreach(f"the kill file {switch.file} is still there; this removes it: {terms.rearm}")
    try:
        journal = Journal(path, warnings.append)
    except BaseException:
        switch.effective()
        raise
    try:
        journal.check()
        if journal.flag("kill"):
            raise RiskBreach(f"the kill switch was pulled; when it is over: {terms.rearm}")
        told, clock_ns = clocks(rest, loopback(url))
        warnings += told
        _nobody_else(rest, account, journal, terms)
        leftovers = former(journal)
        since = since_ns(journal, leftovers, clock_ns)
        journal.begin_run(time.time_ns(), account, url, dict(terms.attested))
        dues = charged(journal, terms.charged, clock_ns)
        blotter = Blotter(f"{owner(account)}{journal.id}-", partial(recalled, journal), dues)
        blotter.expected, blotter.fees = believed(journal), unpaid(journal)
    except BaseException:
        journal.close()
        switch.effective()
        raise
    own_time = abs(clock_ns - time.time_ns()) > OTHER_DAY_S * 1e9
    return Opened(account, journal, switch, blotter, leftovers, since, clock_ns, warnings, own_time)


def journal_path(terms: Terms, account: str, url: str) -> Path:
    """Where the orders of an account are kept; a venue on this machine has its own, by port."""
    if terms.journal is not None:
        return terms.journal
    place = "" if "alpaca.markets" in url else "-" + url.rpartition(":")[2].strip("/")
    return terms.folder / f"orders-{account}{place}.sqlite"


def _kill_file(terms: Terms, journal: Path) -> Path:
    return terms.kill_file or journal.with_suffix(".kill")


def number_of(rest: Rest, terms: Terms) -> str:
    """The account number, for those who do not trade. Raises as `identified`, but for a suspended account."""
    return str(identified(rest, terms, suspended=True)["account_number"])


def kill_file_of(rest: Rest, terms: Terms, url: str) -> Path:
    """The file whose appearance kills this account's trader."""
    named = terms.kill_file is not None or terms.journal is not None
    return _kill_file(terms, journal_path(terms, "" if named else number_of(rest, terms), url))


def kill_files(rest: Rest, terms: Terms, url: str) -> list[Path]:
    """`kill_file_of`; where the broker does not tell its account, those of every account traded at this host."""
    try:
        return [kill_file_of(rest, terms, url)]
    except GpiError:
        return [_kill_file(terms, path) for path in terms.folder.glob(journal_path(terms, "*", url).name)]


def identified(rest: Rest, terms: Terms, suspended: bool = False) -> dict[str, Any]:
    """The broker's account object. Raises UsageError for refused keys or another account than was typed."""
    reply = rest.call("GET", "/account")
    if reply.status in (401, 403):
        raise UsageError("the broker refuses the key: paper keys are for --paper, live keys for --live")
    if reply.status != 200 or not isinstance(reply.body, dict) or not reply.body.get("account_number"):
        raise VenueError(f"the broker does not tell its account: {reply.message}")
    found: dict[str, Any] = reply.body
    if terms.account is not None and terms.account != found["account_number"]:
        raise UsageError(f"--account {terms.account} is not the account of this key: nothing was sent")
    for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user"):
        if found.get(name) is True and not suspended:
            raise RiskBreach(f"the broker says {name}; ask Alpaca, or, when it is over: {terms.rearm}")
    return found


def asked(rest: Rest, path: str, name: str, wanted: Any, terms: Terms) -> None:
    """Raise RiskBreach where trading is suspended at the broker."""
    reply = rest.call("GET", path)
    if isinstance(reply.body, dict) and name in reply.body and reply.body[name] != wanted:
        raise RiskBreach(f"trading is suspended at the broker; when it is over: {terms.rearm}")


def clocks(rest: Rest, local: bool) -> tuple[list[str], int]:
    """(warnings, the broker's time in ns). Raises VenueError when the clocks are more than a second apart.

    A venue on this machine may keep the time of what it replays, days away; only smaller differences are errors there.
    """
    for _ in range(CLOCK_TRIES):
        reply: Reply = rest.call("GET", "/clock")
        if told := told_time(reply.body):
            break
    else:
        raise VenueError("the broker does not tell its time: nothing is traded by a clock that cannot be compared")
    apart = skew(told, reply.sent, reply.back)
    if abs(apart) > OTHER_DAY_S and local:
        return ["the venue keeps a time of its own"], told
    if abs(apart) > SKEW_BLOCK_S:
        raise VenueError(f"this clock is {-apart:.3f} s ahead of the broker's: set it, then start again")
    if abs(apart) > SKEW_WARN_S:
        return [f"this clock is {-apart * 1000:.0f} ms ahead of the broker's"], told
    return [], told


def _nobody_else(rest: Rest, account: str, journal: Journal, terms: Terms) -> None:
    """Raises UsageError where open orders carry the tag of a trader with another journal."""
    reply = rest.call("GET", "/orders", {"status": "open", "limit": 500})
    if reply.status != 200 or not isinstance(reply.body, list):
        raise VenueError(f"the broker does not list its open orders: {reply.message}")
    foreign = [
        row for row in reply.body
        if isinstance(row, dict)
        and str(row.get("client_order_id")).startswith(owner(account))
        and not str(row.get("client_order_id")).startswith(f"{owner(account)}{journal.id}-")
    ]  # fmt: skip
    if foreign and not terms.take_over:
        raise UsageError(
            f"another trader's orders are open in this account, such as {foreign[0]['client_order_id']}: "
            "one trader per account. If it is dead: --take-over cancels them"
        )
    for row in foreign:
        rest.call("DELETE", f"/orders/{row.get('id')}")


def former(journal: Journal) -> list[Life]:
    """Orders of former runs whose end is not in the journal: to be looked up by id, and cancelled."""
    rows = journal.rows(f"{ORDERS} WHERE state NOT IN ('done', 'refused')")
    found = {row[0]: _life(journal, row, mute=True, state=UNKNOWN, withdrawing=True) for row in rows}
    for leg in list(found.values()):
        whole = (leg.body or {}).get("leg_of")
        if whole and whole not in found:  # it has ended, and is there for its legs
            row = journal.first(f"{ORDERS} WHERE client_id = ?", whole)
            found[whole] = _life(journal, row, mute=True, state=DONE)
        if whole:
            found[whole].legs.append(leg)
            leg.top = found[whole]
    return list(found.values())


def recalled(journal: Journal, client_id: str, broker_id: str) -> Life | None:
    """An order of this run that has ended and was forgotten, by either id; None where there is none."""
    query = f"{ORDERS} WHERE epoch = ? AND state IN ('done', 'refused') AND "
    row = journal.first(query + "client_id = ?", journal.epoch, client_id) if client_id else None
    if row is None and broker_id:
        row = journal.first(query + "broker_id = ?", journal.epoch, broker_id)
    return None if row is None else _life(journal, row, state=row[4]).over()


def _life(journal: Journal, row: Any, **more: Any) -> Life:
    """An order as the journal has it, with its executions."""
    client_id, request, sent, broker_id, _ = row
    was = OrderRequest(**json.loads(request))
    body = json.loads(sent) or {}
    qty = wire.number(body.get("qty")) or Decimal(str(was.qty))
    combined = body.get("order_class") == "mleg"
    life = Life(was, client_id, body, qty, combined=combined, broker_id=broker_id or "", **more)
    for each in journal.rows(EXECUTIONS, client_id):
        qty, px, cumulative = map(Decimal, each[2:5])
        life.executions.add(Execution(each[0], each[1], qty, px, cumulative, each[5]))
        if each[6]:
            life.executions.bust(each[0])
    return life


def since_ns(journal: Journal, leftovers: list[Life], clock_ns: int) -> int:
    """From when on executions may be missing."""
    if leftovers:
        return min([life.request.ts_event for life in leftovers] + [clock_ns]) - BEFORE_NS
    last = journal.first("SELECT max(ts) FROM executions")[0]
    return int(last) if last else clock_ns - BEFORE_NS


def believed(journal: Journal) -> dict[str, Decimal]:
    """Positions by symbol key that our executions and claims add up to."""
    found: dict[str, Decimal] = {}
    query = "SELECT e.symbol, o.side, e.qty FROM executions e JOIN orders o USING (client_id) WHERE NOT e.busted"
    moves = [(symbol, side * Decimal(qty)) for symbol, side, qty in journal.rows(query)]
    moves += [(symbol, Decimal(qty)) for symbol, qty in journal.rows("SELECT symbol, qty FROM claims")]
    for symbol, qty in moves:
        found[wire.key(symbol)] = found.get(wire.key(symbol), ZERO) + qty
    return found


def unpaid(journal: Journal) -> dict[str, Decimal]:
    """By symbol key: coins that the broker may yet keep as its fee of all that was bought."""
    query = "SELECT e.symbol, e.qty FROM executions e JOIN orders o USING (client_id) WHERE NOT e.busted AND o.side > 0"
    found: dict[str, Decimal] = {}
    for symbol, qty in journal.rows(query):
        if "/" in symbol:
            found[wire.key(symbol)] = found.get(wire.key(symbol), ZERO) + IN_KIND * Decimal(qty)
    for symbol, qty in journal.rows("SELECT symbol, qty FROM claims WHERE why = ?", FEE):
        found[symbol] = found.get(symbol, ZERO) + Decimal(qty)
    return found


def charged(journal: Journal, by_alpaca: bool, clock_ns: int) -> Dues:
    """The dues of a run: what the executions of the last day or two were charged counts towards their days' sums."""
    dues = Dues(by_alpaca)
    query = (
        "SELECT e.symbol, e.ts, o.side, e.qty, e.px FROM executions e JOIN orders o USING (client_id)"
        " WHERE e.ts >= ? ORDER BY e.ts"
    )
    for symbol, ts, side, qty, px in journal.rows(query, clock_ns - SAME_DAY_NS) if by_alpaca else ():
        dues.before(symbol, ts, side, Decimal(qty), Decimal(px))
    return dues


def write(journal: Journal, blotter: Blotter, now_ns: int) -> None:
    """What the blotter has learned, as rows of the journal (durable with the next commit)."""
    work = blotter.work()
    for life, execution in work.executions:
        journal.executed(life.client_id, life.request.symbol, execution)
    for life, execution_id in work.amended:
        if execution_id in life.executions.busted:
            journal.busted(execution_id)
        for each in life.executions.standing():
            if each.execution_id == execution_id:
                journal.amended(execution_id, each.qty, each.px)
    for life in work.touched:
        journal.changed(life.client_id, life.state, life.broker_id or None, life.executions.filled, now_ns)
