"""Clients of qlued, unchanged: their calls in each version of its API, against the front door and a drain."""

import json
import subprocess
from collections.abc import Callable, Iterator
from math import pi
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from models.job import State
from storage.log.event_log import EventLog
from tests import qlued_file
from tests.installation import Installation, experiment
from tests.waiting import until

FOLDER = Path(__file__).parent / "qlued"
CLIENT = Path(__file__).parents[2] / ".venv-qlued" / "bin" / "python"
JOB = {
    "experiment_0": experiment(["load", [0], [3]], ["rlx", [0], [pi]], ["measure", [0], []], shots=5),
    "experiment_7": experiment(["measure", [0], []], shots=4),
}
BAD = {"experiment_0": experiment(["nope", [0], []], ["measure", [0], []])}
REFUSED = (
    "; Failed json sanity check. File will be deleted. Error message : experiment_0, instruction 0 (nope), name: got"
)

HTTP = httpx.Client(timeout=60)


class Laboratory(NamedTuple):
    """A laboratory that serves and drains.

    Attributes:
        printed: returns all that its processes have printed so far.
    """

    url: str
    token: str
    log: EventLog
    printed: Callable[[], str]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Laboratory]:
    """One whose storage has the name that notebooks call."""
    installation = Installation(tmp_path_factory.mktemp("laboratory"), prefect_api)
    installation.environment["QULEDGER_STORAGE"] = json.dumps({"alqor": installation.store.as_uri()})
    installation.run("user", "add", "ann")
    token = installation.run("token", "new", "ann").stdout.strip()
    qlued_file.make(installation.home.parent / "qlued.sqlite3").close()
    installation.run("user", "import-qlued", str(installation.home.parent / "qlued.sqlite3"), "--apply")
    processes = [installation.start("serve", "--port", "0"), installation.start("drain")]
    serving, draining = processes
    try:
        told = until(lambda: serving.printed().partition("Quledger answers at ")[2], told=serving.printed)
        until(lambda: installation.exists("backends/configs/rydberg.json"), told=draining.printed)
        url = told.partition("/ui")[0]
        yield Laboratory(url, token, installation.log, lambda: "".join(each.printed() for each in processes))
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


class Asker:
    """Calls the backend `singlequdit` in one version of the API, as its notebooks do; it names itself where they do."""

    def __init__(self, laboratory: Laboratory, version: str) -> None:
        self._url = f"{laboratory.url}/api{version}/singlequdit"
        self._version, self._token = version, laboratory.token

    def post(self, document: object) -> httpx.Response:
        """Hand in a job."""
        text = json.dumps(document)
        match self._version:
            case "":
                data = {"json": text, "username": "ann", "password": self._token}
                return HTTP.post(f"{self._url}/post_job/", data=data)
            case "/v1":
                body = {"job": text, "username": "ann", "password": self._token}
                return HTTP.post(f"{self._url}/post_job", json=body)
            case "/v2":
                return HTTP.post(f"{self._url}/post_job", json={"job": text, "token": self._token})
        headers = {"Authorization": f"Bearer {self._token}"}
        return HTTP.post(f"{self._url}/post_job", json={"payload": document}, headers=headers)

    def get(self, what: str, job_id: str) -> httpx.Response:
        """Ask for the status or the result of a job."""
        match self._version:
            case "":
                params = {"json": json.dumps({"job_id": job_id}), "username": "ann", "password": self._token}
                return HTTP.get(f"{self._url}/{what}/", params=params)
            case "/v1":
                params = {"job_id": job_id, "username": "ann", "password": self._token}
                return HTTP.get(f"{self._url}/{what}", params=params)
            case "/v2":
                return HTTP.get(f"{self._url}/{what}", params={"job_id": job_id, "token": self._token})
        headers = {"Authorization": f"Bearer {self._token}"}
        return HTTP.get(f"{self._url}/{what}", params={"job_id": job_id}, headers=headers)

    def ended(self, document: object) -> str:
        """Hand in a job, wait until it has ended as a client does, and return its id."""
        job_id = self.post(document).json()["job_id"]
        until(lambda: self.get("get_job_status", job_id).json()["status"] != "INITIALIZING")
        return str(job_id)


@pytest.mark.parametrize("version", ["", "/v1", "/v2", "/v3"])
def test_a_notebook_gets_its_result(laboratory: Laboratory, version: str):
    """Outcome by outcome; who names himself has counts, and the word that ends his wait."""
    asker = Asker(laboratory, version)
    job_id = asker.ended(JOB)
    status = asker.get("get_job_status", job_id)
    assert (status.status_code, status.json()) == (
        200,
        {
            "job_id": job_id,
            "status": "DONE",
            "detail": "Got your json.; Passed json sanity check; Compilation done."
            + 21 * " "
            + "Shots sent to solver.",
            "error_message": "None",
        },
    )
    answer = asker.get("get_job_result", job_id)
    assert answer.status_code == 200
    result = answer.json()
    named = version in ("", "/v1")
    counts = ({"counts": {"3": 5}}, {"counts": {"0": 4}}) if named else ({}, {})
    shown = [(each["header"]["name"], each["shots"], each["success"]) for each in result["results"]]
    assert shown == [("experiment_0", 5, True), ("experiment_7", 4, True)]
    data = [
        {name: value for name, value in each["data"].items() if name != "instructions"} for each in result["results"]
    ]
    assert data == [{"memory": ["3"] * 5} | counts[0], {"memory": ["0"] * 4} | counts[1]]
    assert {name: result[name] for name in ("backend_name", "display_name", "job_id", "success", "status")} == {
        "backend_name": "alqor_singlequdit_simulator",
        "display_name": "singlequdit",
        "job_id": job_id,
        "success": True,
        "status": "finished" if named else "DONE",
    }


@pytest.mark.parametrize("version", ["", "/v1", "/v2", "/v3"])
def test_a_notebook_is_told_what_is_wrong(laboratory: Laboratory, version: str):
    """In the status of the job, which was taken; the answer for its result is the same."""
    asker = Asker(laboratory, version)
    job_id = asker.ended(BAD)
    status = asker.get("get_job_status", job_id)
    assert status.status_code == 406
    found: dict[str, Any] = status.json()
    assert (found["job_id"], found["status"]) == (job_id, "ERROR")
    assert found["detail"].startswith(f"Got your json.{REFUSED}")
    assert found["error_message"].startswith(f"None{REFUSED}")
    result = asker.get("get_job_result", job_id)
    assert result.status_code == 406
    assert result.json() == found | ({"status": "error"} if version in ("", "/v1") else {})


def test_a_token_of_qlued_goes_on(laboratory: Laboratory):
    """Whoever was imported hands in jobs as before, and they are his."""
    asker = Asker(laboratory._replace(token=qlued_file.BOB), "/v2")
    job = laboratory.log.get(asker.ended(JOB))
    assert (job.user, job.source, job.state) == ("bob", "api", State.DONE)


def test_a_backend_that_a_drain_looks_after_is_operational(laboratory: Laboratory):
    """By its name in three parts."""
    status = HTTP.get(f"{laboratory.url}/api/v2/alqor_rydberg_simulator/get_backend_status").json()
    assert (status["backend_name"], status["operational"]) == ("alqor_rydberg_simulator", True)


@pytest.mark.skipif(not CLIENT.exists(), reason="the client's environment is missing: make clients")
def test_qiskit_cold_atom(laboratory: Laboratory):
    """Its jobs end, on all four backends, with the outcomes that physics leaves; what is wrong it is told in words."""
    done = subprocess.run(
        [CLIENT, FOLDER / "calls.py"],
        env={"PATH": "/usr/bin:/bin", "QLUED_URL": laboratory.url, "QLUED_TOKEN": laboratory.token},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)

    names = [f"alqor_{name}_simulator" for name in ("singlequdit", "multiqudit", "fermions", "rydberg")]
    assert found["backends"] == [*names, names[-1]]
    assert found["qubits"] == {"singlequdit": 1, "multiqudit": 5, "fermions": 8, "rydberg": 5}
    outcomes = {"singlequdit": "3", "multiqudit": "1 0", "fermions": "0 1 0 0 0 1 0 0", "rydberg": "1 1 1 1 1"}
    for name, outcome in outcomes.items():
        job = found["jobs"][name]
        assert job.pop("before") in ("INITIALIZING", "DONE")
        assert job == {
            "after": "DONE",
            "error": "None",
            "success": True,
            "backend_name": f"alqor_{name}_simulator",
            "counts": {outcome: 30},
            "memory": [outcome] * 30,
        }
    assert "'status': 'error'" in found["failing"]["raised"]
    assert found["failing"]["status"] == "ERROR"
    assert "experiment_0, instruction 0 (load), params[0]: got 10000000.0" in found["failing"]["error"]
    assert found["stranger"][0].startswith("401 Client Error")


def test_nothing_that_was_printed_holds_a_token(laboratory: Laboratory):
    """They stood in the addresses of the calls."""
    secret = laboratory.token.rpartition("_")[2]
    HTTP.get(f"{laboratory.url}/api/v2/rydberg/get_job_result", params={"job_id": "x", "token": laboratory.token})
    HTTP.get(f"{laboratory.url}/api/v2/rydberg/nosuch", params={"token": laboratory.token})
    assert secret not in laboratory.printed()
