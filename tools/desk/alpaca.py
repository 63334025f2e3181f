"""Alpaca as the broker of a session: what will trade attested, the account reconciled, the kill switch from outside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import xxhash

import gpi.tools
from gpi.formats.errors import UsageError, VenueError
from gpi.formats.frame import Frame
from gpi.formats.instruments import Instruments
from gpi.formats.trust import private_folder
from gpi.formats.version import __version__
from gpi.tools.backtest.manifest import as_dict
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Setup
from gpi.tools.backtest.traded import Traded
from gpi.tools.brokers.alpaca.broker import Alpaca
from gpi.tools.brokers.alpaca.rest import LIVE, Keys, Rest, host
from gpi.tools.brokers.alpaca.wire import key
from gpi.tools.brokers.deadman import cancel, kill, suspend
from gpi.tools.brokers.guards import Guards
from gpi.tools.brokers.journal import Journal
from gpi.tools.brokers.startup import Terms, journal_path, kill_file_of, kill_files, number_of
from gpi.tools.brokers.switch import settled
from gpi.tools.desk.account import Account

SETTLED_S: Final = 12.0  # a little more than the longest that a request may take

Say = Callable[[str], None]


class AlpacaBroker(Alpaca):
    """Alpaca, with what a desk asks of a broker beside (`gpi.tools.desk.broker.Broker`)."""

    def whose(self) -> Mapping[str, str]:
        """Whose account it is, and where."""
        return {"account": self.account, "url": self.url}

    def step(self, session: Session) -> Callable[[Frame], Traded]:
        """The session's own step: answers come between two frames."""
        return session.step

    def ended(self) -> Mapping[str, Any]:
        """Whether cash is the word of the end, the orders that are unknown, the failure in words."""
        return {"parted": self.parted, "unknown": self.unknown(), "failure": str(self.failure or "")}

    def first_words(self) -> list[str]:
        """What the account holds."""
        cash, equity = self.cash
        return [f"reconciled: cash {cash:,.2f}, equity {equity:,.2f}; trading"]

    def last_words(self, cash: float) -> list[str]:
        """The broker's figures beside the session's, orders that are unknown, odd things met."""
        theirs, equity = self.cash
        apart = round(float(theirs) - float(cash), 2) + 0.0  # never -0.00
        when = "" if self.parted else " as it last said, before the end"
        lines = [
            f"broker{when}: cash {theirs:,.2f}, equity {equity:,.2f}; the session's cash is {apart:+,.2f} away from it"
        ]
        lines += [
            f"UNKNOWN at the broker: {each['client_order_id']} {each['symbol']}, {each['filled']} of "
            f"{each['qty']} filled as far as is known: look there"
            for each in self.unknown()
        ]
        odd = ", ".join(f"{name} {count:,}" for name, count in self.counts().items())
        return [*lines, f"met on the way: {odd}"] if odd else lines


def checked(account: Account, say: Say) -> None:
    """Raise UsageError for options of an account that do not go together; a rehearsal is told."""
    if account.real:
        if not account.account:
            raise UsageError("--live trades real money: say which account with --account NUMBER")
        if host(True, account.url) != LIVE:
            say(f"a rehearsal: everything that --live asks for, but the orders go to {account.url}")


def paced(account: Account) -> None:
    """Raise UsageError for a pace without a venue that could keep it."""
    if account.pace != 1.0 and account.url is None:
        raise UsageError("--pace is for a venue that replays a day: give its --url, too")


def opened(
    account: Account, keys: tuple[Keys, str], instruments: Instruments, setup: Setup, charged: bool, say: Say
) -> AlpacaBroker:
    """The broker, reconciled and ready; what will trade is said and journaled first.

    `keys`: with the host that they are for. `charged`: fees are Alpaca's own. Raises what `Alpaca.open` raises.
    """
    facts = attested(setup)
    limits = ", ".join(f"{name} {value:g}" for name, value in facts["limits"].items())
    say(f"attested: code {facts['code'][:16]}, configuration {facts['config'][:16]}, {keys[1]}; limits: {limits}")
    told = replace(broker_terms(account), attested=facts, stale_s=facts["limits"]["stale_data_s"], charged=charged)
    broker = AlpacaBroker(keys[0], keys[1], instruments, told, say, Guards.at(account.pace))
    broker.open()
    return broker


def attested(setup: Setup) -> dict[str, Any]:
    """What will trade: a digest of this program's sources and of the configuration, and the limits themselves."""
    root = Path(gpi.tools.__path__[0]).parent
    sources = xxhash.xxh3_128()
    for room in ("cli", "formats", "tools"):
        for path in sorted((root / room).rglob("*.py")):
            sources.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    told = as_dict(setup)
    config = xxhash.xxh3_128(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    return {"gpi": __version__, "code": sources.hexdigest(), "config": config, "limits": told["limits"]}


def broker_terms(account: Account) -> Terms:
    """The options as the broker takes them."""
    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "gpi"
    return Terms(
        state,
        account.real,
        account.account,
        account.journal,
        account.kill_file,
        frozenset(map(key, account.claim or ())),
        account.take_over,
        rearm=account.command("--rearm"),
    )


def pull_kill(account: Account, keys: Keys, url: str, say: Say) -> None:
    """Kill from outside: the kill file, every order cancelled, trading suspended; returns when no order can follow.

    Raises VenueError if the broker did not confirm it.
    """
    rest = Rest(keys, url)
    files = kill_files(rest, broker_terms(account), url)
    for path in files:
        private_folder(path.parent)
        path.touch(0o600)
        say(f"killed: {path}")
    done = kill(rest)
    for path in files:
        if settled(path, SETTLED_S):
            say(f"no order leaves any more, none is on its way ({path})")
        else:
            say(f"the trader of {path} gives no sign (is it stopped?): it sends nothing new when it goes on")
    if not (done and cancel(rest, None)):  # once more: what was on its way at the first look has arrived
        raise VenueError("the broker did not confirm that every order is cancelled and trading suspended: look there")
    say(f"every order is cancelled, and trading is suspended at the broker; this ends it: {account.command('--rearm')}")


def release(account: Account, keys: Keys, url: str, say: Say) -> None:
    """A person says that it is over: the kill file and flag go, and the broker trades again.

    Raises VenueError if the broker did not lift the suspension.
    """
    rest = Rest(keys, url)
    terms = broker_terms(account)
    journal = Journal(journal_path(terms, number_of(rest, terms), url))
    journal.lower_flag("kill")
    journal.commit()
    journal.close()
    kill_file_of(rest, terms, url).unlink(missing_ok=True)
    if not suspend(rest, False):
        raise VenueError("the broker did not lift the suspension: try again, or on its page")
    say("armed again")
