"""Logs of server and worker: what is written into them, and what is said of them."""

import asyncio
import io
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments.processes import logs
from deployments.processes.logs import open_log, record, report_errors
from tasks.log_files import LogErrors


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is recorded while the test runs, with the loggers as Prefect sets them up."""
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", False)
    output = io.StringIO()
    stop = record(output)
    yield output
    stop()


def test_warnings_and_errors_are_written_whoever_says_them(written: io.StringIO):
    """Libraries, servers that govern their own loggers, and Python's warnings; nothing below a warning."""
    logging.getLogger("somebody").info("quiet")
    logging.getLogger("somebody").warning("first")
    logging.getLogger("uvicorn.error").error("second")
    logging.getLogger("prefect.server.services.scheduler").error("third")
    lines = written.getvalue().splitlines()
    assert [line.split(maxsplit=3)[2:] for line in lines] == [
        ["WARNING", "somebody: first"],
        ["ERROR", "uvicorn.error: second"],
        ["ERROR", "prefect.server.services.scheduler: third"],
    ]


def test_what_is_no_error_of_ours_is_left_out_by_name(written: io.StringIO, monkeypatch: pytest.MonkeyPatch):
    """That a job ended or a drain was stopped is left out, how a job broke is not; of lost places the first try is."""
    runs, places = logging.getLogger("prefect.flow_runs"), logging.getLogger("prefect.concurrency")
    for logger in (runs, logging.getLogger("prefect.task_runs"), places):
        # Where Prefect is at work in this process, it would send them to its API.
        monkeypatch.setattr(logger, "handlers", [])
    runs.error("Finished in state Failed", extra={"flow_name": "run-job"})
    stopped = "Execution was cancelled by the runtime environment."
    runs.error("Crash detected! %s", stopped, extra={"flow_name": "drain-queue"})
    runs.error("Finished in state Crashed(%r)", stopped, extra={"flow_name": "drain-queue"})
    nothing = (None, None, None)
    logging.getLogger("prefect.task_runs").error("Task run failed", exc_info=nothing)
    places.warning("Attempt 1 of function 'concurrency lease renewal' failed with 410 Gone")
    for text in ("Crash detected! {}.", "Finished in state Crashed('{}.')"):
        stopped = text.format("Execution was cancelled by the runtime environment")
        runs.error(stopped, extra={"flow_name": "drain-queue"})
    logging.getLogger("prefect.server").error("Error flushing 8 events", exc_info=asyncio.CancelledError())
    assert written.getvalue() == ""
    runs.error("Finished in state Failed", extra={"flow_name": "verify"})
    places.error("Function 'concurrency lease renewal' failed after 3 attempts")
    runs.error("Encountered exception", exc_info=ValueError("broken"), extra={"flow_name": "run-job"})
    assert written.getvalue().count(" ERROR ") == 3
    assert "ValueError: broken" in written.getvalue()


def test_parameters_of_sql_are_left_out(written: io.StringIO):
    """The statement that failed is shown, its values are not."""
    logging.getLogger("sqlalchemy").error("failed\n[SQL: INSERT INTO x VALUES (?)]\n[parameters: ('value',)]\nend")
    assert "INSERT INTO x" in written.getvalue()
    assert "value'" not in written.getvalue()
    assert written.getvalue().endswith("end\n")


def line(at: datetime, level: str, text: str) -> str:
    """Return a line of a log."""
    return f"{at:%Y-%m-%d %H:%M:%S},123 {level} who: {text}\n"


def test_errors_are_counted_from_now_on(tmp_path: Path):
    """What was there before is old; warnings and tracebacks are no errors; what is still being written waits."""
    log, none = tmp_path / "a.log", tmp_path / "none.log"
    log.write_text(line(datetime(2026, 1, 1, tzinfo=UTC), "ERROR", "old"))
    errors = LogErrors(log, none)
    assert errors.unreported() == []
    with log.open("a") as output:
        output.write(
            line(datetime(2026, 1, 2, tzinfo=UTC), "WARNING", "no error") + "Traceback (most recent call last):\n"
        )
        output.write(
            line(datetime(2026, 1, 2, tzinfo=UTC), "ERROR", "one")
            + line(datetime(2026, 1, 2, tzinfo=UTC), "CRITICAL", "two")[:-1]
        )
        output.flush()
        assert errors.unreported() == [f"1 error in {log}, the last one: 2026-01-02 00:00:00 who: one"]
        output.write("\n")
    assert errors.unreported() == [f"2 errors in {log}, the last one: 2026-01-02 00:00:00 who: two"]
    assert errors.unreported() == []
    assert errors.all() == [f"2 errors in {log}, the last one: 2026-01-02 00:00:00 who: two"]


def test_errors_that_go_on_are_said_at_once_and_then_seldom(tmp_path: Path):
    """The first one of a log is said, the next ones after the pause, and in the end their number."""
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    errors = LogErrors(first, second)
    said = []
    for log in (first, first, second):
        with log.open("a") as output:
            output.write(line(datetime(2026, 1, 1, tzinfo=UTC), "ERROR", "again"))
        said.append([sentence.split(",")[0] for sentence in errors.unreported(pause=1000)])
    assert said == [[f"1 error in {first}"], [], [f"1 error in {second}"]]
    assert [sentence.split(",")[0] for sentence in errors.all()] == [f"2 errors in {first}", f"1 error in {second}"]


def test_errors_are_said_at_the_end(tmp_path: Path):
    """Whatever came while the block ran is said when it ends, and nothing where nothing came."""
    said: list[str] = []
    with report_errors(said.append, tmp_path / "a.log"):
        pass
    assert said == []
    with report_errors(said.append, tmp_path / "a.log"):
        (tmp_path / "a.log").write_text(line(datetime(2026, 1, 1, tzinfo=UTC), "ERROR", "new"))
    assert said[-1] == f"there were errors: 1 error in {tmp_path / 'a.log'}, the last one: 2026-01-01 00:00:00 who: new"


def test_errors_are_counted_since_a_moment(tmp_path: Path):
    """Older ones are not said again."""
    log = tmp_path / "a.log"
    now = datetime(2026, 5, 5, 12, tzinfo=UTC)
    log.write_text(line(now - timedelta(days=2), "ERROR", "old") + line(now, "ERROR", "new"))
    assert LogErrors(log, since=now - timedelta(days=1)).all() == [
        f"1 error in {log}, the last one: 2026-05-05 12:00:00 who: new"
    ]
    assert LogErrors(log, since=now + timedelta(days=1)).all() == []


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When it is next opened, what was written so far is under another name, and errors are still found."""
    monkeypatch.setattr(logs, "MAX_BYTES", 100)
    log = tmp_path / "a.log"
    log.write_text("x" * 101)
    errors = LogErrors(log)
    with open_log(log) as output:
        output.write(line(datetime(2026, 1, 1, tzinfo=UTC), "ERROR", "new").encode())
    assert (tmp_path / "a.log.1").read_text() == "x" * 101
    assert len(errors.unreported()) == 1


def test_an_error_that_nobody_caught_is_written(written: io.StringIO, monkeypatch: pytest.MonkeyPatch):
    """What ends the process is in its log with its traceback."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    logs.record_crash()
    error = ValueError("the end")
    sys.excepthook(ValueError, error, None)
    assert " CRITICAL quledger: the process ends\n" in written.getvalue()
    assert "ValueError: the end" in written.getvalue()
