"""Hands: threads that carry requests to the broker and bring back what came of them. Cancels have their own."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable

from gpi.formats.errors import VenueError
from gpi.formats.secrets import masked
from gpi.tools.brokers.alpaca.rest import Keys, Reply, Rest, Unanswered
from gpi.tools.brokers.bucket import CANCEL, ORDER
from gpi.tools.brokers.outbox import HANDS, STALE_S, Job

Queue = queue.SimpleQueue[Job | None]


def latest(job: Job) -> float:
    """Until when a request may leave: what a new order was decided on does not hold for ever. Cancels always may."""
    return job.since + STALE_S if job.lane == ORDER else math.inf


class Hands:
    """`back` (with the time in ns at which the request left, 0: it did not) is called from their threads.

    Nothing new (an order, a replacement) leaves once the file `switch` is there.
    """

    def __init__(
        self, keys: Keys, url: str, back: Callable[[Job, Reply | VenueError, int], None], switch: str = ""
    ) -> None:
        self._keys, self._url, self._back, self._switch = keys, url, back, switch
        self._queues: tuple[Queue, Queue] = (queue.SimpleQueue(), queue.SimpleQueue())
        self._threads = [
            threading.Thread(target=self._work, args=(each,), name=f"gpi-hand-{n}", daemon=True)
            for each, count in zip(self._queues, HANDS, strict=True)
            for n in range(count)
        ]

    def start(self) -> None:
        """Begin to work."""
        for each in self._threads:
            each.start()

    def give(self, job: Job) -> None:
        """Send this."""
        self._queues[0 if job.lane == CANCEL else 1].put(job)

    def stop(self) -> None:
        """What is under way is finished (its timeouts bound that), nothing else is begun."""
        for each in self._threads:
            if each.is_alive():
                for waiting in self._queues:
                    waiting.put(None)
        for each in self._threads:
            if each.is_alive():
                each.join(10.0)

    def _work(self, jobs: Queue) -> None:
        rest = Rest(self._keys, self._url)
        while (job := jobs.get()) is not None:
            outcome: Reply | VenueError
            switch = self._switch if job.lane == ORDER else ""
            try:
                outcome = rest.call(job.method, job.path, job.data, latest(job), switch)
            except VenueError as wrong:
                outcome = wrong
            except Exception as wrong:  # whatever it was, the request may have left: its fate is unknown
                outcome = Unanswered(f"{type(wrong).__name__}: {masked(str(wrong))}")
            self._back(job, outcome, rest.left)
        rest.close()
