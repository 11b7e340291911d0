"""The three steps of a job in its child, and every way in which they may fail."""

import hashlib
import json
import logging
import platform

import pytest

from models.errors import BackendFailed, JobRejected
from tasks.sandbox.job_process import Sandbox
from tests.unit import sandbox_fakes
from tests.unit.sandbox_jobs import DOCUMENT, STEPS, WIDE, Runs, error_of, run_job

pytestmark = pytest.mark.slow


def test_three_calls_give_summary_program_and_result(with_sandbox: Runs) -> None:
    """One child answers the summary, the program with its hash and seeds, and the contract's result document."""

    async def test(sandbox: Sandbox) -> None:
        summary, program, result = await run_job(sandbox, "good")
        assert summary == {"experiments": 2, "shots": 7, "cost": 14}
        assert program["program_sha256"] == hashlib.sha256(program["program"]).hexdigest()
        assert program["seed"] == 5
        assert json.loads(program["program"])["seed"] == 5
        document = json.loads(result["document"])
        assert list(document) == [
            "backend_name", "display_name", "backend_version", "job_id", "qobj_id", "success", "status", "header",
            "results",
        ]  # fmt: skip
        assert document["display_name"] == "fake"
        assert document["job_id"] == "job-1"
        assert document["status"] == "DONE"
        assert [r["name"] for r in document["results"]] == ["experiment_0", "experiment_1"]
        assert result["document"] == json.dumps(document).encode("ascii")
        assert result["versions"]["python"] == platform.python_version()
        expected = hashlib.sha256(sandbox_fakes.CONFIG.model_dump_json().encode()).hexdigest()
        assert result["backend_config_sha256"] == expected
        assert 0 <= result["seconds"] < 1
        assert 0 < result["cpu_seconds"] < 5
        assert 5 < result["max_rss_mb"] < 500

    with_sandbox(test)


def test_each_step_runs_once(with_sandbox: Runs) -> None:
    """A step that has run is not run again, neither by a later step nor by a second call."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
            for _ in range(2):
                await job.call("validate")
                await job.call("compile", seed=1)
            result = await job.call("execute")
        calls = json.loads(result["document"])["results"][0]["calls"]
        assert calls == {"validate": 1, "compile": 1, "execute": 1}

    with_sandbox(test)


def test_execute_alone_runs_the_skipped_steps(with_sandbox: Runs) -> None:
    """A resumed job that goes straight to its execution is validated and compiled on the way, with its seed."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
            result = await job.call("execute", seed=9)
            program = await job.call("compile", seed=9)
        assert json.loads(result["document"])["results"][0]["calls"]["validate"] == 1
        assert json.loads(program["program"])["seed"] == 9

    with_sandbox(test)


def test_another_seed_makes_another_program(with_sandbox: Runs) -> None:
    """A compilation with a different seed is not answered with the program of the first."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", DOCUMENT, job_id="j", limits=WIDE) as job:
            first, second = await job.call("compile", seed=1), await job.call("compile", seed=2)
        assert json.loads(first["program"])["seed"] == 1
        assert json.loads(second["program"])["seed"] == 2

    with_sandbox(test)


@pytest.mark.parametrize("step", STEPS)
def test_every_fault_of_a_rejected_job_arrives(with_sandbox: Runs, step: str) -> None:
    """A rejection in any step arrives with each of its faults and all their fields."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, f"{step}-reject")
        assert isinstance(error, JobRejected)
        with pytest.raises(JobRejected) as expected:
            sandbox_fakes.Actions.reject()
        assert error.faults == expected.value.faults

    with_sandbox(test)


def test_a_foreign_exception_with_faults_is_a_rejection(with_sandbox: Runs) -> None:
    """An exception of an outside package counts as a rejection if it has faults."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, "validate-reject_as_peer")
        assert isinstance(error, JobRejected)
        assert [str(fault) for fault in error.faults] == ["name: no such gate", "not a Fault"]

    with_sandbox(test)


def test_a_document_that_is_no_json_is_rejected(with_sandbox: Runs) -> None:
    """Bytes that are not JSON are the user's fault, found in the child."""

    async def test(sandbox: Sandbox) -> None:
        async with sandbox.job("good", b"{", job_id="j", limits=WIDE) as job:
            with pytest.raises(JobRejected, match="not JSON"):
                await job.call("validate")

    with_sandbox(test)


def test_a_failing_backend_shows_no_path_but_logs_its_traceback(
    with_sandbox: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    """A backend's own exception gives its class and one bounded line without paths; the log has the traceback."""

    async def test(sandbox: Sandbox) -> None:
        with caplog.at_level(logging.DEBUG, "quledger.sandbox"):
            error = await error_of(sandbox, "execute-break_down")
        assert isinstance(error, BackendFailed)
        assert (error.kind, error.retryable) == ("KeyError", False)
        text = str(error)
        assert "KeyError" in text
        assert "3/4 done" in text
        assert len(text) < 300
        assert "\n" not in text
        assert sandbox_fakes.__file__ not in text
        assert "secret.json" not in text
        assert "in break_down" in caplog.text
        assert len(caplog.text) < 20_000

    with_sandbox(test)


@pytest.mark.parametrize(
    ("action", "kind", "retryable"),
    [
        ("be_busy", "BusyError", True),
        ("be_mute", "MuteError", False),
        ("recurse", "RecursionError", False),
        ("leave", "SystemExit", False),
        ("return_object", "TypeError", False),
        ("write_file", "OSError", False),
    ],
)
def test_other_exceptions_tell_their_kind(with_sandbox: Runs, action: str, kind: str, *, retryable: bool) -> None:
    """Whatever a backend raises arrives as its failure, with the backend's own word on another attempt."""

    async def test(sandbox: Sandbox) -> None:
        error = await error_of(sandbox, f"execute-{action}")
        assert isinstance(error, BackendFailed)
        assert (error.kind, error.retryable) == (kind, retryable)

    with_sandbox(test)
    sandbox_fakes.FORBIDDEN_FILE.unlink(missing_ok=True)


def test_an_unknown_backend_is_a_failure(with_sandbox: Runs) -> None:
    """A name that the resolver does not know ends the call with an error and not the child."""

    async def test(sandbox: Sandbox) -> None:
        assert isinstance(await error_of(sandbox, "execute-no_such_action"), BackendFailed)

    with_sandbox(test)
