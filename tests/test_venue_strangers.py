"""What clients that others wrote ask of the venue, and once did not get."""

from collections.abc import Iterator

import pytest

from tests.venues import Ready, venue_here


@pytest.fixture
def venue() -> Iterator[Ready]:
    with venue_here() as ready:
        yield ready


@pytest.mark.parametrize(
    ("day", "settled"),
    [
        ("2026-01-05", "2026-01-06"),
        ("2026-01-16", "2026-01-20"),  # a weekend, and a Monday that is a holiday
        ("2026-10-09", "2026-10-13"),  # the banks are closed on Columbus Day
        ("2024-05-24", "2024-05-29"),  # two days, until 2024-05-27
        ("2017-09-01", "2017-09-07"),  # three, until 2017-09-04, which was a holiday
    ],
)
def test_a_day_of_the_calendar_says_when_its_trades_settle(venue: Ready, day: str, settled: str) -> None:
    """Without it the generated clients cannot parse a calendar."""
    (told,) = venue.call("GET", "/v2/calendar", start=day, end=day).json()
    assert told["settlement_date"] == settled


@pytest.mark.parametrize("kind", ["MISC", "CGD", "FOPT", "TRANS", "DIV"])
def test_every_documented_kind_of_activity_can_be_asked_for(venue: Ready, kind: str) -> None:
    """There may be none of it; the kind is no mistake."""
    assert venue.call("GET", "/v2/account/activities", activity_types=kind).json() == []
    assert venue.call("GET", f"/v2/account/activities/{kind}").json() == []
