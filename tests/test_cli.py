"""The words: help, errors that name the fix, exit codes, config, completion."""

import subprocess
import sys
from pathlib import Path

import pytest

from gpi.cli.main import COMMANDS
from gpi.formats.version import __version__
from tests.shell import GPI, ROOT, gpi

pytestmark = pytest.mark.jit


def test_the_version_is_told() -> None:
    """`gpi --version` prints one line."""
    assert gpi("--version", check=0).stdout.decode() == f"gpi {__version__}\n"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    """`gpi NAME --help` shows what it does and a line to copy."""
    words = (
        [name, "--help"]
        if name not in ("index", "train")
        else [name, {"index": "match", "train": "tick"}[name], "--help"]
    )
    shown = " ".join(gpi(*words, check=0).stdout.decode().split())
    assert "Example: gpi" in shown


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["replay", "no/such/file.parquet"], 3, "no/such/file.parquet"),
        (["featurise"], 2, "featurize"),
        (["simulate", "--scenario", "calme"], 2, "calm"),
        (["simulate", "--symbols", "@tier9", "--events", "1"], 2, "@tier"),
        (["trade", "README.md"], 2, "--paper"),
        (["trade", "--paper", "README.md"], 3, "README.md"),
        (["run", "simulate --events 10 | trade --paper --strategy market_makin"], 2, "market_making"),
        (["run", "simulate --events 10 | backtest --param gama=1"], 2, "gamma"),
        (["run", "simulate --events 10 | embed"], 3, "featurize"),
        (["run", "simulate --events 10 | featurize | featurize"], 3, "twice"),
        (["run", "simulate --events 10 | simulate --events 10"], 2, "first"),
        (["run", "simulate --events 10 | doctor"], 2, "cannot stand in a pipeline"),
        (["run", "simulate --events 10 | | embed"], 2, "empty command"),
        (["run", "simulate --events 10", "--out", "x.txt"], 2, ".arrow"),
        (["replay", "README.md", "--speed", "fast"], 3, "README.md"),
        (["query", "selekt 1"], 2, "selekt"),
        (["verify", "no/run"], 2, "no/run"),
        (["index", "stats", "--bank", "no/bank"], 3, "no/bank"),
        (["--config", "no.toml", "doctor"], 2, "no.toml"),
        (["simulate", "--events", "nan"], 2, "finite"),
        (["run", "simulate --events 10 | trade --paper --order-ms nan"], 2, "finite"),
        (["run", "simulate --events 10 | trade --paper --cash nan"], 2, "finite"),
        (["run", "simulate --events 10", "--out", "/proc/x.arrow"], 1, "/proc/x.arrow"),
        (["run", "simulate --events 10 | backtest --out README.md"], 2, "README.md"),
    ],
)
def test_what_is_wrong_is_named_and_the_exit_code_says_what_kind(words: list[str], code: int, says: str) -> None:
    """One line on stderr that helps; never a traceback."""
    done = gpi(*words, check=code)
    message = done.stderr.decode()
    assert says in message
    assert "Traceback" not in message


def test_text_on_stdin_is_bad_input() -> None:
    """`cat ticks.csv | gpi featurize` is refused with exit 3."""
    assert b"not an Arrow stream" in gpi("featurize", stdin=b"a,b\n1,2\n" * 50, check=3).stderr


def test_nothing_on_stdin_blames_the_command_before() -> None:
    """An empty stdin means that the upstream failed."""
    assert b"the command before it" in gpi("featurize", stdin=b"", check=3).stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("position_limit = nan", "position_limit"),
        ("position_limitt = 0.1", "position_limit"),
        ("position_limit = -1", "position_limit"),
        ("position_limit = 0.1", "gross_exposure"),
    ],
    ids=["nan", "unknown", "negative", "missing"],
)
def test_limits_that_are_not_right_refuse_to_start(tmp_path: Path, text: str, says: str) -> None:
    """A missing, NaN, negative or unknown limit is named before the first tick."""
    limits = tmp_path / "risk.toml"
    limits.write_text(text + "\n")
    done = gpi("run", f"simulate --events 10 | trade --paper --limits {limits}", check=2)
    assert says in done.stderr.decode()


def test_a_config_sets_defaults_and_is_checked(tmp_path: Path) -> None:
    """A table per command; an unknown key is an error naming the nearest one."""
    config = tmp_path / "gpi.toml"
    config.write_text("[simulate]\nevents = 7\nlevels = 0\n")
    done = gpi("--config", config, "simulate", "--to", "csv", check=0)
    assert len(done.stdout.splitlines()) == 8
    config.write_text("[simulate]\nevnts = 7\n")
    assert b"did you mean 'events'" in gpi("--config", config, "simulate", check=2).stderr
    config.write_text("[simulat]\nevents = 7\n")
    assert b"did you mean 'simulate'" in gpi("--config", config, "simulate", check=2).stderr


def test_a_config_holds_inside_a_pipeline_too(tmp_path: Path) -> None:
    """`gpi run` gives its commands the same defaults as the shell pipe does."""
    config = tmp_path / "gpi.toml"
    config.write_text("[simulate]\nevents = 7\nlevels = 0\n")
    done = gpi("--config", config, "run", "simulate | featurize", "--to", "csv", check=0)
    assert len(done.stdout.splitlines()) == 8


def test_a_csv_without_rows_has_its_header() -> None:
    """No rows is an answer; no columns would not be."""
    done = gpi("simulate", "--events", "0", "--levels", "0", "--to", "csv", check=0)
    assert done.stdout.decode().startswith('"ts_event"') and len(done.stdout.splitlines()) == 1


def test_a_full_disk_is_one_line() -> None:
    """The system's own words, exit 1, no traceback."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*GPI, "simulate", "--events", "9"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT)
    assert done.returncode == 1
    assert b"No space left" in done.stderr and b"Traceback" not in done.stderr


def test_the_shell_can_complete_commands() -> None:
    """Completion knows the commands without loading them."""
    program = (
        "import os, sys\n"
        "os.environ |= {'_GPI_COMPLETE': 'complete_bash', 'COMP_WORDS': 'gpi fea', 'COMP_CWORD': '1'}\n"
        "from gpi.cli.main import app\nsys.argv = ['gpi']\napp(prog_name='gpi')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert "featurize" in done.stdout


def test_the_pipeline_loads_neither_pandas_nor_torch() -> None:
    """A whole fused run imports what it needs and no more."""
    program = (
        "import sys\nfrom gpi.cli.main import main\n"
        "try:\n    main(['run', 'simulate --events 500 | featurize | embed | trade --paper'])\n"
        "except SystemExit as done:\n    assert not done.code, done.code\n"
        "print([m for m in ('pandas', 'torch', 'sklearn', 'duckdb', 'faiss') if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT)
    message = done.stderr.decode()
    assert message.strip().splitlines()[-1] == "[]", message


def test_automatic_fees_follow_what_is_traded() -> None:
    """Shares, options or crypto, each by its schedule; a stream of several kinds instrument by instrument."""
    from gpi.formats.instruments import Instruments, crypto, equity, index, option
    from gpi.formats.ticks import TICKS
    from gpi.tools.backtest.setup import Setup
    from gpi.tools.desk.setting import fitted_fees
    from gpi.tools.stage import Stream
    from gpi.tools.strategies.loading import load

    setup = Setup(load("market_making"))

    def fees(*rows: object) -> object:
        return fitted_fees(setup, "auto", Stream(Instruments(rows).on(TICKS), iter(()))).schedule  # type: ignore[arg-type]

    assert fees(equity("SPY"), index("SPX")) == "alpaca_equity"
    assert fees(crypto("BTCUSDT")) == "binance_spot"
    assert fees(option("AAPL240621C00190000")) == "alpaca_option"
    assert fees(option("SPXW210104C03700000"), index("SPX")) == "alpaca_index_option"
    assert fees(equity("SPY"), crypto("BTCUSDT")) == "auto"
    assert fees(option("SPXW210104C03700000"), option("AAPL240621C00190000")) == "auto"


def test_runs_of_one_name_in_two_folders_stay_two(tmp_path: Path) -> None:
    """`run` in the views is the path below --runs, and adding to a lake that has rows is said."""
    for place in ("x", "y"):
        gpi("run", f"simulate --events 300 | backtest --out {tmp_path}/runs/{place}/day", check=0)
    told = gpi("query", "SELECT run FROM metrics ORDER BY run", "--runs", tmp_path / "runs", "--to", "csv", check=0)
    assert told.stdout.decode().split() == ['"run"', '"x/day"', '"y/day"']
    lake = f"{tmp_path}/lake/"
    assert b"held rows already" not in gpi("simulate", "--events", "50", "--out", lake, check=0).stderr
    assert b"held rows already" in gpi("simulate", "--events", "50", "--out", lake, check=0).stderr
