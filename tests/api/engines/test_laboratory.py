"""A laboratory as it is: a server that is killed, a user, and an engine that has its jobs by listing them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.engines.engine_calls import CLIENT, SAMPLED, brought, describe, packed
from tests.api.oqtopus_laboratory import PROGRAM
from tests.installation import Installation, Started
from tests.waiting import until


class Laboratory:
    """An installation with a device outside, its server, and the keys of a user and of an engine."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation(folder, None)
        describe(folder / "devices", jobs="on_list")
        self.installation.environment["QULEDGER_DEVICES"] = str(folder / "devices")
        self.installation.run("user", "add", "ann")
        self.token = self.installation.run("token", "new", "ann").stdout.strip()
        self.key = self.installation.run("token", "new", "--device", "kawasaki").stdout.strip()
        self._server: Started | None = None
        self._url = ""

    def serve(self, **settings: str) -> None:
        """Start a server, in place of one that was killed."""
        server = self._server = self.installation.start("serve", "--port", "0", **settings)
        told = until(lambda: server.printed().partition("Quledger answers at ")[2], told=server.printed)
        self._url = told.partition("/ui")[0]

    def kill(self) -> None:
        """Kill the server as a power cut does."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(30)

    def wait_for_death(self) -> None:
        """Wait until the server has killed itself."""
        assert self._server is not None
        self._server.wait(60)

    def user(self, method: str, path: str, **more: Any) -> Any:
        """Ask as the user does."""
        headers = {"q-api-token": self.token}
        answer = CLIENT.request(method, f"{self._url}/oqtopus{path}", headers=headers, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def engine(self, method: str, path: str, **more: Any) -> Any:
        """Ask as the engine does."""
        answer = CLIENT.request(method, f"{self._url}/oqtopus/provider{path}", headers={"x-api-key": self.key}, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def bring(self, job_id: str) -> list[str]:
        """Bring a result, and return what the file is called."""
        (form,) = self.engine("GET", f"/jobs/{job_id}/upload", params={"items": "result"})
        assert brought(form, packed("result", SAMPLED)).status_code == 204
        return [form["fields"]["key"]]


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    """A laboratory whose server runs."""
    found = Laboratory(tmp_path)
    yield found
    found.kill()


@pytest.mark.slow
def test_an_engine_serves_a_laboratory_whose_server_is_killed(laboratory: Laboratory):
    """In the midst of its last word, which it says again to the next one: the job ends once, and all agree on it."""
    installation = laboratory.installation
    laboratory.serve(QULEDGER_CRASH="execution.staged:kill:1")
    presigned = laboratory.user("POST", "/jobs")
    job_id = presigned["job_id"]
    assert brought(presigned["presigned_url"], packed("input", {"program": [PROGRAM]})).status_code == 204
    body = {"device_id": "kawasaki", "job_type": "sampling", "shots": 100}
    laboratory.user("POST", f"/jobs/{job_id}/submit", json=body)

    (job,) = laboratory.engine("GET", "/jobs", params={"device_id": "kawasaki", "status": "submitted"})
    assert (job["job_id"], job["status"]) == (job_id, "ready")
    laboratory.engine("PATCH", f"/jobs/{job_id}/status", json={"status": "running"})
    files = laboratory.bring(job_id)
    said = {"status": "succeeded", "output_files": files, "execution_time": 0.5}
    with pytest.raises(Exception, match=r"disconnected|reset|closed"):
        laboratory.engine("PATCH", f"/jobs/{job_id}/status", json=said)
    laboratory.wait_for_death()
    assert installation.states()[job_id] == "COMPILED"
    laboratory.serve()
    laboratory.engine("PATCH", f"/jobs/{job_id}/status", json=said)
    assert laboratory.user("GET", f"/jobs/{job_id}/status")["status"] == "succeeded"
    kinds = [event["kind"] for event in installation.history(job_id)]
    assert kinds == ["submitted", "claimed", "validated", "compiled", "executed", "uploaded", "completed"]
    assert installation.findings() == []
    assert installation.read(f"results/kawasaki/{job_id}.json")["results"][0]["data"]["counts"] == {"0": 60, "1": 40}
