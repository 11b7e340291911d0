"""Is a waiting job ever never claimed, claimed twice, or served out of turn? Processes, kills, clocks, holds, rebuilds.

Again and again all stand still, and some claims are compared with `tests/crash/queue_oracle.py`. For another storm than
the usual one set QULEDGER_TEST_STORM to `SEED:SECONDS:JOBS`, the jobs of one user beside many.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from models import clock
from models.events import GENESIS, Event, seal
from models.facts import LeaseExpired, Submitted
from models.job import Job, begin
from models.retry import given_back
from storage.log.database import open_database, reading, writing
from storage.log.event_log import EventLog
from storage.log.histories import histories
from storage.log.holds import Holds
from storage.log.rows import add_jobs
from tests.crash.log_model import judge
from tests.crash.queue_oracle import Standing, whose_turn
from tests.crash.queue_storm import BACKENDS, DONE, HEAVY, STORAGES, Board, fast, play
from tests.processes import process
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("QULEDGER_TEST_CRASH") != "all", reason="part of the whole matrix: make crash"),
]
SEED, SECONDS, JOBS = (int(each) for each in os.environ.get("QULEDGER_TEST_STORM", "1:120:20000").split(":"))
ROLES = (
    "submit",
    "submit",
    "work",
    "work",
    "work",
    "work",
    "keep_house",
    "cancel",
    "hold",
    "hold",
    "rebuild",
    "verify",
)
FAST_CLOCK, SLOW_CLOCK = 3, 5
"""The places of two workers whose clocks are never right."""

EACH = 21
"""Of so many jobs one is of a user who has no other."""

HOURS = (0, 0, 0, 2, -2, 5, -3, 0.3)
ROUNDS = 25
ALL_JOBS = text(
    'SELECT job_id, "user", backend, storage, priority, received_at, phase, not_before,'
    " EXISTS (SELECT 1 FROM held WHERE held.job_id = job.job_id) FROM job WHERE phase <> 'final'"
)

OTHERS_AT_WORK = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend' AND state <> 'idle'"
)


class Storm:
    """The processes, and what looks at them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.chance = random.Random(SEED)
        self.board = Board.of(len(ROLES))
        self.numbers = count()
        self.players: list[Any] = [None] * len(ROLES)
        self.engine = fast(open_database(url))
        self.log = EventLog(self.engine, self.now)
        self.compared = self.claimed = 0

    def deadlocks(self) -> int:
        """Return how many PostgreSQL has ended."""
        if self.engine.dialect.name == "sqlite":
            return 0
        with reading(self.engine) as connection:
            return int(connection.execute(text("SELECT sum(deadlocks) FROM pg_stat_database")).scalar_one())

    def now(self) -> datetime:
        return clock.now() + timedelta(hours=self.board.hours.value)

    def fill(self) -> None:
        """Hand in the jobs of one user beside many."""
        then = clock.now() - timedelta(hours=9)
        begun = []
        for number in range(JOBS):
            fact = Submitted.of(
                b"{}",
                keep_up_to=9,
                backend=BACKENDS[number % 3],
                storage=STORAGES[number % 2],
                user=HEAVY if number % EACH else f"one{number}",
                source="cli",
                received_at=then + timedelta(seconds=number),
            )
            event = seal(
                fact,
                job_id=f"f{number:05}",
                seq=0,
                attempt=0,
                recorded_at=then,
                actor="f",
                flow_run_id=None,
                prev_hash=GENESIS,
            )
            begun.append((begin(event), event))
        with writing(self.engine) as connection:
            add_jobs(connection, begun)

    def start(self, place: int) -> None:
        self.board.idle[place] = 0
        drift = {FAST_CLOCK: 2.0, SLOW_CLOCK: -2.0}.get(place, 0.0)
        seed = f"{ROLES[place]}{next(self.numbers)}"
        self.players[place] = process(play, ROLES[place], self.url, seed, place, self.board, str(self.folder), drift)
        self.players[place].start()

    def kill(self, place: int) -> None:
        self.players[place].kill()
        self.players[place].join()
        self.players[place].close()

    def stand_still(self) -> None:
        self.board.halt.value = 1
        until(lambda: all(self.board.idle) and not self.goes_on(), 120, pause=0.005)

    def goes_on(self) -> bool:
        """Return whether a server is still at what a process had asked for that was killed: it holds its rows."""
        if self.engine.dialect.name == "sqlite":
            return False
        with reading(self.engine) as connection:
            return bool(connection.execute(OTHERS_AT_WORK).scalar_one())

    def jobs(self) -> dict[str, Standing]:
        with reading(self.engine) as connection:
            return {
                row[0]: Standing(
                    *row[:5],
                    datetime.fromisoformat(row[5]),
                    row[6] == "running",
                    datetime.fromisoformat(row[7]) if row[7] else None,
                    bool(row[8]),
                )
                for row in connection.execute(ALL_JOBS)
            }

    def compare(self, rounds: int) -> list[str]:
        """Claim some jobs while nobody else does; return what was wrong."""
        wrong, mine = [], []
        jobs = self.jobs()
        for _ in range(rounds):
            backends = self.chance.sample(BACKENDS, self.chance.randint(1, 3))
            storages = self.chance.choice((None, None, self.chance.sample(STORAGES, self.chance.randint(1, 3))))
            most = self.chance.choice((None, None, {name: self.chance.randint(0, 8) for name in BACKENDS[:2]}))
            now = self.now()
            self.log._now = lambda now=now: now  # type: ignore[misc]
            wanted = whose_turn(jobs.values(), now, backends, storages, most)
            job = self.log.claim(backends, "storm", now + timedelta(seconds=2), most, storages=storages, token="t")
            self.log._now = self.now
            found = job and job.job_id
            self.compared += 1
            if found not in wanted:
                about = [jobs.get(each or "") for each in (found, *wanted)]
                wrong.append(f"{now}: {found} instead of {wanted}, of {backends} {storages} {most}: {about}")
            if job is not None:
                self.claimed += 1
                mine.append(job)
                jobs[job.job_id] = jobs[job.job_id]._replace(running=True, not_before=None)
        for job in mine:
            if self.chance.random() < 0.7:
                pause = self.chance.choice((0, 1, 300))
                fact = DONE if self.chance.random() < 0.6 else given_back("x", self.now(), pause)
                self.log.append(job, fact, attempt=job.attempt, actor="storm", token="t")
        return wrong

    def drain(self) -> None:
        """Let everything go, and claim and end whatever waits."""
        self.board.hours.value = 10
        holds = Holds(self.engine)
        while held := [each.job_id for each in holds.all()]:
            holds.release(*held)

        def decide(job: Job) -> tuple[LeaseExpired, object]:
            expired = LeaseExpired(worker=job.worker or "", lease_until=job.lease_until or self.now())
            return expired, given_back("silent", self.now(), 1)

        self.log.expire(decide, "storm")  # type: ignore[arg-type]
        self.board.hours.value = 0
        assert self.compare(300) == []
        self.log.expire(decide, "storm", job_ids=[each.job_id for each in self.jobs().values() if each.running])  # type: ignore[arg-type]
        self.board.hours.value = 10
        self.log.expire(decide, "storm")  # type: ignore[arg-type]
        self.board.hours.value = 13
        while (job := self.log.claim(BACKENDS, "end", self.now() + timedelta(hours=1))) is not None:
            self.log.append(job, DONE, attempt=job.attempt, actor="end")


@pytest.fixture(params=["sqlite", "postgresql"])
def storm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storm]:
    """A storm over an empty log."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.fresh()
    storm = Storm(url, tmp_path)
    yield storm
    for place, player in enumerate(storm.players):
        if player is not None:
            storm.kill(place)
    storm.engine.dispose()


@pytest.mark.timeout(3000)
def test_nobody_is_forgotten_served_twice_or_out_of_turn(storm: Storm):
    """After it every job was claimed, or cancelled while it waited; no two ever held one; each came in its turn."""
    storm.fill()
    for place in range(len(ROLES)):
        storm.start(place)
    end, wrong, kills, looks = time.monotonic() + SECONDS, [], 0, 0
    while time.monotonic() < end:
        time.sleep(storm.chance.uniform(0.1, 0.8))
        act = storm.chance.random()
        if act < 0.5:
            place = storm.chance.randrange(len(ROLES))
            storm.kill(place)
            storm.start(place)
            kills += 1
        elif act < 0.8:
            storm.board.hours.value = storm.chance.choice(HOURS)
        else:
            storm.stand_still()
            wrong += storm.compare(ROUNDS)
            looks += 1
            storm.board.halt.value = 0
    storm.stand_still()
    for place in range(len(ROLES)):
        storm.kill(place)
        storm.players[place] = None
    lines = [line for path in sorted(storm.folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    told = Counter(str(json.loads(line)) for line in lines)
    assert (wrong, told, storm.deadlocks()) == ([], {}, 0)
    assert min(kills, looks, storm.claimed) > 0
    storm.drain()
    claimed, cancelled = Counter[str](), set()
    with reading(storm.engine) as connection:
        for job_id, rows in histories(connection):
            history = [Event.model_validate(dict(row)) for row in rows]
            wrong += [f"{type(each).__name__} {each}" for each in judge(job_id, history)]
            claimed[job_id] = sum(event.kind == "claimed" for event in history)
            if any(event.kind == "cancelled" for event in history):
                cancelled.add(job_id)
            wrong += [] if claimed[job_id] or job_id in cancelled else [f"{job_id} was never claimed"]
    assert storm.jobs() == {}
    assert wrong == []
