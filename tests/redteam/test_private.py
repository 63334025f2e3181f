"""What tells of orders is for its owner alone: every file and folder that a session leaves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpi.tools.brokers.journal import BESIDE, Journal
from tests.brokerage import Venue
from tests.test_trade_cli import keys, trader, venue  # noqa: F401


@pytest.fixture
def loose() -> Iterator[None]:
    """The usual umask: others may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def shared(folder: Path) -> list[str]:
    """What group or others may do anything with."""
    return [f"{path} {mode:o}" for path in folder.rglob("*") if (mode := path.stat().st_mode & 0o777) & 0o077]


@pytest.mark.jit
@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
def test_a_session_leaves_nothing_that_others_can_read(
    venue: Venue,  # noqa: F811
    tmp_path: Path,
    keys: Path,  # noqa: F811
    loose: None,
) -> None:
    """State folder, journal and its log, lock, run directory, during and after; an old folder is tightened."""
    state, out = tmp_path / "state", tmp_path / "run"
    (state / "gpi").mkdir(parents=True, mode=0o755)
    words = ("--paper", "--key-file", keys, "--out", out)
    with trader(venue, state, *words) as trading:
        trading.until(lambda: venue.open_orders >= 2)
        names = {path.suffix for path in (state / "gpi").iterdir()}
        assert {".sqlite", ".sqlite-wal", ".sqlite-shm", ".lock"} <= names
        assert not shared(state / "gpi") and not shared(out)
        assert (out.stat().st_mode | (state / "gpi").stat().st_mode) & 0o077 == 0
        assert trading.end() == 0, trading.said.decode()
    assert b"was open to others (mode 755): it is ours alone now" in trading.said
    assert not shared(state / "gpi") and not shared(out)


def test_a_journal_that_others_could_read_is_tightened_aloud(tmp_path: Path, loose: None) -> None:
    """All its files, also while another process has left its log."""
    path, said = tmp_path / "orders.sqlite", list[str]()
    tmp_path.chmod(0o700)
    first = Journal(path)
    files = [path.with_name(path.name + suffix) for suffix in BESIDE]
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in files)
    first.close()
    for each in files:
        if each.exists():
            each.chmod(0o644)
    Journal(path, said.append).close()
    assert len(said) >= 2 and not shared(tmp_path)
