"""The life of a job over Dropbox: a server that is killed in mid-drain, a revoked token, sqooler as the client."""

import contextlib
import functools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.storages import Place, surrounded
from tests.dropbox_server import REFRESH, SECRET, Service, dropbox_service
from tests.installation import DRAIN, ROOT, Installation, experiment
from tests.sqooler_peer import sqooler_peer
from tests.waiting import until

JOB = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=500)}
SETTINGS = {"QULEDGER_LEASE_SECONDS": "5", "QULEDGER_PUBLISH_SECONDS": "5", "QULEDGER_RETRY_SECONDS": "0.2"}


@pytest.fixture
def service() -> Iterator[Service]:
    """A server of this test's own."""
    with dropbox_service() as service:
        yield service


@pytest.fixture
def installation(tmp_path: Path, prefect_api: str, service: Service) -> Iterator[Installation]:
    """A laboratory whose storage is where sqooler looks in that Dropbox."""
    place = Place("dropbox:///Backend_files", service.environment)
    with surrounded(place):
        yield Installation(tmp_path, prefect_api, place)


def test_a_server_that_is_killed_loses_nothing(installation: Installation, service: Service):
    """The server is killed in mid-drain and comes back on its files: every job ends once, and all agree."""
    ids = [f"20261121_0910{number:02d}-singlequdit-ann-{number:05x}" for number in range(6)]
    ids += [f"{number:024x}" for number in range(6)]
    for job_id in ids:
        installation.queue("singlequdit", f"{job_id}.json", json.dumps(JOB).encode())
    drain = installation.start(*DRAIN, **SETTINGS)
    try:
        until(lambda: 1 <= list(installation.states().values()).count("DONE") < len(ids))
        service.kill()
        time.sleep(4)
        service.start()
        output, _ = drain.communicate(timeout=240)
    finally:
        drain.kill()
        drain.wait()
    assert drain.returncode == 0, output[-3000:]
    assert "Traceback" not in output
    installation.run("reconcile", **SETTINGS)
    assert installation.states() == dict.fromkeys(ids, "DONE")
    for job_id in ids:
        assert [event["kind"] for event in installation.history(job_id)].count("completed") == 1
        assert installation.read(f"status/singlequdit/{job_id}.json")["status"] == "DONE"
        assert len(installation.read(f"results/singlequdit/{job_id}.json")["results"][0]["data"]["memory"]) == 500
    assert installation.findings() == []
    assert installation.documents("jobs/finished") == sorted(
        f"jobs/finished/singlequdit/{job_id}.json" for job_id in ids
    )
    assert (
        installation.documents("jobs/queued")
        + installation.documents("jobs/running")
        + installation.documents("staged")
        == []
    )


def test_a_revoked_token_changes_nothing(installation: Installation, service: Service):
    """With a refresh token that was revoked the program ends with one sentence and a code, and no job is touched."""
    job = installation.run("submit", "singlequdit", "examples/rabi_oscillation.json").stdout.strip()
    before = installation.history(job)
    service.control(revoke=True)
    said = installation.run("drain", "--until-empty", check=False)
    assert said.returncode == 1
    assert said.stderr.startswith("quledger: Dropbox lets nobody in: its refresh token is not valid")
    assert said.stderr.count("\n") == 1
    assert not any(secret in said.stdout + said.stderr for secret in (REFRESH, SECRET))
    assert installation.history(job) == before


def test_sqooler_submits_and_reads_its_result(installation: Installation, service: Service):
    """A job that sqooler's DropboxProvider uploads is DONE for it, for a user with a dash too; it sees our backends."""
    installation.run("drain", "--until-empty")
    with contextlib.ExitStack() as stack:
        sqoolers, good, bad = {}, {}, {}
        for user in ("ann", "ann-marie"):
            peer = stack.enter_context(sqooler_peer(SQOOLER_USER=user, **service.environment))
            sqoolers[user] = sqooler = functools.partial(peer, installation.url)
            good[user] = sqooler("submit", "rydberg", (ROOT / "examples" / "rydberg_blockade.json").read_text())
            bad[user] = sqooler("submit", "rydberg", json.dumps({"experiment_0": {}}))
            assert sqooler("status", "rydberg", good[user])["status"] == "INITIALIZING"
        service.control(clear=True)
        assert installation.json("drain", "--until-empty") == {"DONE": 2, "ERROR": 2}

        for user, sqooler in sqoolers.items():
            assert installation.history(good[user])[0]["data"]["user"] == user
            status = sqooler("status", "rydberg", good[user])
            assert (status["job_id"], status["status"], status["error_message"]) == (good[user], "DONE", "None")
            result = sqooler("result", "rydberg", good[user])
            assert result["status"] == "DONE"
            assert result["backend_name"] == "default_rydberg_simulator"
            assert [len(each["data"]["memory"]) for each in result["results"]] == [1000, 1000]
            failed = sqooler("status", "rydberg", bad[user])
            assert failed["status"] == "ERROR"
            assert "experiment_0" in failed["error_message"]

            assert set(sqooler("backends")) >= {"singlequdit", "multiqudit", "fermions", "rydberg", "qubits"}
            assert sqooler("config", "multiqudit")["n_qubits"] == 5
            assert sqooler("operational", "multiqudit")["operational"] is True
