"""The life of a job over MongoDB: several jobs, strange ones, the largest result, a server that goes away, sqooler."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient

from storage import layout
from tests.contract.storages import Place
from tests.installation import Installation, experiment
from tests.secantus import Server, secantus_server
from tests.sqooler_peer import Peer
from tests.waiting import until

EXAMPLE = "examples/rydberg_blockade.json"
JOB = {"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server for the tests of this file."""
    with secantus_server() as server:
        yield server


@pytest.fixture
def mongo_lab(tmp_path: Path, prefect_api: str, server: Server) -> Installation:
    """A laboratory with an empty storage."""
    return Installation(tmp_path, prefect_api, Place(server.fresh()))


def test_jobs_of_front_ends_are_done(mongo_lab: Installation):
    """Jobs that front ends insert, and those of the command line, end DONE with all their documents in their places."""
    url, _, prefix = mongo_lab.url.partition("&databasePrefix=")
    inserted = [ObjectId() for _ in range(3)]
    with MongoClient[dict[str, Any]](url) as client:
        jobs = client[f"{prefix}jobs"]
        jobs["queued.multiqudit"].insert_many([{"_id": each, **JOB} for each in inserted])
    odd = mongo_lab.submit("multiqudit", json.dumps(JOB, indent=3), user="ann")  # the same value in other bytes
    assert mongo_lab.json("drain", "--until-empty") == {"DONE": 4}
    for job_id in (*map(str, inserted), odd):
        assert mongo_lab.read(layout.status("multiqudit", job_id))["status"] == "DONE"
        assert mongo_lab.read(layout.finished("multiqudit", job_id)) == JOB
        result = mongo_lab.read(layout.result("multiqudit", job_id))
        assert len(result["results"][0]["data"]["memory"]) == 100
    assert list(mongo_lab.storage.entries(layout.queue("multiqudit"))) == []
    assert mongo_lab.findings() == []


def test_what_bson_cannot_hold_ends_in_error_or_runs(mongo_lab: Installation):
    """Whole numbers beyond 64 bit and the like are judged as everywhere: the field is named, and the next job runs."""
    huge = 2**70
    wrong = {
        "shots": JOB["experiment_0"] | {"shots": huge},
        "num_wires": JOB["experiment_0"] | {"num_wires": huge},
        "seed": JOB["experiment_0"] | {"seed": huge},
        "wires[0]": experiment(["rlx", [huge], [1.0]], ["measure", [0], []]),
    }
    ids = {field: mongo_lab.submit("multiqudit", {"experiment_0": each}) for field, each in wrong.items()}
    ids |= {text: mongo_lab.submit("multiqudit", text) for text in ("half {", "[1]", '{"$set": 1}', '{"a":' * 500)}
    good = mongo_lab.submit("multiqudit", {"experiment_0": JOB["experiment_0"] | {"$unknown": {"a.b": huge}}})
    assert mongo_lab.json("drain", "--until-empty") == {"DONE": 1, "ERROR": len(ids)}
    for field, job_id in ids.items():
        status = mongo_lab.read(layout.status("multiqudit", job_id))
        assert status["status"] == "ERROR"
        if field in wrong:
            assert field in status["error_message"]
        assert mongo_lab.storage.exists(layout.deleted(job_id))
    assert mongo_lab.states()[good] == "DONE"
    assert mongo_lab.findings() == []


@pytest.mark.slow
def test_the_largest_result_is_kept_whole(mongo_lab: Installation):
    """A million shots on five wires are DONE; our reader has them all, and front ends find where they are."""
    gates = [["rlx", [wire], [1.5]] for wire in range(5)] + [["measure", [wire], []] for wire in range(5)]
    job_id = mongo_lab.submit("multiqudit", {"experiment_0": experiment(*gates, wires=5, shots=1_000_000)})
    assert mongo_lab.json("drain", "--until-empty") == {"DONE": 1}
    content = mongo_lab.storage.get(layout.result("multiqudit", job_id))
    assert len(json.loads(content)["results"][0]["data"]["memory"]) == 1_000_000
    assert len(mongo_lab.json("result", job_id)["results"][0]["data"]["memory"]) == 1_000_000
    assert mongo_lab.findings() == []


@pytest.mark.slow
def test_nothing_is_lost_when_the_server_goes_away(tmp_path: Path, prefect_api: str):
    """The server is stopped in mid-drain, comes back, and is killed then: every job ends DONE, once, and whole."""
    with secantus_server() as server:
        installation = Installation(tmp_path, prefect_api, Place(f"{server.fresh()}&serverSelectionTimeoutMS=1000"))
        ids = {installation.submit("multiqudit", JOB) for _ in range(16)}
        drain = installation.start("drain", "--until-empty", QULEDGER_CONCURRENCY="2")

        def done() -> int:
            return list(installation.states().values()).count("DONE")

        try:
            for how in (signal.SIGTERM, signal.SIGKILL):
                before = done()
                until(lambda before=before: done() > before or drain.poll() is not None)  # type: ignore[misc]
                assert drain.poll() is None, drain.printed()
                server.stop(how)
                time.sleep(4)
                server.start()
            drain.wait(200)
        finally:
            drain.kill()
            drain.communicate()
        installation.run("drain", "--until-empty")
        assert installation.states() == dict.fromkeys(ids, "DONE")
        assert installation.findings() == []


def test_what_is_wrong_is_said_at_once(tmp_path: Path):
    """With a wrong password drain, submit and reconcile end with one sentence and a code, and no job is touched."""
    with secantus_server() as server:
        with MongoClient[dict[str, Any]](server.url) as client:
            client.admin.command(
                "createUser", "ann", pwd="r1ght", roles=[{"role": "readWriteAnyDatabase", "db": "admin"}]
            )
        server.stop()
        server.start("--auth")
        installation = Installation(tmp_path, None, Place(f"mongodb://ann:r1ght@127.0.0.1:{server.port}/"))
        job_id = installation.run("submit", "rydberg", EXAMPLE).stdout.strip()
        before = installation.history(job_id)
        assert installation.exists(layout.queued("rydberg", job_id))
        wrong = installation.url.replace("r1ght", "wr0ng")
        away = "mongodb://ann:wr0ng@127.0.0.1:9/?serverSelectionTimeoutMS=500"
        for arguments in (("drain", "--until-empty"), ("submit", "rydberg", EXAMPLE), ("reconcile",)):
            said = installation.run(*arguments, check=False, QULEDGER_STORAGE=wrong)
            assert said.returncode == 1
            assert said.stderr.startswith("quledger: MongoDB at 127.0.0.1"), said.stderr
            assert "does not accept user and password" in said.stderr
            assert said.stderr.count("\n") == 1
            assert "wr0ng" not in said.stdout + said.stderr
        said = installation.run("drain", "--until-empty", check=False, QULEDGER_STORAGE=away)
        assert said.returncode == 1
        assert "does not answer" in said.stderr
        assert "wr0ng" not in said.stdout + said.stderr
        assert installation.states() == {job_id: "QUEUED"}
        assert installation.history(job_id) == before


def test_sqooler_over_mongodb(tmp_path: Path, prefect_api: str, peer: Peer):
    """Sqooler's own MongodbProvider hands in jobs and reads configurations, keys, status and results that we wrote."""
    with secantus_server() as server:  # its names have no prefix, so it needs a server of its own
        installation = Installation(tmp_path, prefect_api, Place(server.url))
        installation.run("drain", "--until-empty")  # publishes the backends
        good = peer(installation.url, "submit", "multiqudit", json.dumps(JOB))
        bad = peer(installation.url, "submit", "multiqudit", json.dumps({"experiment_0": {}}))
        assert peer(installation.url, "status", "multiqudit", good)["status"] == "INITIALIZING"
        assert installation.json("drain", "--until-empty") == {"DONE": 1, "ERROR": 1}

        status = peer(installation.url, "status", "multiqudit", good)
        assert (status["job_id"], status["status"], status["error_message"]) == (good, "DONE", "None")
        result = peer(installation.url, "result", "multiqudit", good)
        assert (result["backend_name"], result["status"]) == ("default_multiqudit_simulator", "DONE")
        assert [len(each["data"]["memory"]) for each in result["results"]] == [100]
        failed = peer(installation.url, "status", "multiqudit", bad)
        assert failed["status"] == "ERROR"
        assert "experiment_0" in failed["error_message"]

        assert set(peer(installation.url, "backends")) >= {"singlequdit", "multiqudit", "fermions", "rydberg", "qubits"}
        assert peer(installation.url, "config", "multiqudit")["n_qubits"] == 5
        seen = peer(installation.url, "operational", "multiqudit")
        assert (seen["operational"], seen["backend_name"]) == (True, "default_multiqudit_simulator")

        key = {"x": "abc=", "key_ops": "verify", "kid": "k1", "d": None, "kty": "OKP", "alg": "EdDSA", "crv": "Ed25519"}
        installation.storage.put("backends/public_keys/k1.json", json.dumps(key).encode())
        config = installation.read(layout.config("multiqudit")) | {"kid": "k1"}
        installation.storage.put(layout.config("multiqudit"), json.dumps(config).encode())
        assert peer(installation.url, "public_key", "multiqudit") == key

        # A result in parts: sqooler reads whose it is and that it is DONE, and where its outcomes are.
        whole = result | {"results": [result["results"][0] | {"data": {"memory": ["0 1 0 1 0"] * 1_500_000}}]}
        installation.storage.put(layout.result("multiqudit", good), json.dumps(whole).encode())
        result = peer(installation.url, "result", "multiqudit", good)
        assert (result["job_id"], result["status"], result["results"]) == (good, "DONE", [])
        assert "GridFS" in result["header"]["note"]
