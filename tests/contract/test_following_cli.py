"""`quledger wait`, `watch` and `submit --wait`, as a user calls them."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from deployments.cli import render
from models.errors import Fault, LogUnavailable
from models.facts import Failed, Validated
from storage.log.event_log import EventLog
from tasks.jobs.following import following
from tasks.jobs.submission import cancel
from tasks.services import Services
from tests.contract.conftest import Houses
from tests.contract.databases import Databases, on
from tests.contract.log_fixture import LATER
from tests.contract.test_labels_cli import SPIN, submitted
from tests.finished import experiment, finish, run
from tests.program import Program
from tests.waiting import until

GUILTY = Failed(stage="validation", blame="user", faults=(Fault(message="wrong"),), fault_count=1)
LOST = GUILTY.model_copy(update={"blame": "infrastructure", "stage": "upload"})


@pytest.fixture
def program(
    tmp_path: Path, databases: Databases, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """The program over an empty log, and a folder with a document."""
    monkeypatch.setenv("QULEDGER_DATABASE", databases.new(tmp_path))
    monkeypatch.setenv("QULEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("job.json").write_text(json.dumps(SPIN))
    return Program(tmp_path / "home", capsys)


def meanwhile(program: Program, do: Callable[[Services, str], object], call: Callable[[], object]) -> None:
    """Do something with the job that waits while a call waits for it."""

    def when_it_is_there() -> None:
        with program.services() as services:
            until(lambda: bool(services.log.jobs(state="QUEUED")), 30)
            do(services, services.log.jobs(state="QUEUED")[0].job_id)

    thread = threading.Thread(target=when_it_is_there)
    thread.start()
    call()
    thread.join()


def test_wait_ends_with_the_last_job(program: Program):
    """With 0 where all are DONE, with 1 where one is not, or the time is over."""
    first, second = submitted(program, group="g"), submitted(program, group="g")
    assert program("wait", first, "--timeout", "0")[0] == 1
    with program.services() as services:
        finish(services, first, experiment("experiment_0", "1"))
    code, out, err = program("wait", first[:8], first)
    assert (code, out, err) == (0, "", f"{first} DONE\n")

    def wait() -> None:
        values = program.json("wait", "--group", "g")
        assert [(value["job_id"], value["state"]) for value in values] == [(first, "DONE"), (second, "DONE")]

    meanwhile(program, lambda services, job: finish(services, job, experiment("experiment_0", "1")), wait)
    third = submitted(program)
    with program.services() as services:
        cancel(services, third, by="me")
    code, out, err = program("wait", first, third, "--json")
    assert (code, [value["state"] for value in json.loads(out)], err) == (1, ["DONE", "CANCELLED"], "")
    assert "--timeout: say a number" in program.refused("wait", first, "--timeout", "nan")
    assert "say which jobs" in program.refused("wait")
    assert "no job has the id" in program.refused("wait", "nosuch")


@on("sqlite")
def test_submit_waits_for_the_result(program: Program):
    """And prints it; the exit code says how the job ended."""
    call = ("submit", "singlequdit", "job.json", "--no-check", "--wait")

    def shown() -> None:
        code, out, err = program(*call)
        assert code == 0
        assert "experiment_0: 3 shots" in out
        assert "█" in out
        assert err.splitlines()[-1] == "  DONE"
        assert err.startswith("job ")

    meanwhile(program, lambda services, job: finish(services, job, experiment("experiment_0", "1", "1", "2")), shown)

    def as_json() -> None:
        code, out, _ = program(*call, "--json")
        value = json.loads(out)
        assert (code, value["state"], value["result"]) == (2, "ERROR", None)
        assert value["reason"] == "wrong"

    meanwhile(program, lambda services, job: run(services, job, GUILTY), as_json)
    meanwhile(program, lambda services, job: run(services, job, LOST), lambda: ends_with(program, call, 1, "in ERROR"))
    ends_with(program, (*call, "--timeout", "0.1"), 1, "the time is over")


def ends_with(program: Program, call: tuple[str, ...], code: int, said: str) -> None:
    """Make a call that ends so."""
    found, out, err = program(*call)
    assert (found, out) == (code, "")
    assert said in err


LIFE = ["QUEUED", "CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED", "DONE"]


@on("sqlite")
def test_watch_prints_a_line_for_each_change(program: Program):
    """Where it is no terminal; of jobs that are named it ends with the last."""
    job = submitted(program)

    def lines() -> None:
        code, out, _ = program("watch", job)
        assert code == 0
        found = [line.split(" ", 3) for line in out.splitlines()]
        # It may begin at any moment, and whatever comes between two looks is one change.
        states = [line[2] for line in found]
        assert ([line[1] for line in found], states[-1]) == ([job] * len(found), "DONE")
        assert states == [each for each in LIFE if each in states]
        assert found[0][0].endswith("Z")

    meanwhile(program, lambda services, job: finish(services, job, experiment("experiment_0", "1")), lines)
    code, out, _ = program("watch", job, "--json")
    assert (code, json.loads(out)["state"]) == (0, "DONE")
    assert "no job has the id" in program.refused("watch", "nosuch")


@on("sqlite")
def test_watch_is_a_table_in_a_terminal(program: Program, monkeypatch: pytest.MonkeyPatch):
    """Which is drawn anew with each change."""
    job = submitted(program)
    screen = Console(force_terminal=True, width=100, file=io.StringIO())
    monkeypatch.setattr(render, "console", screen)
    meanwhile(
        program,
        lambda services, job: finish(services, job, experiment("experiment_0", "1")),
        lambda: program("watch", job),
    )
    assert isinstance(screen.file, io.StringIO)
    assert "singlequdit" in screen.file.getvalue()
    assert screen.file.getvalue().rindex("DONE") > screen.file.getvalue().rindex("submitted")


@on("sqlite")
def test_watch_of_all_goes_on_until_it_is_interrupted(program: Program, monkeypatch: pytest.MonkeyPatch):
    """What had ended before is no change; Ctrl-C is the usual end."""
    ended, waits = submitted(program), submitted(program)
    with program.services() as services:
        finish(services, ended, experiment("experiment_0", "1"))
    turns = iter(range(3))

    def sleep(_seconds: float) -> None:
        if next(turns) == 1:
            raise KeyboardInterrupt
        with program.services() as services:
            cancel(services, waits, by="me")

    # The pauses of whoever follows, and of no thread besides.
    monkeypatch.setattr("tasks.jobs.following.time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    code, out, _ = program("watch")
    assert (code, [line.split()[1:3] for line in out.splitlines()]) == (0, [[waits, "QUEUED"], [waits, "CANCELLED"]])


def test_only_what_has_changed_is_read_again(tmp_path: Path, log_fixtures: Houses, monkeypatch: pytest.MonkeyPatch):
    """Who waits asks for numbers of events; a log that does not answer in between is asked again."""
    log_fixture = log_fixtures(tmp_path)
    jobs = [log_fixture.submit(name).job_id for name in ("a", "b")]
    log = log_fixture.log
    looks = 0

    def look() -> dict[str, int]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise LogUnavailable("away")
        return log.last_events(jobs)

    read: list[str] = []
    get = EventLog.get
    monkeypatch.setattr(EventLog, "get", lambda self, job_id: (read.append(job_id), get(self, job_id))[1])
    turns = following(log, look, 30, look_seconds=0.001)
    assert [job.job_id for job in next(turns)] == jobs
    assert next(turns) == next(turns) == []
    claimed = log.claim_job("b", "w", LATER)
    assert claimed is not None
    assert [(job.job_id, job.state) for job in next(turns)] == [("b", "CLAIMED")]
    assert read == ["a", "b", "b"]
    log.append(claimed, Validated(experiments=1, shots=1), attempt=1, actor="w")
    assert log.in_sight(1) == {"b": 2, "a": 0}
    with pytest.raises(LogUnavailable):
        next(following(log, lambda: (_ for _ in ()).throw(LogUnavailable("away"))))  # type: ignore[arg-type]


@on("sqlite")
def test_who_asks_too_early_for_a_result_is_told_where_to_look(program: Program):
    """And of a job that never gets one nobody is told to wait."""
    job = submitted(program)
    code, out, err = program("result", job)
    why = f"`quledger why {job}` says what it waits for"
    assert (code, out, err) == (1, "", f"quledger: job {job} is QUEUED; it has no result yet, and {why}\n")
    with program.services() as services:
        cancel(services, job, by="me")
    assert program("result", job)[2] == f"quledger: job {job} is CANCELLED; it has no result\n"


@on("sqlite")
def test_who_waits_is_told_what_keeps_the_job(program: Program, monkeypatch: pytest.MonkeyPatch):
    """A pause where there is one, else that nobody has taken it."""
    monkeypatch.setattr("deployments.cli.following.HINT_SECONDS", 0)
    job = submitted(program)
    assert "nobody has taken what waits" in program("wait", job, "--timeout", "0.5")[2]
    program.said("pause", "singlequdit", "--reason", "laser")
    code, out, err = program("wait", job, "--timeout", "0.5")
    assert (code, out, err.splitlines()[:2]) == (1, "", ["waiting for 1 job ...", "singlequdit is paused: laser"])
    assert "nobody" not in err
