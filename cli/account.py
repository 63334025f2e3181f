"""Which account at a broker `gpi trade` works on: its keys, its options, its kill switch."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpi.cli.terminal import say

if TYPE_CHECKING:
    from gpi.tools.brokers.alpaca.rest import Keys


SETTLED_S = 12.0  # a little more than the longest that a request may take


@dataclass(frozen=True, slots=True)
class Account:
    """Which account, and how: the options of `gpi trade` that only a real broker needs."""

    live: bool = False
    number: str | None = None
    url: str | None = None
    key_file: Path | None = None
    journal: Path | None = None
    kill_file: Path | None = None
    claims: tuple[str, ...] = ()
    take_over: bool = False
    pace: float = 1.0

    def command(self, *words: str) -> str:
        """The command line that reaches the same account, as a shell takes it, and `words` after it."""
        import shlex

        where = ["--live", "--account", str(self.number)] if self.live else ["--paper"]
        told = {
            "--url": self.url,
            "--key-file": self.key_file,
            "--journal": self.journal,
            "--kill-file": self.kill_file,
        }
        for name, value in told.items():
            where += [] if value is None else [name, str(value)]
        return shlex.join(["gpi", "trade", "--broker", "alpaca", *where, *words])


def broker_terms(account: Account) -> Any:
    """The options as the broker takes them."""
    from gpi.tools.brokers.alpaca.wire import key
    from gpi.tools.brokers.startup import Terms as BrokerTerms

    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "gpi"
    return BrokerTerms(
        state,
        account.live,
        account.number,
        account.journal,
        account.kill_file,
        frozenset(map(key, account.claims)),
        account.take_over,
        rearm=account.command("--rearm"),
    )


def found_keys(account: Account) -> tuple["Keys", str]:
    """(keys, host); from here on what this process makes is its owner's alone: journal, run directory, kill file.

    Raises UsageError for live keys with --paper, or paper keys with --live.
    """
    from gpi.cli.keys import alpaca_keys
    from gpi.formats.errors import UsageError
    from gpi.formats.trust import secluded
    from gpi.tools.brokers.alpaca.rest import Keys, host, loopback

    secluded()
    url = host(account.live, account.url)
    found = alpaca_keys(url, account.key_file)
    start = found.key_id.reveal()[:2]
    if not loopback(url) and start == ("PK" if account.live else "AK"):
        raise UsageError(f"these are {'paper keys: --live needs live keys' if account.live else 'live keys: --live'}")
    return Keys(found.key_id, found.secret), url


def pull_kill(account: Account) -> None:
    """Kill from outside: the kill file, every order cancelled, trading suspended; returns when no order can follow.

    Raises VenueError if the broker did not confirm it.
    """
    from gpi.formats.errors import VenueError
    from gpi.formats.trust import private_folder
    from gpi.tools.brokers.alpaca.rest import Rest
    from gpi.tools.brokers.deadman import cancel, kill
    from gpi.tools.brokers.startup import kill_files
    from gpi.tools.brokers.switch import settled

    keys, url = found_keys(account)
    rest = Rest(keys, url)
    files = kill_files(rest, broker_terms(account), url)
    for path in files:
        private_folder(path.parent)
        path.touch(0o600)
        tell(f"killed: {path}")
    done = kill(rest)
    for path in files:
        if settled(path, SETTLED_S):
            tell(f"no order leaves any more, none is on its way ({path})")
        else:
            tell(f"the trader of {path} gives no sign (is it stopped?): it sends nothing new when it goes on")
    if not (done and cancel(rest, None)):  # once more: what was on its way at the first look has arrived
        raise VenueError("the broker did not confirm that every order is cancelled and trading suspended: look there")
    tell(
        f"every order is cancelled, and trading is suspended at the broker; this ends it: {account.command('--rearm')}"
    )


def release(account: Account) -> None:
    """A person says that it is over: the kill file and flag go, and the broker trades again."""
    from gpi.formats.errors import VenueError
    from gpi.tools.brokers.alpaca.rest import Rest
    from gpi.tools.brokers.deadman import suspend
    from gpi.tools.brokers.journal import Journal
    from gpi.tools.brokers.startup import journal_path, kill_file_of, number_of

    keys, url = found_keys(account)
    rest = Rest(keys, url)
    terms = broker_terms(account)
    journal = Journal(journal_path(terms, number_of(rest, terms), url))
    journal.lower_flag("kill")
    journal.commit()
    journal.close()
    kill_file_of(rest, terms, url).unlink(missing_ok=True)
    if not suspend(rest, False):
        raise VenueError("the broker did not lift the suspension: try again, or on its page")
    tell("armed again")


def typed(number: str) -> None:
    """Have the account number typed on the terminal. Raises UsageError where there is none, or another is typed."""
    from gpi.formats.errors import UsageError

    try:
        with open("/dev/tty", "w", encoding="utf-8") as asked:  # one file for both would have to be seekable
            asked.write("This trades real money. Type the account number to go on: ")
        with open("/dev/tty", encoding="utf-8") as answered:
            given = answered.readline().strip()
    except OSError:
        raise UsageError("--live asks for the account number on a terminal, and there is none") from None
    if given != number:
        raise UsageError("that is not the account of --account: nothing was sent")


def tell(line: str) -> None:
    """A line on stderr of `gpi trade`."""
    say(f"gpi trade: {line}", err=True)
