"""Whose turn it is, and what a claim costs."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.dialects import sqlite

from models.retry import given_back
from storage.audit.rebuild import rebuild
from storage.audit.verify import Verifier
from storage.log import queue
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of
from storage.log.event_log import EventLog
from storage.log.holds import Held, Holds
from tests.contract.conftest import Houses
from tests.contract.databases import Databases, on
from tests.contract.log_fixture import LOST
from tests.contract.test_event_log import LATER, START, Clock, claim, submit


@pytest.fixture
def clock() -> Clock:
    """A clock at the start of the test."""
    return Clock()


@pytest.fixture
def log(tmp_path: Path, databases: Databases, clock: Clock) -> EventLog:
    """An empty log."""
    return EventLog(databases.open(databases.new(tmp_path)), clock)


def test_users_take_turns(log: EventLog):
    """A user with many jobs does not keep another one waiting."""
    for number in range(4):
        submit(log, f"many{number}", user="many")
    submit(log, "single", user="single", received_at=LATER)
    assert [claim(log).job_id for _ in range(3)] == ["many0", "single", "many1"]


def test_priority_then_submission(log: EventLog):
    """Among the jobs of one user the higher priority comes first, then the earlier submission."""
    submit(log, "late", received_at=LATER)
    submit(log, "early")
    submit(log, "urgent", received_at=LATER, priority=5)
    assert [claim(log).job_id for _ in range(3)] == ["urgent", "early", "late"]


@on("sqlite")
def test_the_claim_uses_its_index(log: EventLog):
    """The users and the heads of their queues are found by the index in the order of service, without sorting."""
    of = {"backend": "b", "storage": "s", "user": "u", "now": "x", "beyond": "y"}
    of |= {f"_{name}": of[name] for name in ("backend", "storage", "user")}
    with reading(log.engine) as connection:
        for statement, index in (
            (queue._FIRST.text.replace(":without", "('ann')"), "ix_queue_turn"),
            (str(queue._HEAD), "ix_job_queue"),
            (str(queue._AGAIN_AT), "ix_job_paused"),
            (str(queue._ASLEEP.compile(dialect=sqlite.dialect(paramstyle="named"))), "ix_queue_again"),
        ):
            values = of | {"param_1": 1, "phase_1": "waiting", "received_at": "", "job_id": "", "again_at": ""}
            plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"), values)]
            assert any(index in step for step in plan), plan
            assert not any("TEMP B-TREE" in step or step in ("SCAN job", "SCAN queue") for step in plan), plan


def test_a_claim_asks_no_more_where_more_users_wait(log: EventLog):
    """Whoever waits and whoever runs: a claim looks at the first in line alone, and at rows that said too little."""
    asked: list[str] = []
    event.listen(log.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))

    def claims(number: int) -> int:
        asked.clear()
        for _ in range(number):
            claim(log)
        return len(asked)

    for number in range(20):
        submit(log, f"one{number:02}", user="one", received_at=START + timedelta(seconds=number))
    alone = claims(10)
    for number in range(100):
        submit(log, f"many{number:03}", user=f"u{number}", received_at=START + timedelta(seconds=30 + number))
    assert claims(10) <= alone + 10
    assert [job.job_id for job in log.jobs(state="CLAIMED", user="u9")] == ["many009"]


def test_a_claim_asks_no_more_after_a_rebuild_or_a_release(log: EventLog):
    """However many users wait, and were held: each has the place in line that he had."""
    for number in range(50):
        submit(log, f"j{number:02}", user=f"u{number}", received_at=START + timedelta(seconds=number))
    asked: list[str] = []
    event.listen(log.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    claim(log)
    alone = len(asked)
    for number, change in enumerate((lambda: rebuild(log.engine), lambda: hold_and_release(log))):
        change()
        asked.clear()
        assert claim(log).job_id == f"j{number + 1:02}"
        assert len(asked) <= alone + 10


def hold_and_release(log: EventLog) -> None:
    """Hold every job, let somebody look, and let all go."""
    ids = [job.job_id for job in log.jobs(state="QUEUED")]
    Holds(log.engine).put(*(Held(job_id, "", "why") for job_id in ids))
    assert log.claim(["rydberg"], "w", LATER) is None
    Holds(log.engine).release(*ids)


def test_a_user_who_has_nothing_left_but_what_runs_calls_nobody(log: EventLog):
    """While a long job runs, whoever is idle does not take the write lock at each look."""
    submit(log, "a")
    claim(log)
    assert log.claim(["rydberg"], "w", LATER) is None
    with reading(log.engine) as connection:
        assert not queue.may_have_next(connection, ["rydberg"], LATER, None)
    submit(log, "b")
    assert claim(log).job_id == "b"


def test_where_many_rows_say_too_little_others_write_meanwhile(log: EventLog, monkeypatch: pytest.MonkeyPatch):
    """A claim raises some of them in a transaction, and the rest in others; it finds whose turn it is all the same."""
    monkeypatch.setattr(queue, "MOST_RAISED", 5)
    for number in range(20):
        submit(log, f"j{number:02}", user=f"u{number}", received_at=START + timedelta(seconds=number))
    Holds(log.engine).put(*(Held(f"j{number:02}", "", "why") for number in range(18)))
    raised: list[int] = [0]

    def note(*args: Any) -> None:
        raised[-1] += args[2].startswith("UPDATE queue")

    event.listen(log.engine, "before_cursor_execute", note)
    event.listen(log.engine, "commit", lambda _: raised.append(0))
    assert claim(log).job_id == "j18"
    assert sum(raised) == 18
    assert max(raised) <= 5


@on("postgresql")
def test_a_release_and_a_claim_take_turns(log: EventLog, databases: Databases):
    """Both lock the queues of several users: neither waits for the other in their midst."""
    submit(log, "a")
    holds = Holds(log.engine)
    holds.put(Held("a", "", "why"))
    release = threading.Thread(target=holds.release, args=("a",))
    with writing(databases.open(log.engine.url.render_as_string(hide_password=False))) as connection:
        dialect_of(connection).in_turn(connection, Turn.CLAIM)
        release.start()
        release.join(0.3)
        assert release.is_alive()
    release.join()
    assert claim(log).job_id == "a"


def test_priority_orders_the_jobs_of_one_user_in_all_storages(log: EventLog):
    """Wherever a job came from; his turn is when that of the first one is, whoever else is served before."""
    for number, (user, priority, storage) in enumerate(
        [("ann", 0, ""), ("ann", 0, "lab"), ("bob", 0, ""), ("ann", 5, "lab"), ("cat", 0, "lab")]
    ):
        at = START + timedelta(seconds=number)
        submit(log, f"{user}{number}", user=user, priority=priority, storage=storage, received_at=at)
    assert [claim(log).job_id for _ in range(5)] == ["bob2", "ann3", "cat4", "ann0", "ann1"]


def test_priority_orders_the_jobs_of_one_user_alone(log: EventLog):
    """Or each user would give the highest; and an invented name is served when its job was received."""
    submit(log, "mine", user="ann")
    for number in range(3):
        submit(log, f"his{number}", user=f"mallory{number}", priority=10**6, received_at=START + timedelta(seconds=1))
    assert [claim(log).job_id for _ in range(4)] == ["mine", "his0", "his1", "his2"]


@pytest.mark.parametrize("hours", [2, -2])
def test_a_clock_that_is_put_right_holds_up_no_job(log: EventLog, clock: Clock, hours: int):
    """Whatever was written while it was wrong: a job, a pause, a claim; each is served as if it had been right."""
    clock.now = START + timedelta(hours=hours)
    submit(log, "paused", user="ann", received_at=clock.now)
    log.append(claim(log), given_back("storm", clock.now + timedelta(seconds=10)), attempt=1, actor="w")
    submit(log, "mistimed", user="bob", received_at=clock.now)
    clock.now = START
    for number in range(3):
        submit(log, f"others{number}", user=f"u{number}", received_at=START)
    assert {claim(log).job_id for _ in range(2)} == {"paused", "mistimed"}


def test_a_queue_that_says_too_much_is_found_and_made_anew(tmp_path: Path, log_fixtures: Houses):
    """A job that no claim would ever come upon is a difference; a rebuild brings it back."""
    log_fixture = log_fixtures(tmp_path)
    for job_id, damage in (("gone", "DELETE FROM queue"), ("late", "UPDATE queue SET received_at = '~'")):
        log_fixture.submit(job_id)
        log_fixture.relay.update_all()
        verifier = Verifier(log_fixture.log.engine, log_fixture.stores)
        assert list(verifier.all()) == []
        log_fixture.tamper(damage)
        assert log_fixture.log.claim(["rydberg"], "w", LATER) is None
        assert [(each.job_id, each.what) for each in verifier.all()] == [(job_id, "view")]
        rebuild(log_fixture.log.engine)
        assert list(verifier.all()) == []
        assert log_fixture.claim().job_id == job_id
        log_fixture.log.append(log_fixture.log.get(job_id), LOST, attempt=1, actor="w")
        log_fixture.relay.update_all()


def test_a_job_that_is_released_is_claimed(log: EventLog):
    """What was held has its place in line again."""
    submit(log, "a")
    Holds(log.engine).put(Held("a", "", "why"))
    assert log.claim(["rydberg"], "w", LATER) is None
    Holds(log.engine).release("a")
    assert claim(log).job_id == "a"
