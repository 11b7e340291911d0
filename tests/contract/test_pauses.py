"""A pause: nothing of the backend is claimed from the moment on in which it is committed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from models.errors import BadName
from models.facts import Submitted
from models.identity.errors import NotChanged
from models.job import State
from models.pauses import Pause, Paused
from models.policy import Then, outcome_of
from storage.audit.rebuild import rebuild
from storage.identity.audit import control_faults
from storage.identity.directory import Directory
from storage.identity.pauses import pause, resume
from storage.log.database import open_database, reading, writing
from storage.log.event_log import EventLog
from storage.log.pauses import pauses
from tasks.jobs.attempt import Attempt
from tests.contract.databases import Databases
from tests.processes import run_together

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Lab:
    """A log by a clock that the test sets, with a job of each of two backends."""

    def __init__(self, url: str, databases: Databases) -> None:
        self.engine = databases.open(url)
        self.now = START
        self.log = EventLog(self.engine, lambda: self.now)
        self.directory = Directory(self.engine, lambda: self.now)
        for backend in ("rydberg", "fermions"):
            fact = Submitted.of(b"{}", keep_up_to=9, backend=backend, source="cli", received_at=START)
            self.log.submit(backend, fact, "test")

    def claim(self, *backends: str) -> str | None:
        job = self.log.claim(backends or ("rydberg", "fermions"), "w", LATER)
        return job and job.job_id

    def events(self) -> list[tuple[str, str]]:
        with reading(self.engine) as connection:
            query = text("SELECT stream, kind FROM control_event ORDER BY stream, seq")
            return [(stream, kind) for stream, kind in connection.execute(query)]


@pytest.fixture
def lab(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A laboratory at nine in the morning."""
    lab = Lab(databases.new(tmp_path), databases)
    monkeypatch.setattr("models.clock.now", lambda: lab.now)
    return lab


def test_nothing_of_a_paused_backend_is_claimed(lab: Lab):
    """Neither in its turn nor by name; other backends go on, and so does it when it is resumed."""
    said = pause(lab.directory, "rydberg", reason="laser", actor="cli:op")
    assert said == Pause(backend="rydberg", reason="laser", since=START, by="cli:op")
    assert lab.claim("rydberg") is None
    assert lab.log.claim_job("rydberg", "w", LATER) is None
    assert lab.claim() == "fermions"
    assert resume(lab.directory, "rydberg", actor="cli:op") == said
    assert lab.claim("rydberg") == "rydberg"
    assert lab.events() == [("backend/rydberg", "backend_paused"), ("backend/rydberg", "backend_resumed")]


def test_jobs_are_taken_all_the_same(lab: Lab):
    """What comes in during the pause waits behind what was there."""
    pause(lab.directory, "rydberg", actor="op")
    fact = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=START + timedelta(seconds=1))
    assert lab.log.submit("second", fact, "test").job.state is State.QUEUED
    resume(lab.directory, "rydberg", actor="op")
    assert [lab.claim("rydberg"), lab.claim("rydberg"), lab.claim("rydberg")] == ["rydberg", "second", None]


def test_a_pause_is_over_by_itself(lab: Lab):
    """At its time, to the moment; nothing is appended for it."""
    pause(lab.directory, "rydberg", until=START + timedelta(hours=1), actor="op")
    lab.now = START + timedelta(hours=1, microseconds=-1)
    assert lab.claim("rydberg") is None
    assert set(pauses(lab.engine)) == {"rydberg"}
    lab.now = START + timedelta(hours=1)
    assert pauses(lab.engine) == {}
    assert lab.claim("rydberg") == "rydberg"
    assert lab.events() == [("backend/rydberg", "backend_paused")]
    assert list(control_faults(lab.engine)) == []
    with pytest.raises(NotChanged, match="would be over already"):
        pause(lab.directory, "rydberg", until=lab.now, actor="op")


def test_the_same_again_is_no_other_pause(lab: Lab):
    """It began when it was said first; other words are another event, and what was never paused needs none."""
    first = pause(lab.directory, "rydberg", reason="laser", actor="op")
    lab.now += timedelta(hours=1)
    assert pause(lab.directory, "rydberg", reason="laser", actor="another") == first
    other = pause(lab.directory, "rydberg", reason="laser", drain_down=True, actor="another")
    assert (other.since, other.by, other.drain_down) == (lab.now, "another", True)
    assert resume(lab.directory, "fermions", actor="op") is None
    assert resume(lab.directory, "rydberg", actor="op") == other
    assert resume(lab.directory, "rydberg", actor="op") is None
    assert [kind for _, kind in lab.events()] == ["backend_paused", "backend_paused", "backend_resumed"]
    with pytest.raises(BadName):
        pause(lab.directory, "Rydberg/..", actor="op")


def test_its_row_is_a_view(lab: Lab):
    """An audit sees a row that was changed, and a rebuild makes it anew."""
    pause(lab.directory, "rydberg", reason="laser", until=LATER, actor="op")
    with writing(lab.engine) as connection:
        connection.execute(text("UPDATE pause SET reason = 'nothing'"))
        connection.execute(text("INSERT INTO pause VALUES ('fermions', false, '', '', '', '')"))
    assert sorted((each.job_id, each.message) for each in control_faults(lab.engine)) == [
        ("backend/fermions", "`pause` has a row that no event accounts for ('fermions')"),
        ("backend/rydberg", "`pause` differs from the events in reason ('rydberg')"),
    ]
    rebuild(lab.engine)
    assert list(control_faults(lab.engine)) == []
    assert {name: each.reason for name, each in pauses(lab.engine).items()} == {"rydberg": "laser"}


def claim_all(go: Callable[[], object], url: str, number: int) -> int:
    """Claim so many times, as a drain does; return how many jobs that gave."""
    log = EventLog(open_database(url))
    go()
    until = datetime.now(UTC) + timedelta(hours=1)
    found = [log.claim(["rydberg"], "w", until) for _ in range(number)]
    log.engine.dispose()
    return len(found) - found.count(None)


def test_no_claim_comes_after_a_pause_that_others_race_with(tmp_path: Path, databases: Databases):
    """Processes claim while it is paused: every claim stands before the pause."""
    url = databases.new(tmp_path)
    engine = databases.open(url)
    log, directory = EventLog(engine), Directory(engine)
    for nth in range(60):
        fact = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", source="cli", received_at=START, user=f"u{nth}")
        log.submit(f"j{nth}", fact, "test")
    said: list[Any] = []

    def meanwhile() -> None:
        while not log.counts()["rydberg"].get("running"):
            pass
        pause(directory, "rydberg", actor="op")
        said.append(log.counts()["rydberg"])

    claimed = run_together(claim_all, *((url, 60) for _ in range(2)), meanwhile=meanwhile)
    assert log.counts()["rydberg"] == said[0]
    assert sum(claimed) == said[0]["running"] > 0


def test_what_has_not_begun_is_given_back_but_for_a_drain_down(lab: Lab):
    """An attempt asks just before it executes; it uses up no attempt."""
    services = SimpleNamespace(log=lab.log)
    attempt: Any = SimpleNamespace(services=services, job=lab.log.get("rydberg"))
    Attempt.check_pause(attempt)
    pause(lab.directory, "rydberg", drain_down=True, actor="op")
    Attempt.check_pause(attempt)
    pause(lab.directory, "rydberg", reason="laser", actor="op")
    with pytest.raises(Paused, match="given back: rydberg is paused: laser") as raised:
        Attempt.check_pause(attempt)
    assert outcome_of(raised.value, "execution").then is Then.RELEASE
