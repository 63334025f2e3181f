"""A trader that forgets ended orders, but for its journal, knows no less than one that forgets nothing."""

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gpi.formats.execution import NEW, ExecutionReport, OrderRequest
from gpi.formats.words import GTC, LIMIT
from gpi.tools.brokers import blotter as room
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.journal import Journal
from gpi.tools.brokers.life import Life
from gpi.tools.brokers.startup import recalled, write
from tests.test_brokers_fold import SIZES, activities, story


def lived(journal: Journal, messages: list[dict[str, Any]], rows: list[dict[str, Any]], kept: int) -> Any:
    """(answers, positions, orders in memory) after all of it, of a blotter that keeps so many ended orders."""
    blotter, told = Blotter("gpi-", partial(recalled, journal)), list[ExecutionReport]()
    room.KEPT, usual = kept, room.KEPT  # type: ignore[misc]
    try:
        request = OrderRequest(NEW, 1, 7, 0, "AAA", 1, LIMIT, GTC, 100.0, 20.0)
        journal.intend("gpi-1", request, {"qty": "100"}, 1)
        blotter.place(Life(request, "gpi-1", {"qty": "100"}, Decimal(100)))
        folds = [partial(blotter.message, json.dumps({"stream": "trade_updates", "data": each})) for each in messages]
        for fold in (*folds, *(partial(blotter.activity, row) for row in rows)):
            fold()
            told += blotter.reports()
            write(journal, blotter, 2)
            journal.commit()
            blotter.forget()
    finally:
        room.KEPT = usual  # type: ignore[misc]
    return repr(told), blotter.expected, len(blotter.lives)


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, data=st.data())
def test_forgetting_ended_orders_changes_nothing_that_is_told(sizes: list[int], data: st.DataObject) -> None:
    """Updates that come late, twice or reordered to an order long forgotten; the activities; a late bust."""
    happened = story(sizes, "canceled")
    late = data.draw(st.lists(st.sampled_from(happened), max_size=8))
    if sizes:
        bust = {**happened[-1], "event": "trade_bust", "previous_execution_id": "e0"}
        late += data.draw(st.lists(st.just(bust), max_size=2))
    with TemporaryDirectory() as folder:
        ways = []
        for kept in (0, 1_000):
            journal = Journal(Path(folder) / f"{kept}")
            journal.begin_run(1, "A", "-", {})
            ways.append(lived(journal, [*happened, *late], activities(sizes), kept))
            journal.close()
    assert ways[0][:2] == ways[1][:2]
    assert ways[0][2] == 0 and ways[1][2] == 1


def test_an_order_of_nobody_is_not_recalled(tmp_path: Path) -> None:
    """Neither id is in the journal, or it is of a former run."""
    journal = Journal(tmp_path / "j")
    journal.begin_run(1, "A", "-", {})
    journal.intend("gpi-1", OrderRequest(NEW, 1, 7, 0, "AAA", 1, LIMIT, GTC, 100.0, 20.0), {"qty": "100"}, 1)
    journal.changed("gpi-1", "done", "b1", 0, 2)
    journal.commit()
    assert recalled(journal, "gpi-1", "") is not None and recalled(journal, "", "b1") is not None
    assert recalled(journal, "gpi-2", "b2") is None and recalled(journal, "", "") is None
    journal.begin_run(3, "A", "-", {})
    assert recalled(journal, "gpi-1", "b1") is None
    journal.close()
