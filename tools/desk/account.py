"""Which account at a broker is traded, and how: once, as options; the command line makes its flags of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from gpi.tools.desk.options import told


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Which account, and how: the options of a session that only a real broker needs."""

    real: bool = told(False, "Real money, with --broker and --account.", flag="--live")
    account: str | None = told(None, "The account number that --live trades; it is asked again.")
    url: str | None = told(None, "A venue on this machine instead of Alpaca (`gpi venue`).")
    key_file: Path | None = told(None, "Keys of the broker: TOML or JSON, mode 600.")
    journal: Path | None = told(None, "Order journal; else one per account, kept for good.")
    claim: list[str] | None = told(None, "Take this symbol's foreign position as ours; ALL; repeat.")
    take_over: bool = told(False, "Cancel the orders of a trader that is dead.", flag="--take-over")
    pace: float = told(1.0, "How many times as fast the --url venue plays.", least=1)
    kill_file: Path | None = told(None, "When this file appears: cancel everything, refuse the rest, exit 4.")

    def command(self, *words: str) -> str:
        """The command line that reaches the same account, as a shell takes it, and `words` after it."""
        where = ["--live", "--account", str(self.account)] if self.real else ["--paper"]
        paths = {
            "--url": self.url, "--key-file": self.key_file, "--journal": self.journal, "--kill-file": self.kill_file,
        }  # fmt: skip
        for name, value in paths.items():
            where += [] if value is None else [name, str(value)]
        return shlex.join(["gpi", "trade", "--broker", "alpaca", *where, *words])
