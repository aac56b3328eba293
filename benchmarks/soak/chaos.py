"""What happens to whom, and when: decided by a seed, carried out by a clock.

The same seed gives the same schedule. What it hits is up to the machine.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from . import ledger
from .processes import READY_WITHIN, Broker, Process, Producer, RelayProcess, Worker, eventually

# Seconds between two of a kind, on average.
KILL_RELAY, KILL_WORKER, KILL_CHILD, KILL_STEADY, PAUSE = 5.0, 12.0, 3.0, 15.0, 10.0
# Seconds until somebody looks who is still there.
LOOK = 2.0
# Seconds that whoever is told to end has for it.
END = 15.0
# Seconds between two kills of the broker; more often in a short soak.
KILL_BROKER = 50.0
# Messages in the outbox above which nobody saves as fast as it can: workers that are killed all
# the time work off some twenty a second, and what waits longer than the grace is enqueued again.
DEEP = 1000


class Chaos:
    """The processes of a soak, and what is done to them."""

    def __init__(self, seed: int, folder: Path, broker: Broker) -> None:
        self.dice = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.pauses: Counter[str] = Counter()
        #: What has ended, and nobody had killed it. Celery's workers do, when a process of theirs
        #: is killed while they start or connect.
        self.crashes: Counter[str] = Counter()
        self.broker = broker
        self.relays = [RelayProcess(f"relay-{n}", folder) for n in (1, 2)]
        self.workers = [Worker(f"worker-{n}", folder) for n in (1, 2)]
        # One that is always at it, and one that saves as fast as it can until it is killed.
        self.steady = Producer("steady", folder, seed=seed, pause=0.4)
        self.busy = Producer("busy", folder, seed=seed + 1)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    @property
    def all(self) -> Iterator[Process]:
        yield from (self.broker, *self.relays, *self.workers, self.steady, self.busy)

    def run(self, seconds: float) -> None:
        """Start everything, and let things happen for so long."""
        self._start_broker()
        for each in (*self.relays, *self.workers):
            each.start()
        self._start_steady()
        self._start_busy()
        self._every(KILL_RELAY, self._kill_relay)
        self._every(KILL_WORKER, self._kill_worker)
        self._every(KILL_CHILD, self._kill_child)
        self._every(KILL_STEADY, self._kill_steady)
        self._every(PAUSE, self._pause)
        self._every(LOOK, self.look_after)
        self._every(min(KILL_BROKER, seconds / 4), self._kill_broker)
        until = time.monotonic() + seconds
        while (due := self._due[0][0]) < until:
            time.sleep(max(0, due - time.monotonic()))
            _, _, happen = heapq.heappop(self._due)
            happen()
        time.sleep(max(0, until - time.monotonic()))

    def calm(self) -> None:
        """Let nothing more be saved, and everything else work undisturbed."""
        for each in self.all:
            each.resume()
        self._due.clear()
        self.steady.kill()
        self.busy.kill()
        if not self.broker.is_alive:
            self._start_broker()
        for worker in self.workers:
            self._end(worker)
            worker.start()
        self.look_after()

    def look_after(self) -> None:
        """Start again what has ended by itself, which nothing should."""
        for each in (*self.relays, *self.workers):
            if not each.is_alive:
                self._note_crash(each)
                each.kill()
                each.start()

    def end(self) -> None:
        """Let workers and relays end as they do when a deployment ends them."""
        for each in (*self.workers, *self.relays):
            self._end(each)

    def _end(self, process: Process) -> None:
        if not process.is_alive:
            self._note_crash(process)
        process.end(END)

    def _note_crash(self, process: Process) -> None:
        self.crashes[process.kind] += 1
        if process.kind != "worker":
            sys.stderr.write(f"--- {process.name} has ended by itself:\n{process.last_words()}\n")

    def _in(self, seconds: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), happen))

    def _every(self, seconds: float, happen: Callable[[], None]) -> None:
        def again() -> None:
            happen()
            self._every(seconds, happen)

        self._in(seconds * self.dice.uniform(0.5, 1.5), again)

    def _kill(self, process: Process) -> None:
        if process.is_alive:
            self.kills[process.kind] += 1
        else:
            self._note_crash(process)
        process.kill()

    def _kill_relay(self) -> None:
        self._kill(relay := self.dice.choice(self.relays))
        relay.start()

    def _kill_worker(self) -> None:
        self._kill(worker := self.dice.choice(self.workers))
        worker.start()

    def _kill_child(self) -> None:
        worker = self.dice.choice(self.workers)
        self.kills["worker's child"] += worker.kill_child(self.dice.choice)

    def _kill_steady(self) -> None:
        self._kill(self.steady)
        self._start_steady()

    def _kill_busy(self) -> None:
        self._kill(self.busy)
        self._start_busy()

    def _kill_broker(self) -> None:
        if not self.broker.is_alive:
            return
        self._kill(self.broker)
        self._in(self.dice.uniform(0, 2), self._start_broker)

    def _pause(self) -> None:
        process = self.dice.choice([*self.all])
        if not process.is_alive or process.is_paused:
            return
        self.pauses[process.kind] += 1
        process.pause()
        # Longer than the grace, some of them.
        self._in(self.dice.uniform(0.5, 3.5), process.resume)

    def _start_broker(self) -> None:
        if not self.broker.is_alive:
            self.broker.kill()
            self.broker.start()
            eventually(self.broker.answers, "the broker answers", seconds=READY_WITHIN)

    def _start_steady(self) -> None:
        self.steady.start()
        self._in(1.5, lambda: _begin(self.steady))

    def _start_busy(self) -> None:
        self.busy.start()

        def begin() -> None:
            if ledger.waiting_in_outbox() > DEEP:
                self._in(0.2, begin)
                return
            _begin(self.busy)
            self._in(self.dice.uniform(0.1, 0.6), self._kill_busy)

        self._in(self.dice.uniform(1.5, 4), begin)


def _begin(producer: Process) -> None:
    # Killed or paused since, there is nobody to wait for.
    if producer.is_alive:
        producer.resume()
        producer.wait_for(b"ready")
        producer.tell(b"go\n")
