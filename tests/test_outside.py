"""A session that trades elsewhere hears of the world only through answers, and its recording repeats it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpi.cli.verify import _command
from gpi.formats.errors import BadInput
from gpi.formats.execution import AMEND, BLOCK, CASH, NEW, POSITION, STATE, ExecutionReport, OrderRequest
from gpi.formats.frame import Frame
from gpi.formats.words import ACCEPTED, ACTIONS, CANCELED, FILLED, GTC, REASONS, REPLACED
from gpi.tools.backtest.answered import Repeated, Script
from gpi.tools.backtest.run import Run
from gpi.tools.backtest.session import Session
from gpi.tools.backtest.setup import Setup
from gpi.tools.backtest.verify import compare
from tests.test_backtest import making, walk
from tests.trading import START, TICK, frame, setup, told

OPENING = [ExecutionReport(START, CASH, px=100_000.0), ExecutionReport(START, STATE, qty=0)]
QUIET = [{"ts": START + k, "bid": (100, 9), "ask": (102, 9)} for k in range(8)]


class Whimsical:
    """A broker that answers when it likes: fills some, in parts, and forgets nothing."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.open: dict[int, list[Any]] = {}
        self.said = list(OPENING)

    def send(self, requests: list[OrderRequest]) -> None:
        """Take requests."""
        for each in requests:
            if each.what == NEW:
                self.open[each.order_id] = [each, each.qty]
                self.said.append(ExecutionReport(each.ts_event, ACCEPTED, each.order_id, each.instrument_id, each.side))
            elif each.order_id in self.open:
                _, leaves = self.open.pop(each.order_id)
                self.said.append(
                    ExecutionReport(each.ts_event, CANCELED, each.order_id, each.instrument_id, leaves=leaves)
                )

    def reports(self) -> list[ExecutionReport]:
        """Some of what there is to tell."""
        for order_id, (request, leaves) in list(self.open.items()):
            if self.rng.random() < 0.2:
                qty = float(min(leaves, self.rng.integers(1, 4)))
                left = leaves - qty
                self.said.append(
                    ExecutionReport(
                        request.ts_event, FILLED, order_id, request.instrument_id, request.side, qty, request.px, left
                    )
                )
                self.open[order_id][1] = left
                if left == 0:
                    del self.open[order_id]
        many = int(self.rng.integers(0, len(self.said) + 1))
        now, self.said = self.said[:many], self.said[many:]
        return now

    def rest(self) -> list[ExecutionReport]:
        """Everything not yet told."""
        now, self.said = self.said, []
        return now


def lived(path: Path, ticks: Frame, given: Setup, broker: Whimsical, cut: int) -> Session:
    """A live day: a run directory with its answers."""
    session = Session(ticks.layout.schema, given)
    run = Run(path, session, ticks.layout.schema)

    def hear(reports: list[ExecutionReport]) -> None:
        run.heard(int(session.clock.row), reports)
        session.hear(reports)

    for row in range(0, ticks.rows, cut):
        hear(broker.reports())
        run.add(session.step(ticks.slice(row, row + cut)))
        broker.send(session.requests())
    run.add(session.wind_down())
    broker.send(session.requests())
    hear(broker.rest())
    run.add(session.finish())
    run.close()
    return session


@pytest.mark.parametrize("cut", [1, 3, 64])
def test_a_live_day_repeats_from_its_recording_in_any_cut(tmp_path: Path, cut: int) -> None:
    """Ticks and answers at their rows decide everything."""
    ticks, given = walk(), making(external=True)
    live = lived(tmp_path / "live", ticks, given, Whimsical(cut), cut)
    for again in (1, 7, 400):
        session = Session(ticks.layout.schema, given)
        run = Run(tmp_path / f"again{again}", session, ticks.layout.schema)
        repeated = Repeated(session, Script.read(tmp_path / "live" / "answers.parquet"))
        for row in range(0, ticks.rows, again):
            run.add(repeated.step(ticks.slice(row, row + again)))
        run.add(repeated.finish())
        run.close()
        assert compare(tmp_path / "live", tmp_path / f"again{again}") is None
    assert live.account.open_orders == 0


def begun(script: dict[int, list[Any]], opening: list[ExecutionReport] | None = None) -> Session:
    """A scripted session outside, told how things stand."""
    session = Session(frame(QUIET).layout.schema, setup(script, external=True))
    session.hear(OPENING if opening is None else opening)
    return session


def test_nothing_is_sent_before_the_broker_has_said_how_things_stand() -> None:
    """The session starts halted."""
    session = begun({0: [(1, 5.0, 100, GTC)]}, [])
    traded = session.step(frame(QUIET[:1]))
    assert [REASONS[r] for r in traded.orders["reason"]] == ["TRADING_STATE"] and session.requests() == []


def test_an_order_goes_out_whole_and_nothing_is_matched_here() -> None:
    """A limit through the offer waits for the broker's word."""
    session = begun({1: [(1, 5.0, 103, GTC)]})
    traded = session.step(frame(QUIET))
    assert told(traded) == [("submit", 1, 5.0)]
    (request,) = session.requests()
    assert (request.what, request.side, request.qty, request.order_id) == (NEW, 1, 5.0, 1) and abs(
        request.px - 1.03
    ) < 1e-9
    assert session.requests() == []


def test_a_fill_moves_position_and_cash_and_a_late_one_still_counts() -> None:
    """Cancelled, then a fill that had happened before: booked all the same."""
    session = begun({0: [(1, 5.0, 100, GTC)]})
    session.step(frame(QUIET[:1]))
    session.hear(
        [
            ExecutionReport(START, FILLED, 1, 0, 1, 2.0, 1.0, 3.0, 0.5),
            ExecutionReport(START, CANCELED, 1, 0, leaves=3.0),
        ]
    )
    session.step(frame(QUIET[1:2]))
    assert session.account.open_orders == 0 and session.state["instruments"][0].position == 2.0
    session.hear([ExecutionReport(START, FILLED, 1, 0, 1, 1.0, 1.0, 0.0, 0.0)])
    traded = session.step(frame(QUIET[2:3]))
    assert traded.fills.rows == 1 and session.state["instruments"][0].position == 3.0
    assert session.account.open_orders == 0 and session.account.cash == 100_000.0 - 3.0 - 0.5


def test_what_was_held_before_is_what_the_day_starts_with() -> None:
    """Cash and positions are told, and are no profit."""
    session = begun({}, [*OPENING, ExecutionReport(START, POSITION, instrument_id=0, qty=10.0, px=1.0)])
    session.step(frame(QUIET))
    assert session.account.equity == 100_000.0 + 10 * 101 * TICK
    assert session.account.start_cash == 100_000.0 and session.account.loss_day == 0


def test_a_blocked_instrument_may_only_be_reduced() -> None:
    """An order in doubt stops new exposure, not the way out."""
    held = [*OPENING, ExecutionReport(START, POSITION, instrument_id=0, qty=10.0, px=1.0)]
    session = begun({0: [(1, 5.0, 100, GTC), (-1, 5.0, 102, GTC)], 2: [(1, 5.0, 100, GTC)]}, held)
    session.hear([ExecutionReport(START, BLOCK, instrument_id=0, qty=1)])
    traded = session.step(frame(QUIET[:1]))
    words = zip(traded.orders["action"], traded.orders["reason"], strict=True)
    assert [(ACTIONS[a], REASONS[r]) for a, r in words] == [("refuse", "RECONCILING"), ("submit", "")]
    session.hear([ExecutionReport(START, BLOCK, instrument_id=0, qty=0)])
    assert ("submit", 2, 5.0) in told(session.step(frame(QUIET[1:])))


def test_an_answer_that_cannot_be_is_bad_input() -> None:
    """An action or an instrument that does not exist."""
    session = begun({})
    for wrong in (ExecutionReport(START, 99), ExecutionReport(START, BLOCK, instrument_id=-1)):
        with pytest.raises(BadInput):
            session.hear([wrong])


def test_the_kill_switch_asks_for_cancels_outside() -> None:
    """Pulled, it withdraws what is open."""
    session = begun({0: [(1, 5.0, 100, GTC)]})
    session.step(frame(QUIET[:1]))
    session.requests()
    session.kill()
    session.step(frame(QUIET[1:2]))
    assert [request.what for request in session.requests()] == [2]
    assert np.isclose(session.state["instruments"][0].buying, 5.0)


def test_a_replacement_is_asked_for_and_holds_once_it_is_told() -> None:
    """Until then the larger of the two counts; where nothing came of it, the order is as it was."""
    session = begun(
        {0: [(1, 5.0, 100, GTC)], 1: [lambda view: view.replace(1, 8.0, 0.99)], 3: [lambda v: v.replace(1, 9.0)]}
    )
    session.step(frame(QUIET[:2]))
    (_, request) = session.requests()
    assert (request.what, request.order_id, request.qty, request.px) == (AMEND, 1, 8.0, 0.99)
    assert session.state["instruments"][0].buying == 8.0
    session.hear(
        [
            ExecutionReport(START, FILLED, 1, 0, 1, 2.0, 1.0, 3.0, 0.0),
            ExecutionReport(START, REPLACED, 1, 0, 1, 8.0, 0.99, 6.0),
        ]
    )
    assert ("replaced", 1, 8.0) in told(session.step(frame(QUIET[2:3])))
    assert session.state["instruments"][0].buying == 6.0
    session.step(frame(QUIET[3:4]))
    (request,) = session.requests()
    assert request.qty == 9.0 and np.isnan(request.px) and session.state["instruments"][0].buying == 7.0
    session.hear([ExecutionReport(START, REPLACED, 1, 0, 1, 8.0, 0.99, 6.0, reason=REASONS.index("BROKER_REFUSED"))])
    session.step(frame(QUIET[4:5]))
    assert session.state["instruments"][0].buying == 6.0
    (order,) = [o for o in session.state["pool"] if o["order_id"] == 1]
    assert (order.told_qty, order.told_px, order.px) == (8.0, 0.99, 0.99)


def test_a_run_at_a_broker_is_repeated_under_the_rules_it_had() -> None:
    """They are the broker's, whatever was asked for on the command line."""
    step = {"command": "trade", "options": {"broker": "alpaca", "account_rules": "any", "seed": 3}}
    manifest = {"kill_row": None, "setup": {"external": True, "rules": {"account": "alpaca"}}}
    words = _command(Path("run"), step, Path("again"), manifest)
    assert words[0] == "backtest" and words[words.index("--account-rules") + 1] == "alpaca"
    assert words[words.index("--seed") + 1] == "3" and words.count("--account-rules") == 1
