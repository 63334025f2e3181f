"""Inquiries: orders whose fate must be looked up, when, and what was found. One thread, no socket, time handed in.

That there is no such order is believed after a grace time and a second look: an accept may show itself late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gpi.formats.errors import VenueError
from gpi.tools.brokers.alpaca import wire
from gpi.tools.brokers.alpaca.rest import Reply
from gpi.tools.brokers.attention import Attention
from gpi.tools.brokers.blotter import Blotter
from gpi.tools.brokers.bucket import CANCEL, RESOLVE
from gpi.tools.brokers.holds import Holds
from gpi.tools.brokers.life import INTENT, UNKNOWN, Life, reason
from gpi.tools.brokers.outbox import Job, Outbox

FIRST_LOOK_S, LONGEST_LOOK_S = 0.1, 5.0
GRACE_S: Final = 10.0  # how long an accept may still appear after its request was lost
LEFT_GRACE_S: Final = 2.0  # the same for an order of a trader that died: its connections are closed with it
AGAIN_S: Final = 2.0  # between the two looks that must both find nothing

Outcome = Reply | VenueError


class Inquiries:
    """What is asked about single orders, and their cancels, which are asked for until they have an end."""

    def __init__(
        self, blotter: Blotter, holds: Holds, outbox: Outbox, say: Callable[[str], None], grace_s: float = GRACE_S
    ) -> None:
        self.blotter, self.holds, self.outbox, self.say, self.grace_s = blotter, holds, outbox, say, grace_s
        self.attention: dict[str, Attention] = {}
        self._cancels: dict[str, float] = {}

    def lost(self, life: Life, now: float) -> None:
        """Nobody knows what became of it: no new exposure in the symbol until somebody does."""
        life.becomes(UNKNOWN)
        self.holds.block(wire.key(life.request.symbol), f"unknown {life.client_id}")
        self.watch(life, now)

    def watch(self, life: Life, now: float, after: float = FIRST_LOOK_S) -> None:
        """Look at this order soon, and again until it is settled."""
        if life.client_id not in self.attention:
            grace = min(LEFT_GRACE_S, self.grace_s) if life.mute else self.grace_s
            self.attention[life.client_id] = Attention(now + after, now, grace)

    def cancel(self, life: Life, now: float) -> None:
        """Ask the broker, once per AGAIN_S at most: every update of a dying order passes here."""
        if now - self._cancels.get(life.client_id, -AGAIN_S) < AGAIN_S or not life.broker_id:
            return
        if life.top is not None and life.top.open and (life.top.withdrawing or life.top.combined):
            self.watch(life, now, AGAIN_S)  # it goes with its order
            return
        self._cancels[life.client_id] = now
        path = f"/orders/{life.broker_id}"
        self.outbox.add(Job(CANCEL, "cancel", "DELETE", path, None, life.client_id, since=now))

    def cancelled(self, life: Life, job: Job, outcome: Outcome, now: float) -> None:
        """What came of a cancel; its success is no end of the order."""
        if isinstance(outcome, Reply) and outcome.status == 429:
            self.outbox.add(job, first=True)
        elif isinstance(outcome, Reply) and outcome.status < 300:
            self.watch(life, now, 2.0)  # 204 is not the end: the end comes as an update, or is looked for
        else:
            self._cancels.pop(life.client_id, None)  # it may not have arrived: after a look, asked again
            self.watch(life, now)

    def looked(self, life: Life, outcome: Outcome, now: float) -> None:
        """What a look at one order has found."""
        entry = self.attention.get(life.client_id)
        if isinstance(outcome, Reply) and outcome.status == 200 and (told := wire.order(outcome.body)):
            self.blotter.order(told)
            self.settled(life, now)
            if life.top is not None and not life.broker_id and entry is not None:
                self._absent(life, entry, now)
            elif life.open and not life.end and entry is not None:
                if life.withdrawing:
                    self.cancel(life, now)
                else:
                    self.attention.pop(life.client_id, None)
        elif isinstance(outcome, Reply) and outcome.status == 404 and entry is not None and life.state == UNKNOWN:
            self._absent(life, entry, now)

    def _absent(self, life: Life, entry: Attention, now: float) -> None:
        if now - entry.since < entry.grace:
            return
        if not entry.missing:
            entry.missing = now
            entry.due = now + AGAIN_S
        elif now - entry.missing >= AGAIN_S:
            life.refused(reason("BROKER_REFUSED"), life.request.ts_event)
            self.settled(life, now)

    def settled(self, life: Life, now: float) -> None:
        """The fate of an order is known (again): its symbol is free, its cancel goes out, a late accept is undone."""
        if life.state == UNKNOWN:
            return
        for leg in life.legs:
            if leg.broker_id or not leg.open:
                self.settled(leg, now)
            elif life.state != INTENT:
                leg.state = UNKNOWN  # its order is there, and nobody has told it
                self.watch(leg, now)
        self.holds.unblock(wire.key(life.request.symbol), f"unknown {life.client_id}")
        if not life.open:
            self.attention.pop(life.client_id, None)
            self._cancels.pop(life.client_id, None)
        elif (life.withdrawing or life.told_end) and not life.end:
            self.cancel(life, now)  # nobody waits for it any more: it was withdrawn, or called rejected too early

    def due(self, now: float) -> None:
        """Queue the looks whose time has come."""
        for client_id, entry in list(self.attention.items()):
            life = self.blotter.of(client_id)
            if not life.open:
                self.settled(life, now)
                self.attention.pop(client_id, None)
            elif now >= entry.due:
                entry.tries += 1
                entry.due = now + min(FIRST_LOOK_S * 2**entry.tries, LONGEST_LOOK_S)
                if now < entry.since + entry.grace:  # the first look after the grace comes at its end
                    entry.due = min(entry.due, entry.since + entry.grace)
                path, data = _question(life)
                self.outbox.add(Job(RESOLVE, "resolve", "GET", path, data, client_id))


def _question(life: Life) -> tuple[str, dict[str, Any]]:
    """How to ask for one order. A leg has no id of ours there: by its own, or as part of the order it came with."""
    nested = {"nested": True} if life.top is not None or life.legs else {}
    if nested and life.broker_id:
        return f"/orders/{life.broker_id}", nested
    whole = life if life.top is None else life.top
    if nested and whole.broker_id:
        return f"/orders/{whole.broker_id}", nested
    return "/orders:by_client_order_id", {"client_order_id": whole.client_id, **nested}
