"""The crash matrix: a drain dies at a named point with jobs under way; the next one leaves nothing undone.

`make test` runs a sample, `make crash` (QULEDGER_TEST_CRASH=all) the whole matrix.
"""

import json
import os
import signal
from collections.abc import Callable

import pytest

from storage.failpoints import POINTS
from tests.contract.storages import sampled
from tests.installation import DRAIN, Installation, experiment

Record = Callable[[str, object], None]
WAYS = ("kill", "term", "raise")
SAMPLE = {
    ("claim.appended", "kill"),
    ("take.history_written", "kill"),
    ("take.moved", "kill"),
    ("execution.staged", "kill"),
    ("upload.written", "kill"),
    ("mirror.document_moved", "kill"),
    ("move.copied", "kill"),
    ("execution.ran", "term"),
    ("upload.appended", "raise"),
}
ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
ELSEWHERE = {"submission.appended", "reconcile.appended"}
WITHOUT_RENAME = "move.copied"
"""Passed only where a document is moved in two steps."""
CASES = [(point, way) for point in POINTS for way in WAYS if (ALL or (point, way) in SAMPLE) and point not in ELSEWHERE]
SAMPLE_OF_OTHERS = {("take.moved", "kill"), ("upload.written", "kill"), (WITHOUT_RENAME, "kill")}
ON_ONE_OF_THEM = {("s3", "take.moved"), ("mongodb", "upload.written")}
"""Sampled on the other one of the storages where nothing is renamed."""

STORED = [
    (kind, point, way)
    for kind, (point, way) in sampled(SAMPLE_OF_OTHERS, CASES, everything=ALL)
    if (point != WITHOUT_RENAME or kind != "file") and (ALL or (kind, point) not in ON_ONE_OF_THEM)
]

GOOD = {
    f"experiment_{number}": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=500)
    for number in range(2)
}
BAD = {"experiment_0": experiment(["nope", [0], []], ["measure", [0], []])}
SETTINGS = {"QULEDGER_LEASE_SECONDS": "2.5", "QULEDGER_PUBLISH_SECONDS": "0.5", "QULEDGER_RETRY_SECONDS": "0"}


def fill(installation: Installation) -> dict[str, str]:
    """Queue three good jobs and a bad one; return what each must end in."""
    ends = {f"{number:024x}": "DONE" for number in range(3)} | {f"{99:024x}": "ERROR"}
    for job_id, end in ends.items():
        installation.queue("singlequdit", f"{job_id}.json", json.dumps(GOOD if end == "DONE" else BAD).encode())
    return ends


def check(installation: Installation, ends: dict[str, str]) -> str:
    """Every job has ended as it must, its one result is accepted once, log and mirror agree; return what it took."""
    assert installation.states() == ends
    retried = 0
    for job_id, end in ends.items():
        events = installation.history(job_id)
        kinds = [event["kind"] for event in events]
        retried += kinds.count("retried")
        assert [kinds.count(kind) for kind in ("submitted", "uploaded", "completed", "failed")] == (
            [1, 1, 1, 0] if end == "DONE" else [1, 0, 0, 1]
        )
        assert installation.read(f"events/singlequdit/{job_id}.json")["events"] == events
        assert installation.read(f"status/singlequdit/{job_id}.json")["status"] == end
        if end == "DONE":
            result = installation.read(f"results/singlequdit/{job_id}.json")
            assert [len(each["data"]["memory"]) for each in result["results"]] == [500, 500]
    assert installation.documents("jobs") == sorted(
        f"jobs/finished/singlequdit/{job_id}.json" if end == "DONE" else f"jobs/deleted/{job_id}.json"
        for job_id, end in ends.items()
    )
    assert installation.findings() == []
    return f"clean, {retried} retried"


@pytest.mark.parametrize(("stored_installation", "point", "way"), STORED, indirect=["stored_installation"])
def test_a_drain_that_dies_is_finished_by_the_next(
    request: pytest.FixtureRequest, stored_installation: Installation, point: str, way: str, record_property: Record
):
    """Wherever a drain dies, and however, the next one ends every job once and leaves log and mirror equal."""
    installation = stored_installation
    kind: str = request.node.callspec.params["stored_installation"]
    ends = fill(installation)
    # At the second passage, so that other jobs are under way; some points are surely passed only once.
    passage = 1 if point in {"failure.appended", "take.recorded"} else 2
    first = installation.run(*DRAIN, check=False, **SETTINGS, QULEDGER_CRASH=f"{point}:{way}:{passage}")
    if way == "kill":
        assert first.returncode == -signal.SIGKILL
    elif way == "term":
        assert first.returncode == 130
    installation.run(*DRAIN, **SETTINGS)
    installation.run("reconcile", **SETTINGS)
    record_property("crash", (kind, point, way, check(installation, ends)))


@pytest.mark.skipif(not ALL, reason="part of the whole matrix: make crash")
@pytest.mark.parametrize("way", WAYS)
def test_a_reconciliation_that_dies_is_finished_by_the_next(
    installation: Installation, way: str, record_property: Record
):
    """A death right after leases were expired leaves jobs that the next drain runs."""
    ends = fill(installation)
    installation.run(*DRAIN, check=False, **SETTINGS, QULEDGER_CRASH="execution.ran:kill:1")
    installation.run(*DRAIN, check=False, **SETTINGS, QULEDGER_CRASH=f"reconcile.appended:{way}:1")
    installation.run(*DRAIN, **SETTINGS)
    record_property("crash", ("file", "reconcile.appended", way, check(installation, ends)))


@pytest.mark.skipif(not ALL, reason="part of the whole matrix: make crash")
@pytest.mark.parametrize("way", WAYS)
def test_a_submission_that_dies_is_in_the_log_or_was_never_made(
    installation: Installation, way: str, record_property: Record
):
    """A death between log and storage leaves a job that the next drain runs."""
    dead = installation.run(
        "submit", "singlequdit", "-", "--key", "k", text=json.dumps(GOOD), check=False,
        QULEDGER_CRASH=f"submission.appended:{way}:1",
    )  # fmt: skip
    assert dead.returncode != 0
    (job_id,) = installation.states()
    installation.run(*DRAIN, **SETTINGS)
    record_property("crash", ("file", "submission.appended", way, check(installation, {job_id: "DONE"})))


def test_a_crash_point_costs_nothing_when_off(installation: Installation):
    """Without the environment variable no point does anything."""
    ends = fill(installation)
    installation.run(*DRAIN)
    assert check(installation, ends) == "clean, 0 retried"
