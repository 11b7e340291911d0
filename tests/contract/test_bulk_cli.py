"""`quledger cancel` and `retry` with a filter: first it is said which jobs they are, then it is done, once."""

from datetime import timedelta
from pathlib import Path

import pytest

from models import clock
from models.errors import Fault
from models.facts import Failed, Submitted
from models.job import State
from storage.identity.pauses import pause
from storage.log.submissions import Entry, begin_all
from tasks.services import Services
from tests.program import Program


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """Two jobs of alice wait, one of bob; one of alice and one of bob have failed, one of them by its own fault."""
    program = Program(tmp_path / "home", capsys)
    with program.services() as services:
        for blame, job_id in (("infrastructure", "broken"), ("user", "faulty")):
            submit(services, "alice", job_id)
            job = services.log.claim(["rydberg"], "w", clock.now() + timedelta(hours=1))
            assert job is not None
            fault = Failed(stage="execution", blame=blame, faults=(Fault(message="x"),), fault_count=1)
            services.log.append(job, fault, attempt=1, actor="w")
        submit(services, "alice", "a0", "a1")
        submit(services, "bob", "b0")
        submit(services, "bob", "b1", hours=5)
        pause(services.directory, "rydberg", actor="test")
    return program


def submit(services: Services, user: str, *job_ids: str, hours: float = 0) -> None:
    """Hand in jobs, so many hours ago."""
    at = clock.now() - timedelta(hours=hours)
    entries = [
        Entry(Submitted.of(b"{}", keep_up_to=9, backend="rydberg", user=user, source="cli", received_at=at), job_id)
        for job_id in job_ids
    ]
    begin_all(services.log.engine, entries, "test", lambda: at)


def states(program: Program, *job_ids: str) -> list[State]:
    """Return how jobs stand."""
    with program.services() as services:
        return [services.log.get(job_id).state for job_id in job_ids]


def test_jobs_are_cancelled_by_user(program: Program):
    """First nothing is done; then they are, and the second time there is nothing to do."""
    said = program.said("cancel", "--user", "alice")
    assert said.endswith("cancel is for 2 jobs, and nothing was done; --yes does it\n")
    assert "a0" in said
    assert program.json("cancel", "--user", "alice") == {"dry_run": True, "job_ids": ["a0", "a1"], "failed": []}
    assert states(program, "a0", "a1") == ["QUEUED", "QUEUED"]
    done = program.json("cancel", "--user", "alice", "--yes", "--reason", "holidays")
    assert done == {"dry_run": False, "job_ids": ["a0", "a1"], "failed": []}
    assert states(program, "a0", "a1", "b0", "broken") == ["CANCELLED", "CANCELLED", "QUEUED", "ERROR"]
    assert "holidays" in program.said("status", "a0")
    assert program.said("cancel", "--user", "alice", "--yes") == "0 jobs cancelled, or being stopped\n"


def test_jobs_are_cancelled_by_time_and_state(program: Program):
    """All that is said narrows."""
    assert program.json("cancel", "--until", "1h", "--backend", "rydberg")["job_ids"] == ["b1"]
    assert program.json("cancel", "--since", "1h", "--state", "QUEUED", "--user", "bob")["job_ids"] == ["b0"]
    assert program.json("cancel", "--state", "EXECUTED")["job_ids"] == []
    assert program.json("cancel", "--label", "sample=A7")["job_ids"] == []
    assert program.json("cancel", "--group", "nosuch")["job_ids"] == []


def test_jobs_are_tried_again(program: Program):
    """Those that failed through no fault of their own alone."""
    assert program.json("retry", "--backend", "rydberg")["job_ids"] == ["broken"]
    assert program.said("retry", "--backend", "rydberg", "--yes") == "1 job waiting again\n"
    assert states(program, "broken", "faulty") == ["QUEUED", "ERROR"]
    assert program.json("retry", "--backend", "rydberg", "--yes")["job_ids"] == []


def test_what_fails_is_named_and_holds_up_no_other(program: Program):
    """A job that is held stays; the others are cancelled, and the code is 1."""
    with program.services() as services:
        from storage.log.holds import Held  # noqa: PLC0415

        services.holds.put(Held("a0", "", "its mirror knows more"))
    code, out, err = program("cancel", "--backend", "rydberg", "--yes")
    assert (code, out) == (1, "3 jobs cancelled, or being stopped\n")
    assert err.startswith("quledger: job a0 is held: its mirror knows more")
    assert states(program, "a0", "a1", "b0", "b1") == ["QUEUED", "CANCELLED", "CANCELLED", "CANCELLED"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say which jobs: by backend, state"),
        (("--yes",), "say which jobs"),
        (("a0", "--user", "alice"), "or say by options which jobs; not both"),
        (("a0", "--yes"), "not both"),
        (("--since", "yesterday"), "--since: 'yesterday' is no time"),
        (("--state", "DONE"), "cancel is for jobs that are CLAIMED"),
        (("--state", "LOST"), "LOST"),
        (("--label", "sample"), "write it as NAME=VALUE"),
        (("nosuch",), "no job has the id"),
    ],
)
def test_what_cannot_be_is_refused(program: Program, arguments: tuple[str, ...], said: str):
    """And nothing is done."""
    assert said in program.refused("cancel", *arguments)
    assert states(program, "a0", "a1", "b0", "b1") == ["QUEUED"] * 4
