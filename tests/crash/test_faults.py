"""The storage fails, hangs or writes half; the database is locked; Prefect's server dies. Nothing is lost.

These drains run in this process, against the session's Prefect server, so that each call of the storage can be made
to fail in turn. QULEDGER_TEST_CRASH=all tries every call, otherwise a sample.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from models.errors import DocumentTooLarge, StorageUnavailable
from models.job import State
from models.settings import Settings
from models.submissions import Submission
from storage.providers.protocol import StorageProvider
from storage.providers.stores import Stores
from tasks.services import Services, use
from tests.contract.log_fixture import events_in
from tests.crash.drains import Drains
from tests.installation import DRAIN, Installation, experiment
from tests.waiting import until

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
GOOD = {"experiment_0": experiment(["load", [0], [9]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=50)}
CALLS = ("get", "put", "create", "move", "delete", "exists", "entries")


class Faulty:
    """A storage whose n-th call fails.

    It raises: at once (`raise`), after a while (`hang`), with half a document written (`half`), or for five seconds,
    as do all other calls (`outage`).
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.url = inner.url
        self.calls = 0
        self.fail_at = 0
        self.way = "raise"
        self.down_until = 0.0
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in CALLS:
            return method

        def call(*args: Any) -> Any:
            if time.monotonic() < self.down_until:
                raise StorageUnavailable(f"down: {name}")
            with self.lock:
                self.calls += 1
                strike = self.calls == self.fail_at
            if not strike:
                return method(*args)
            if self.way == "hang":
                time.sleep(1.0)
            if self.way == "outage":
                self.down_until = time.monotonic() + 5
            if self.way == "half" and name in {"put", "create"}:
                self.inner.put(args[0], args[1][: len(args[1]) // 2])
            raise StorageUnavailable(f"made to fail: {name}")

        return call


@dataclass(frozen=True, eq=False)
class FaultyServices(Services):
    """Services on a storage that can be made to fail.

    Attributes:
        unserved: what drains left behind.
        drains: how they are run.
    """

    unserved: list[str] = field(default_factory=list)
    drains: Drains = field(kw_only=True)

    @cached_property
    def stores(self) -> Stores:
        return Stores.single(Faulty(super().stores.of("")))

    @property
    def storage(self) -> StorageProvider:
        return self.stores.of("")


@pytest.fixture
def log_fixture(tmp_path: Path, prefect_api: str, drains: Drains, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Services of their own on a storage that can be made to fail, with Prefect at hand."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - Prefect takes seconds to import

    from flows.prefect_api.engine import flush_prefect  # noqa: PLC0415 - as above

    settings = Settings(
        home=tmp_path,
        retry_seconds=0.05,
        poll_seconds=0.05,
        publish_seconds=0.3,
        lease_seconds=2,
        max_attempts=getattr(request, "param", 9),
    )
    unserved: list[str] = []
    services = FaultyServices(settings, on_unserved=unserved.extend, unserved=unserved, drains=drains)
    drains.lend(services)
    use(services)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield services
        flush_prefect()
    use(None)


def fill(log_fixture: Any, number: int = 2) -> list[str]:
    """Queue good jobs as a front end does."""
    ids = [f"{index:024x}" for index in range(number)]
    for job_id in ids:
        log_fixture.storage.inner.put(f"jobs/queued/singlequdit/{job_id}.json", json.dumps(GOOD).encode())
    return ids


def drain(log_fixture: Any) -> dict[str, int]:
    """Drain in this process until nothing is left."""
    from flows.drain_queue import drain_queue  # noqa: PLC0415 - Prefect takes seconds to import

    ended: dict[str, int] = log_fixture.drains.run(drain_queue(backends=["singlequdit"], concurrency=2))
    return ended


def check(log_fixture: Any, ids: list[str]) -> None:
    """Each job is DONE and completed once; log and mirror are equal."""
    for job_id in ids:
        events = log_fixture.log.history(job_id)
        assert log_fixture.log.get(job_id).state is State.DONE
        assert [event.kind for event in events].count("completed") == 1
        history = log_fixture.storage.inner.get(f"events/singlequdit/{job_id}.json")
        assert events_in(history, job_id) == events
        assert json.loads(log_fixture.storage.inner.get(f"status/singlequdit/{job_id}.json"))["status"] == "DONE"
        assert log_fixture.storage.inner.exists(f"jobs/finished/singlequdit/{job_id}.json")
        result = json.loads(log_fixture.storage.inner.get(f"results/singlequdit/{job_id}.json"))
        assert len(result["results"][0]["data"]["memory"]) == 50
    assert log_fixture.cursor.behind() == []


def is_over(log_fixture: Any, job_id: str) -> bool:
    """Say whether the log knows of nothing that is left to do."""
    done = {job.job_id for job in log_fixture.log.jobs(state="DONE")}
    return job_id in done and log_fixture.cursor.behind() == []


def test_a_storage_that_fails_at_any_call_loses_nothing(log_fixture: Any):
    """Whichever call of the storage fails, in whatever way, the drain goes on or the next one ends every job."""
    ids = fill(log_fixture, 1)
    drain(log_fixture)
    check(log_fixture, ids)
    calls = log_fixture.storage.calls
    assert calls > 15
    ways = ("raise", "half", "hang")
    for fail_at in range(1, calls + 1, 1 if ALL else 7):
        way = ways[fail_at % len(ways)]
        fresh = f"{way}{fail_at}x".ljust(24, "0")
        log_fixture.storage.inner.put(f"jobs/queued/singlequdit/{fresh}.json", json.dumps(GOOD).encode())
        log_fixture.storage.calls, log_fixture.storage.fail_at, log_fixture.storage.way = 0, fail_at, way
        try:
            drain(log_fixture)
        except StorageUnavailable:
            # A storage that fails at the very start, when the backends are published, is said at once.
            assert fail_at < 12
        log_fixture.storage.fail_at = 0
        if not is_over(log_fixture, fresh):
            drain(log_fixture)
        check(log_fixture, [fresh])


@pytest.mark.parametrize("log_fixture", [2], indirect=True, ids=["two attempts"])
def test_a_storage_that_is_down_for_a_while_costs_no_attempt(log_fixture: Any):
    """Jobs whose attempts meet a storage that is down wait until it is back, however few attempts they have."""
    ids = fill(log_fixture, 3)
    log_fixture.storage.fail_at, log_fixture.storage.way = 12, "outage"  # the first job is just being taken
    drain(log_fixture)
    assert log_fixture.storage.down_until > 0
    check(log_fixture, ids)
    assert all(log_fixture.log.get(job_id).failures == 0 for job_id in ids)


def test_a_locked_database_is_waited_for(log_fixture: Any, tmp_path: Path):
    """While another process holds the database nothing happens; afterwards everything does."""
    ids = fill(log_fixture)
    assert log_fixture.log  # opened, so that the tables are there
    seconds = 30 if ALL else 4
    holder = sqlite3.connect(tmp_path / "quledger.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(seconds, lambda: holder.execute("ROLLBACK"))
    started = time.monotonic()
    release.start()
    drain(log_fixture)
    release.join()
    holder.close()
    assert time.monotonic() - started > seconds
    check(log_fixture, ids)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB, where this machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_is_lost(installation: Installation, small_disk: Path):
    """On a full disk the program says so and what to do; when there is room again every job is run."""
    installation.home, installation.store = small_disk / "home", small_disk / "store"
    installation.environment |= {
        "QULEDGER_HOME": str(installation.home),
        "QULEDGER_STORAGE": installation.store.as_uri(),
    }
    ids = [installation.submit("singlequdit", GOOD) for _ in range(3)]
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    refused = installation.run("submit", "singlequdit", "-", text=json.dumps(GOOD), check=False)
    stuck = installation.run(*DRAIN, "--time-budget", "3", check=False)
    for done in (refused, stuck):
        assert done.returncode == 1
        assert "free some space" in done.stderr or "No space left" in done.stderr
        assert "Traceback" not in done.stderr
    ballast.unlink()
    installation.run(*DRAIN)
    states = installation.states()
    assert all(states[job_id] == "DONE" for job_id in ids)
    assert set(states.values()) == {"DONE"}


def waits(installation: Installation, ids: list[str]) -> list[dict[str, Any]]:
    """Return what the histories say of attempts that were put off."""
    return [event for job_id in ids for event in installation.history(job_id) if event["kind"] == "retried"]


def test_a_full_storage_is_waited_for_and_costs_no_attempt(installation: Installation, small_disk: Path):
    """While the storage has room for status and history but for no result, jobs wait; then all end without help."""
    installation.store = small_disk / "store"
    installation.environment |= {"QULEDGER_STORAGE": installation.store.as_uri(), "QULEDGER_PUBLISH_SECONDS": "1"}
    large = {"experiment_0": experiment(["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []], shots=100_000)}
    ids = [f"{number:024x}" for number in range(3)]
    for job_id in ids:
        installation.queue("singlequdit", f"{job_id}.json", json.dumps(large).encode())
    (small_disk / "ballast").write_bytes(bytes(8_000_000 - 350_000))
    drain = installation.start(*DRAIN)
    try:
        until(lambda: waits(installation, ids) or drain.poll() is not None)
        assert drain.poll() is None, drain.printed()
        said = json.dumps(waits(installation, ids))
        (small_disk / "ballast").unlink()
        output, _ = drain.communicate(timeout=240)
    finally:
        drain.kill()
        drain.wait()
    assert drain.returncode == 0, output
    assert "no room for a document of 0.6 MB" in said
    assert installation.states() == dict.fromkeys(ids, "DONE")
    assert {installation.log.get(job_id).failures for job_id in ids} == {0}
    assert list(small_disk.rglob(".*.tmp")) == []
    assert installation.findings() == []


def test_a_result_that_a_storage_never_takes_ends_its_job(log_fixture: Any, monkeypatch: pytest.MonkeyPatch):
    """A document too large for the storage is said to be so at once: no attempt can mend it, and no other job waits."""
    ids = fill(log_fixture, 1)
    original = log_fixture.storage.inner.put

    def put(path: str, content: bytes) -> None:
        if path.startswith("staged/0"):
            raise DocumentTooLarge("never", len(content))
        original(path, content)

    monkeypatch.setattr(log_fixture.storage.inner, "put", put)
    assert drain(log_fixture) == {"ERROR": 1}
    job = log_fixture.log.get(ids[0])
    assert "the storage takes no document of 0.0 MB" in job.reason
    assert (job.attempt, job.blame) == (1, "infrastructure")


def test_an_attempt_that_meets_a_longer_history_is_given_back(log_fixture: Any):
    """Where no mark shows that the log was set back, the attempt sees it before it touches anything; others go on."""
    from tasks.jobs.submission import submit_document  # noqa: PLC0415 - as above

    fill(log_fixture, 1)
    drain(log_fixture)
    job_id = submit_document(log_fixture, Submission(backend="singlequdit", document=json.dumps(GOOD).encode())).job_id
    path = f"events/singlequdit/{job_id}.json"
    history = json.loads(log_fixture.storage.inner.get(path))
    history["events"].append(history["events"][0] | {"seq": 1, "hash": "f" * 64})
    longer = json.dumps(history).encode()
    log_fixture.storage.inner.put(path, longer)
    log_fixture.storage.inner.put(f"jobs/queued/singlequdit/{'e' * 24}.json", json.dumps(GOOD).encode())
    assert drain(log_fixture) == {"DONE": 1}
    job = log_fixture.log.get(job_id)
    assert (job.state, job.attempt, job.failures) == (State.QUEUED, 1, 0)
    assert [event.kind for event in log_fixture.log.history(job_id)] == ["submitted", "claimed", "retried"]
    assert log_fixture.storage.inner.get(path) == longer
    assert log_fixture.storage.inner.exists(f"jobs/queued/singlequdit/{job_id}.json")
    assert f"1 job is held: {job_id} (its mirrored history" in log_fixture.unserved[-1]
    assert drain(log_fixture) == {}
