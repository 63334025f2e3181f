"""The table of a run of the suite, for people (Markdown) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gpi.tools.chaos.rows import FAIL, NOT_RUN, PASS, Outcome

COLUMNS: Final = ("row", "fault", "seed", "done", "wanted", "seen", "verdict")


def repeat(outcome: Outcome) -> str:
    """The command that repeats the first case of a row that broke."""
    number = next((v.split(":")[0].removeprefix("case ") for v in outcome.seen.violations), "0")
    return f"gpi chaos --seed {outcome.seed} --only {outcome.row.id} --case {number}"


def cells(outcome: Outcome) -> tuple[str, ...]:
    """A row of the table as text."""
    row, seen = outcome.row, outcome.seen
    told = outcome.why if outcome.verdict == NOT_RUN else (seen.told() or "0 violations")
    if outcome.verdict == FAIL:
        told = f"{len(seen.violations)} violations; {told}"
    elif outcome.verdict == PASS:
        told = f"0 violations; {told}" if seen.told() else "0 violations"
    return (
        row.id,
        row.fault,
        str(outcome.seed),
        f"{outcome.cases} cases, {outcome.seconds:.0f} s",
        row.wanted,
        told,
        outcome.verdict,
    )


def markdown(outcomes: Iterable[Outcome], facts: dict[str, Any]) -> str:
    """The table with its facts (date, form) above and what broke below."""
    outcomes = list(outcomes)
    lines = [", ".join(f"{name} {value}" for name, value in facts.items()), ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells(each)) + " |" for each in outcomes]
    for each in outcomes:
        if each.verdict == FAIL:
            lines += ["", f"{each.row.id} broke; `{repeat(each)}`", ""]
            lines += [f"- {violation}" for violation in each.seen.violations[:10]]
    return "\n".join(lines) + "\n"


def as_json(outcomes: Iterable[Outcome], facts: dict[str, Any]) -> dict[str, Any]:
    """The same for programs."""
    return {**facts, "rows": [each.as_dict() for each in outcomes]}
