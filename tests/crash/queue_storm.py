"""Processes that do to a queue what submitters, workers, users, operators and housekeeping do, all at once."""

import json
import multiprocessing
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, event

from models import clock
from models.errors import AppendConflict, Fault, LogUnavailable, NotAllowed, StaleAttempt, UnknownJob
from models.facts import Cancelled, CancelRequested, Fact, LeaseExpired, Submitted
from models.job import Job, State
from models.retry import RetryPolicy, after_attempt, failure, given_back
from storage.audit.rebuild import rebuild
from storage.audit.verify import _UNQUEUED
from storage.log.database import open_database, reading
from storage.log.event_log import EventLog
from storage.log.holds import Held, Holds

BACKENDS = ("rydberg", "fermions", "qubits")
STORAGES = ("", "cloud", "lab")
HEAVY = "many"
LEASE = timedelta(seconds=2)
RETRIES = RetryPolicy(max_attempts=6, first_pause=0.5)
DONE = failure("validation", "user", (Fault(message="wrong"),))
EXPECTED = (AppendConflict, StaleAttempt, NotAllowed, UnknownJob)
MOST_HELD = 3


class Board(NamedTuple):
    """What all processes see: shared memory without locks, for they are killed at any moment."""

    hours: Any
    halt: Any
    idle: Any

    @classmethod
    def of(cls, places: int) -> "Board":
        """Make one for so many processes."""
        raw = multiprocessing.get_context("forkserver")
        return cls(raw.RawValue("d", 0.0), raw.RawValue("b", 0), raw.RawArray("b", places))


class Player:
    """One process of the storm."""

    def __init__(self, url: str, seed: str, board: Board, *, drift: float) -> None:
        self.chance = random.Random(seed)
        self.name = seed
        self.board = board
        self._drift = drift
        self.engine = fast(open_database(url))
        self.log = EventLog(self.engine, self.now)
        self.holds = Holds(self.engine)
        self.claimed: list[tuple[Job, str]] = []
        self.number = 0
        self.wrong: list[str] = []

    def now(self) -> datetime:
        """Return the time by a clock that is put forward and back."""
        return clock.now() + timedelta(hours=self.board.hours.value + self._drift)

    def some(self, of: tuple[str, ...]) -> list[str]:
        """Return one or more of these."""
        return self.chance.sample(of, self.chance.randint(1, len(of)))

    def job(self, state: str = "") -> Job | None:
        """Return one of the newest jobs, perhaps of one state."""
        found = self.log.jobs(state=state, limit=60)
        return self.chance.choice(found) if found else None

    def submit(self) -> None:
        """Hand in some jobs."""
        user = HEAVY if self.chance.random() < 0.2 else f"u{self.chance.randrange(30)}"
        for _ in range(self.chance.choice((1, 1, 1, 5))):
            self.number += 1
            fact = Submitted.of(
                b"{}",
                keep_up_to=99,
                backend=self.chance.choice(BACKENDS),
                storage=self.chance.choice(STORAGES),
                user=user,
                priority=self.chance.choice((0, 0, 0, 1, 9)),
                source="cli",
                received_at=self.now() - timedelta(seconds=self.chance.choice((0, 0, 5, 3600))),
            )
            self.log.submit(f"{self.name}-{self.number}", fact, self.name)

    def work(self) -> None:
        """Claim a job, or end one that is claimed: for good, for now, or by silence."""
        if len(self.claimed) < self.chance.randint(1, MOST_HELD):
            token = f"{self.name}-{self.chance.random()}"
            most = None if self.chance.random() < 0.7 else {self.chance.choice(BACKENDS): self.chance.randint(0, 6)}
            storages = None if self.chance.random() < 0.5 else self.some(STORAGES)
            until = self.now() + LEASE
            job = self.log.claim(self.some(BACKENDS), self.name, until, most, storages=storages, token=token)
            if job is not None:
                self.claimed.append((job, token))
            return
        job, token = self.claimed.pop(self.chance.randrange(len(self.claimed)))
        how = self.chance.random()
        if how < 0.05:
            return
        if how < 0.1:
            self.log.heartbeat({job.job_id: job.attempt}, self.now() + LEASE, {job.job_id: token})
            self.claimed.append((job, token))
            return
        fact: Fact = DONE
        if how < 0.3:
            fact = given_back("stopped", self.now(), self.chance.choice((0, 0, 0.5, 2)))
        elif how < 0.4:
            fact = after_attempt(job, "storm", "execution", RETRIES, now=self.now(), jitter=self.chance.random())
        self.log.append(job, fact, attempt=job.attempt, actor=self.name, token=token)

    def keep_house(self) -> None:
        """End what nobody was heard of."""

        def decide(job: Job) -> tuple[Fact, ...]:
            expired = LeaseExpired(worker=job.worker or "", lease_until=job.lease_until or self.now())
            return expired, after_attempt(job, "silent", "lease", RETRIES, now=self.now(), jitter=self.chance.random())

        self.log.expire(decide, self.name)
        time.sleep(0.05)

    def cancel(self) -> None:
        """Cancel a job, in a hurry or at leisure."""
        job = self.job("QUEUED")
        if job is not None:
            facts: list[Fact] = [CancelRequested(by=self.name)]
            facts += [Cancelled()] if job.state is State.QUEUED else []
            self.log.append(job, *facts, attempt=job.attempt, actor=self.name)
        time.sleep(0.1)

    def hold(self) -> None:
        """Hold some jobs, or let some go, in any order."""
        if self.chance.random() < 0.5:
            found = self.log.jobs(state="QUEUED", limit=60)
            some = self.chance.sample(found, min(len(found), self.chance.choice((1, 8))))
            self.holds.put(*(Held(job.job_id, job.storage, "storm") for job in some))
        else:
            held = [each.job_id for each in self.holds.all()]
            self.holds.release(*self.chance.sample(held, min(len(held), self.chance.choice((1, 8, 30)))))
        time.sleep(0.02)

    def rebuild(self) -> None:
        """Make the views anew."""
        time.sleep(self.chance.uniform(8, 16))
        rebuild(self.engine)

    def verify(self) -> None:
        """Look for a job that nobody would claim."""
        with reading(self.engine) as connection:
            self.wrong += [f"unqueued {job_id}" for job_id in connection.scalars(_UNQUEUED)]
        time.sleep(0.1)


def fast(engine: Engine) -> Engine:
    """Leave out the wait for the disk: processes are killed here, and the power stays on."""
    if engine.dialect.name == "sqlite":
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return engine


def play(role: str, url: str, seed: str, place: int, board: Board, folder: str, drift: float) -> None:  # noqa: PLR0913 - what a process is told
    """Do one thing over and over until killed; stand still while the board says so."""
    player = Player(url, seed, board, drift=drift)
    do: Callable[[], None] = getattr(player, role)
    out = Path(folder) / f"{seed}.jsonl"
    while True:
        if board.halt.value:
            board.idle[place] = 1
            time.sleep(0.01)
            continue
        board.idle[place] = 0
        if board.halt.value:
            continue
        try:
            with suppress(*EXPECTED):
                do()
        except LogUnavailable as error:
            player.wrong.append(f"unavailable {error}")
        except Exception as error:  # noqa: BLE001 - reported by the test
            player.wrong.append(f"{type(error).__name__} {error}")
        if player.wrong:
            with out.open("a") as file:
                file.write(json.dumps([role, *player.wrong]) + "\n")
            player.wrong = []
