"""Workers are stopped in their tracks for longer than their leases, and wake up beside those that have their jobs.

`make test` overtakes a few; QULEDGER_TEST_CRASH=all goes on for ten minutes, and kills drains and children in between.
"""

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from models.events import Event
from tests.installation import ONE_BACKEND, Installation, Started, experiment

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
SECONDS, AT_LEAST = (600, 20) if ALL else (240, 3)
AT_WORK = 6
"""So many jobs wait or run: more than both drains run at once."""

MAX_STOP = 9.0
"""Who stops in the midst of a write keeps everybody from writing: then no lease ends before it wakes."""

SETTINGS = {
    "QULEDGER_LEASE_SECONDS": "3",
    "QULEDGER_PUBLISH_SECONDS": "0.5",
    "QULEDGER_RETRY_SECONDS": "0.1",
    "QULEDGER_MAX_ATTEMPTS": "1000",
    "QULEDGER_CONCURRENCY": "2",
}


def job(chance: random.Random) -> bytes:
    """Return a job of a moment or, more often, of some seconds."""
    number = 1 if chance.random() < 0.3 else 60
    turns = [["rlx", [0], [0.1 * turn]] for turn in range(20)]
    one = experiment(["load", [0], [200]], *turns, ["measure", [0], []], shots=1000)
    return json.dumps({f"experiment_{index}": one for index in range(number)}).encode()


def overtaken(events: list[Event]) -> tuple[int, int]:
    """Return how many attempts lost their lease, and what they wrote after that: refused writes are none."""
    lost: set[int] = set()
    late = 0
    for event in events:
        if event.kind == "lease_expired":
            lost.add(event.attempt)
        elif event.attempt in lost and event.kind not in ("refused", "retried", "failed", "cancelled"):
            late += event.kind not in ("cancel_requested", "revived")
    return len(lost), late


def wait(condition: Callable[[], object], seconds: float) -> bool:
    """Return whether the condition came to hold in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def children(pid: int) -> list[int]:
    """Return the ids of what a process has started, and of what those have."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found[1:]


class Turmoil:
    """Two drains, and what happens to them."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.chance = random.Random(int(os.environ.get("SEED", "1")))
        self.ids: list[str] = []
        self.found: Counter[str] = Counter()
        self.drains: list[Started] = [installation.start("drain", *ONE_BACKEND, **SETTINGS) for _ in range(2)]
        self.log = installation.log

    def queue(self, number: int) -> None:
        """Hand in jobs as a front end does."""
        for _ in range(number):
            self.ids.append(f"{len(self.ids):024x}")
            self.installation.queue("singlequdit", f"{self.ids[-1]}.json", job(self.chance))

    def lost(self) -> int:
        """Return how many attempts have lost their lease so far."""
        return sum(overtaken(self.log.history(job_id))[0] for job_id in self.ids)

    def step(self) -> None:
        """Let something happen to a drain that has a job in hand, and look what `verify` says meanwhile."""
        running = [each for each in self.log.jobs(limit=200) if each.worker]
        workers = {int((each.worker or "").split(":")[1]) for each in running}
        victims = [number for number, drain in enumerate(self.drains) if drain.pid in workers]
        if sum(sum(phases.values()) for phases in self.log.counts().values()) < AT_WORK:
            self.queue(2)
        if victims:
            number = self.chance.choice(victims)
            what = self.chance.random() if ALL else 1.0
            if what < 0.2:
                self.drains[number].kill()
                self.drains[number].wait()
                self.drains[number] = self.installation.start("drain", *ONE_BACKEND, **SETTINGS)
            elif what < 0.4 and (started := children(self.drains[number].pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chance.choice(started), signal.SIGKILL)
            else:
                self.stop(self.drains[number])
        self.look()
        wait(lambda: False, self.chance.uniform(0.1, 1.0))

    def stop(self, drain: Started) -> None:
        """Stop a drain in its tracks until it has lost a job, and let it go on."""
        before = self.lost()
        drain.send_signal(signal.SIGSTOP)
        wait(lambda: self.lost() > before, MAX_STOP)
        self.look()
        drain.send_signal(signal.SIGCONT)

    def look(self) -> None:
        """Note what `verify` finds, but for documents that are just being written."""
        self.found.update(line for line in self.installation.findings() if " behind: " not in line)

    def end(self) -> list[str]:
        """End both drains; return what they printed."""
        for drain in self.drains:
            drain.send_signal(signal.SIGCONT)
            drain.send_signal(signal.SIGTERM)
        return [drain.communicate(timeout=90)[0] for drain in self.drains]


def test_workers_that_were_overtaken_change_nothing(
    installation: Installation, record_property: Callable[[str, object], None]
):
    """Each one that wakes is refused or ends by itself; no job is lost or accepted twice; `verify` stays clean."""
    turmoil = Turmoil(installation)
    turmoil.queue(6)
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end and (ALL or turmoil.lost() < AT_LEAST):
            turmoil.step()
        # What was queued last may still lie in the inbox, of which the log knows nothing yet.
        over = wait(lambda: set(turmoil.ids) <= installation.states().keys() and not turmoil.log.counts(), 200)
    finally:
        said = turmoil.end()
    assert over, said
    assert turmoil.found == Counter(), said
    histories = {job_id: turmoil.log.history(job_id) for job_id in turmoil.ids}
    refused = sum(event.kind == "refused" for events in histories.values() for event in events)
    record_property("overtaken", {"lost": turmoil.lost(), "refused": refused, "jobs": len(histories)})
    assert turmoil.lost() >= AT_LEAST
    assert set(installation.states().values()) == {"DONE"}, said
    for events in histories.values():
        kinds = Counter(event.kind for event in events)
        assert (kinds["submitted"], kinds["uploaded"], kinds["completed"]) == (1, 1, 1)
        assert overtaken(events)[1] == 0
    installation.verified(**SETTINGS)
