"""What `gpi trade --broker alpaca` does: a session on a live stream, whose orders go to a broker outside."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpi.cli import warming
from gpi.cli.io import Tool
from gpi.cli.trading.account import found_keys, tell, typed
from gpi.cli.trading.desk import tool
from gpi.tools.desk.account import Account
from gpi.tools.desk.options import Options

if TYPE_CHECKING:
    from gpi.formats.instruments import Instruments
    from gpi.tools.backtest.setup import Setup
    from gpi.tools.desk.broker import Broker


def live(options: Options, out: Path | None, account: Account) -> Tool:
    """The tool of `gpi trade --broker alpaca`. Raises UsageError for options that are not right."""
    from gpi.tools.desk.alpaca import checked, opened, paced
    from gpi.tools.desk.setting import setup_of

    checked(account, tell)
    if account.real:
        typed(str(account.account))
    paced(account)
    found_keys(account)  # now, not when the first tick comes: a missing key is known before the market opens
    setup = setup_of(replace(options, account_rules="alpaca"), external=True)
    warming.before_a_session(tell)
    charged = options.fees == "auto" or options.fees.startswith("alpaca")

    def opening(instruments: "Instruments", fitted: "Setup") -> "Broker":
        return opened(account, found_keys(account), instruments, fitted, charged, tell)

    return tool(setup, options.fees, opening, out, tell)


def switch(account: Account, kill: bool) -> None:
    """Pull the kill switch of an account, or release it. Raises VenueError if the broker did not confirm it."""
    from gpi.tools.desk.alpaca import pull_kill, release

    (pull_kill if kill else release)(account, *found_keys(account), tell)
