"""The account at a broker as a person names it: its keys, its number typed on a terminal, lines about it."""

from typing import TYPE_CHECKING

from gpi.cli.terminal import say
from gpi.tools.desk.account import Account

if TYPE_CHECKING:
    from gpi.tools.brokers.alpaca.rest import Keys


def found_keys(account: Account) -> tuple["Keys", str]:
    """(keys, host); from here on what this process makes is its owner's alone: journal, run directory, kill file.

    Raises UsageError for live keys with --paper, or paper keys with --live.
    """
    from gpi.cli.trading.keys import alpaca_keys
    from gpi.formats.errors import UsageError
    from gpi.formats.trust import secluded
    from gpi.tools.brokers.alpaca.rest import Keys, host, loopback

    secluded()
    url = host(account.real, account.url)
    found = alpaca_keys(url, account.key_file)
    start = found.key_id.reveal()[:2]
    if not loopback(url) and start == ("PK" if account.real else "AK"):
        raise UsageError(f"these are {'paper keys: --live needs live keys' if account.real else 'live keys: --live'}")
    return Keys(found.key_id, found.secret), url


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
