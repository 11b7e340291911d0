"""Launched runs that people cancel, change or delete at the worst moment, and many launches at once.

The drains run in this process, against the session's Prefect server.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from models.errors import Fault
from models.retry import failure
from models.settings import Settings
from tasks.jobs.submission import revive
from tasks.services import Services, use
from tests.crash.drains import Drains
from tests.crash.launched import UI_CANCEL, Body, Launches


@pytest.fixture
def launches(tmp_path: Path, prefect_api: str, drains: Drains) -> Iterator[Launches]:
    """Services of their own, and the deployment at the session's Prefect server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - Prefect takes seconds to import

    from flows.prefect_api.engine import flush_prefect  # noqa: PLC0415 - as above

    settings = Settings(home=tmp_path, retry_seconds=0.05, poll_seconds=0.05, publish_seconds=0.3, lease_seconds=2)
    services = Services(settings)
    drains.lend(services)
    use(services)
    launches = Launches(services, drains, prefect_api)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield launches
        flush_prefect()
    launches.close()
    use(None)


CANCELS: dict[str, Body] = {
    "in the UI": UI_CANCEL,
    "at the command line": UI_CANCEL | {"force": False},
    "by force": {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True},
}


def test_a_run_that_is_cancelled_just_before_it_begins_is_not_run(launches: Launches):
    """However it is cancelled, whether it began at once or waited before: log and Prefect agree that it is."""
    runs = {launches.launch(): body for body in CANCELS.values()} | {launches.launch(): None}

    def cancel(run_id: str) -> None:
        if body := runs.get(run_id):
            launches.set_state(run_id, body)

    # The first begins as soon as it is seen, and the others wait for it.
    with launches.before_setting("RUNNING", cancel):
        launches.drain(len(runs), concurrency=1)
    *cancelled, good = runs
    for run_id in cancelled:
        assert {"cancel_requested", "executed"} & {*launches.kinds(run_id)} == {"cancel_requested"}
        assert launches.kinds(run_id)[-1] == "cancelled"
        assert launches.state(run_id) in ("CANCELLED", "CANCELLING")  # which the next drain settles
    assert (launches.kinds(good)[-1], launches.state(good)) == ("completed", "COMPLETED")
    assert launches.findings() == []


def test_no_program_is_executed_before_prefect_has_said_whether_its_run_was_cancelled(launches: Launches):
    """All before that goes on meanwhile, as the job may well be good."""
    run_id = launches.launch()

    def compiled(of: str) -> bool:
        return "compiled" in launches.kinds(of)

    def cancel(each: str) -> None:
        if each == run_id:
            launches.set_state(each, CANCELS["by force"])

    with launches.before_setting("RUNNING", cancel), launches.states_told_when(compiled):
        launches.drain(1)
    assert launches.kinds(run_id)[-1] == "cancelled"
    assert "executed" not in launches.kinds(run_id)


CHANGES: dict[str, Body] = {
    "failed": {"state": {"type": "FAILED", "name": "Failed"}, "force": True},
    "crashed": {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True},
    "completed": {"state": {"type": "COMPLETED", "name": "Completed"}, "force": True},
    "suspended": {"state": {"type": "PAUSED", "name": "Suspended"}, "force": True},
    "scheduled again": {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True},
    "deleted": {},
}


@pytest.mark.parametrize("when", ["RUNNING", "COMPLETED"])
def test_a_run_that_is_changed_or_deleted_at_the_worst_moment_loses_no_job(launches: Launches, when: str):
    """Right before it begins, and right before it ends: the log keeps to itself, and each job is done once."""
    runs = {launches.launch(): body for body in CHANGES.values()}

    def change(run_id: str) -> None:
        if run_id in runs:  # not the new run of a job whose run is deleted
            launches.set_state(run_id, runs[run_id])

    with launches.before_setting(when, change):
        launches.drain(len(runs))
    *kept, _deleted = runs
    for run_id in runs:
        assert launches.kinds(run_id).count("completed") == 1
    assert {launches.state(run_id) for run_id in kept} == {"COMPLETED"}
    assert launches.findings() == []


@pytest.mark.parametrize("key", [None, "k"])
def test_a_cancel_is_not_lost_to_who_ends_dead_runs(launches: Launches, key: str | None):
    """A worker fell silent, its job waits again; who cancels its run, just as that is about to be Crashed, is heard.

    The run had not got its name yet.
    """
    from flows.prefect_api.run_sync import cancel_as_in_prefect, crash_dead_runs  # noqa: PLC0415 - Prefect is imported

    async def look() -> None:
        from prefect.client.orchestration import get_client  # noqa: PLC0415 - as above

        await crash_dead_runs(services)
        async with get_client() as client:
            await cancel_as_in_prefect(services, client)

    services = launches.services
    first = launches.launch(key=key)
    job = launches.taken(first)
    launches.set_state(first, {"state": {"type": "RUNNING", "name": "Running"}, "force": True})
    claimed = services.claims.claim(["singlequdit"])
    assert claimed is not None
    services.claims.end_attempt(claimed)
    object.__setattr__(services, "settings", services.settings.model_copy(update={"lease_seconds": 0.0}))
    with launches.before_setting("CRASHED", lambda run_id: launches.set_state(run_id, UI_CANCEL)):
        launches.run(look())
    assert services.log.get(job.job_id).state == "CANCELLED"
    assert launches.state(first) == "CANCELLED"


def test_who_cancels_a_run_that_ended_as_an_earlier_one_s_job_cancels_the_run_alone(launches: Launches):
    """It had ended, and Prefect has it *Cancelling* all the same; the job is that of another launch with its key."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - Prefect takes seconds to import

    from flows.prefect_api.run_sync import cancel_as_in_prefect  # noqa: PLC0415 - as above

    async def look() -> None:
        async with get_client() as client:
            await cancel_as_in_prefect(launches.services, client)

    first, again = launches.launch(key="k"), launches.launch(key="k")
    job = launches.taken(first)
    assert launches.taken(again).job_id == job.job_id
    launches.set_state(again, CHANGES["completed"])
    launches.set_state(again, UI_CANCEL)
    launches.run(look())
    assert launches.state(again) == "CANCELLED"
    assert launches.services.log.get(job.job_id).state == "QUEUED"


def test_a_run_that_died_as_an_earlier_one_s_job_ends_with_that(launches: Launches):
    """Its worker was killed before it could name it; nothing but its key says whose job it was to be."""
    from flows.prefect_api.run_sync import crash_dead_runs  # noqa: PLC0415 - Prefect takes seconds to import

    services = launches.services
    first, again = launches.launch(key="k"), launches.launch(key="k")
    launches.set_state(again, {"state": {"type": "RUNNING", "name": "Running"}, "force": True})
    launches.drain(1)
    launches.run(crash_dead_runs(services))
    assert [launches.state(each) for each in (first, again)] == ["COMPLETED", "RUNNING"]
    object.__setattr__(services, "settings", services.settings.model_copy(update={"lease_seconds": 0.0}))
    launches.run(crash_dead_runs(services))
    assert launches.state(again) == "COMPLETED"


def test_launches_that_come_together_are_taken_together(launches: Launches):
    """They are in the log in their order, told of at once, run once each; bad ones keep none of them from it."""
    from flows.draining.launch_intake import take_in  # noqa: PLC0415 - Prefect takes seconds to import

    before = launches.launch(user="a drain that was killed had taken it")
    launches.taken(before)
    runs = [before, *(launches.launch(user=f"u{number}") for number in range(4))]
    bad = launches.launch(program=" ")
    first, again = launches.launch(key="k"), launches.launch(key="k")
    with launches.noting():
        launches.drain(6, concurrency=1)
    jobs = [launches.job(run_id) for run_id in runs]
    assert [job.submitted_at for job in jobs] == sorted(job.submitted_at for job in jobs)
    for run_id in runs:
        assert launches.kinds(run_id).count("completed") == 1
    assert {launches.state(run_id) for run_id in (*runs, first, again)} == {"COMPLETED"}
    assert (launches.state(bad), len(launches.services.log.jobs())) == ("FAILED", 6)
    sent = Counter(
        path.replace(run_id, "ID") for path in launches.sent for run_id in (*runs[1:], first) if run_id in path
    )
    assert sent["GET /api/flow_runs/ID"] == 0
    assert launches.findings() == []
    assert take_in(launches.services, []) == []


def test_a_job_that_is_given_another_chance_is_run_though_its_run_was_cancelled(launches: Launches):
    """The cancellation came too late for its earlier life, and counts no more in the next one."""
    run_id, services = launches.launch(), launches.services
    job = launches.taken(run_id)
    claimed = services.claims.claim(["singlequdit"])
    assert claimed is not None
    broke = failure("upload", "infrastructure", (Fault(message="storm"),))
    services.log.append(claimed.job, broke, attempt=1, actor="w", token=claimed.token)
    services.claims.forget(claimed.token)
    launches.set_state(run_id, CANCELS["by force"])
    revive(services, job.job_id)
    launches.drain(1)
    assert launches.kinds(run_id)[-1] == "completed"


def test_a_worker_without_a_drain_takes_a_launch_into_the_log_before_it_says_so(launches: Launches):
    """Whatever is killed after Prefect heard that somebody has the run, the next drain runs its job."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - Prefect takes seconds to import

    from deployments.processes.worker import Worker  # noqa: PLC0415 - as above
    from flows.prefect_api.names import JOBS  # noqa: PLC0415 - as above

    class Killed(BaseException):
        pass

    async def take() -> None:
        async with get_client() as client:
            worker = Worker(launches.services, client)
            worker._deployments = {UUID(launches.deployment): JOBS}
            await worker._take_due()

    def kill(_run_id: str) -> None:
        raise Killed

    run_id = launches.launch()
    with launches.before_setting("PENDING", kill), pytest.raises(Killed):
        launches.run(take())
    launches.set_state(run_id, {"state": {"type": "PENDING", "name": "Pending"}})
    launches.drain(1)
    assert launches.kinds(run_id)[-1] == "completed"
