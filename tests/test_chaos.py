"""The fault suite: its own machinery, its short form against the real commands, and what it once found."""

import json
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from gpi.tools.brokers.bucket import ORDER, Bucket
from gpi.tools.chaos.cases.captures import lacking
from gpi.tools.chaos.rows import FAIL, NOT_RUN, PASS, Case, NotRunnable, Row, Seen, dice, run
from gpi.tools.chaos.search import search
from tests.shell import GPI, gpi
from tests.shell import ROOT as SHELL_ROOT

# Rows that are done in seconds each and wait for no long silence, storm or sleep; the others are `gpi chaos --short`.
BRIEF = ("F01", "F02", "F03", "F04", "F05", "F08", "F11", "F12", "F15", "F16", "F17", "F19", "F21", "F23", "F25")


class Bench:
    """As much of a lab as rows that start nothing need."""

    def __init__(self, folder: Path) -> None:
        self.seed, self.folder, self.keep = 7, folder, False

    def search(self, folder: Path, seen: Seen) -> None:
        """Nothing was started that could have a secret."""


def _row(case, units: int = 1) -> Row:
    return Row("F99", "a fault", "nothing lost", case, short=4, long=8, units=units)


def test_a_case_depends_on_seed_row_and_number_alone(tmp_path: Path) -> None:
    """Whatever ran before it, and however many beside it: the same case throws the same dice."""
    thrown: dict[int, list[float]] = {}

    def case(lab, each: Case) -> None:
        thrown.setdefault(each.number, []).append(each.dice.random())

    run(_row(case), Bench(tmp_path / "a"), 6)
    run(_row(case), Bench(tmp_path / "b"), 6, jobs=3)
    run(_row(case), Bench(tmp_path / "c"), 6, only=4)
    assert all(len(set(each)) == 1 for each in thrown.values())
    assert len(thrown[4]) == 3 and len(set(map(tuple, thrown.values()))) == 6
    assert dice(1, "F01", 2).random() != dice(1, "F01", 3).random() != dice(2, "F01", 3).random()


def test_what_breaks_is_named_by_its_case(tmp_path: Path) -> None:
    """A violation, and an exception of the case itself, fail the row and say which case to repeat."""

    def case(lab, each: Case) -> None:
        each.seen.count("units")
        if each.number == 2:
            each.seen.violate("I2", "an order twice")
        if each.number == 3:
            raise ValueError("odd")

    outcome = run(_row(case), Bench(tmp_path), 4)
    assert outcome.verdict == FAIL and outcome.seen.counts["units"] == 4
    assert outcome.seen.violations[0] == "case 2: I2: an order twice"
    assert outcome.seen.violations[1].startswith("case 3: the case itself: ValueError: odd")


def test_a_row_that_cannot_run_does_not_pass(tmp_path: Path) -> None:
    """What is missing is said."""

    def case(lab, each: Case) -> None:
        raise NotRunnable("no such room")

    outcome = run(_row(case), Bench(tmp_path), 4)
    assert (outcome.verdict, outcome.why) == (NOT_RUN, "no such room")


def test_a_row_does_as_many_units_as_asked(tmp_path: Path) -> None:
    """Cases of several units: enough of them, numbered from 0."""
    numbers: list[int] = []
    outcome = run(_row(lambda lab, each: numbers.append(each.number), units=3), Bench(tmp_path), 8)
    assert numbers == [0, 1, 2] and outcome.verdict == PASS


def test_an_unknown_row_is_refused_by_name() -> None:
    """Exit 2, with the rows there are."""
    assert b"F99: there are F01" in gpi("chaos", "--only", "F99", check=2).stderr


def test_a_higher_limit_than_assumed_holds_at_once() -> None:
    """An account with 1,000 requests a minute sends from its first reply on, not from its next window."""
    bucket = Bucket()
    bucket.heard(
        200, {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "990", "X-RateLimit-Reset": "60"}, 0.0, 0.0
    )
    assert bucket.take(ORDER, 0.0)


def test_an_order_of_a_dead_trader_is_soon_believed_missing(tmp_path: Path) -> None:
    """What a killed trader journaled and never sent: two looks within five seconds, then it never lived."""
    from gpi.formats.execution import OrderRequest
    from gpi.tools.brokers.alpaca.rest import Reply
    from gpi.tools.brokers.blotter import Blotter
    from gpi.tools.brokers.clerk import Clerk
    from gpi.tools.brokers.guards import Guards
    from gpi.tools.brokers.holds import Holds
    from gpi.tools.brokers.journal import Journal
    from gpi.tools.brokers.life import REFUSED, UNKNOWN, Life
    from gpi.tools.brokers.outbox import Outbox

    journal, blotter, outbox = Journal(tmp_path / "orders.sqlite"), Blotter(), Outbox(Bucket())
    clerk = Clerk(blotter, Holds(), journal, outbox, Guards(), "PA1", lambda line: None)
    life = Life(OrderRequest(1, 0, 1, 0, "SPY", 1, 1, 1, 10.0, 100.0), "c-1", {}, Decimal(10), mute=True, state=UNKNOWN)
    blotter.place(life)
    clerk.inquiries.watch(life, 0.0, 0.0)
    now = 0.0
    while life.state == UNKNOWN and now < 60.0:
        clerk.due(0, now)
        for job in outbox.due(now):
            outbox.done(job)
            clerk.replied(job, Reply(404, {"code": 40410000}, ""), now)
        now += 0.1
    journal.close()
    assert life.state == REFUSED and 3.0 < now < 5.0


def test_rows_may_be_missing_only_behind_a_gap_row() -> None:
    """What a capture's stream lacks of what was sent is flagged, or named as lost."""
    a, b, c, d = ((n,) for n in range(4))
    sent = [a, b, c, d]
    assert lacking(sent, sent) == (0, "")
    assert lacking(sent, [a, None, d]) == (2, "")
    assert lacking(sent, [c, d]) == (2, ""), "a stream begins where it begins"
    for told in ([a, d], [a, None, b], [a, a, b, c, d], [a, None, c, b, d], [a, None, (9,), d], []):
        assert lacking(sent, told)[1], told


@pytest.mark.jit
def test_nothing_is_lost_in_the_short_form() -> None:
    """`gpi chaos --short`: the faults of the table, fewer times, against the real commands; the rows of BRIEF."""
    command = [*GPI, "chaos", "--short", "--seed", "1", "--jobs", "1", "--only", ",".join(BRIEF)]
    done = subprocess.run(command, capture_output=True, cwd=SHELL_ROOT, timeout=1200)
    told = [line for line in done.stderr.decode().splitlines() if line[:1] not in "┃│┏┡└━├"]
    assert done.returncode == 0, "\n".join(told)[-8000:]


def test_a_secret_is_found_wherever_a_case_wrote_it(tmp_path: Path) -> None:
    """In a log, in a dump in hexadecimal; not in the file whose purpose it is."""
    secret = "canary-0123456789"
    (tmp_path / "venue.ready").write_text(json.dumps({"gpi.venue": {"secret": secret}}))
    (tmp_path / "innocent.err").write_text("nothing to see")
    seen = Seen()
    search(tmp_path, seen, told=True)
    assert not seen.violations and seen.counts["files searched"] == 1
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "a.log").write_text(f"DEBUG: headers {secret}")
    (tmp_path / "b.dump").write_bytes(secret.encode().hex(" ").encode())
    search(tmp_path, seen, told=True)
    assert sorted(seen.violations) == ["a secret stands in b.dump", "a secret stands in home/a.log"]
