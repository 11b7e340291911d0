"""The calls of OQTOPUS' clients, made by hand, and a worker that brings jobs on, made by hand too."""

import hashlib
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import httpx

from models import clock
from models.facts import Compiled, Completed, Executed, Fact, Failed, Uploaded, Validated
from models.job import Job
from storage import layout
from tests.api.conftest import FrontDoor

PROGRAM = 'OPENQASM 3; include "stdgates.inc"; qubit[1] q; bit[1] c; h q[0]; c = measure q;'
BODY = {"device_id": "qubits", "job_type": "sampling", "shots": 100}
COMPILED = (Validated(experiments=1, shots=100), Compiled(program_sha256="p", program_bytes=3, seed=5))


class Oqtopus:
    """What a user of OQTOPUS does."""

    def __init__(self, door: FrontDoor, user: str) -> None:
        self._door, self._user = door, user

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask with the user's token."""
        headers = {"q-api-token": self._door.token(self._user)}
        return httpx.request(method, f"{self._door.url}/oqtopus{path}", headers=headers, timeout=60, **more)

    def register(self) -> tuple[str, str, dict[str, str]]:
        """Return the id of a job to come, where its input is to be uploaded, and the fields that go with it."""
        answer = self.ask("POST", "/jobs")
        assert answer.status_code == 200, answer.text
        presigned = answer.json()["presigned_url"]
        return answer.json()["job_id"], presigned["url"], presigned["fields"]

    def registered(self, **given: Any) -> str:
        """Return the id of a job to come whose input was uploaded."""
        job_id, url, fields = self.register()
        assert upload(url, fields, packed({"program": [PROGRAM]} | given)).status_code == 204
        return job_id

    def submit(self, job_id: str, **changes: Any) -> httpx.Response:
        """Submit what was registered."""
        return self.ask("POST", f"/jobs/{job_id}/submit", json=BODY | changes)

    def submitted(self, **changes: Any) -> str:
        """Return the id of a job that was submitted."""
        job_id = self.registered()
        answer = self.submit(job_id, **changes)
        assert (answer.status_code, answer.json()) == (200, {"message": "job submitted"})
        return job_id

    def status(self, job_id: str) -> str:
        """Return where a job stands."""
        return str(self.ask("GET", f"/jobs/{job_id}/status").raise_for_status().json()["status"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return all of a job."""
        found: dict[str, Any] = self.ask("GET", f"/jobs/{job_id}").raise_for_status().json()
        return found


def upload(url: str, fields: dict[str, str], content: bytes) -> httpx.Response:
    """Upload a zip file, without a token."""
    return httpx.post(url, data=fields, files={"file": ("input.zip", content, "application/zip")}, timeout=60)


def fetched(url: str) -> Any:
    """Return the JSON value in the zip file at an address, without a token."""
    content = httpx.get(url, timeout=60).raise_for_status().content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        return json.loads(archive.read(name))


def packed(value: Any, name: str = "input.json") -> bytes:
    """Return a zip file that holds a JSON value."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return buffer.getvalue()


def bring_on(door: FrontDoor, job_id: str, *facts: Fact) -> Job:
    """Claim a job, and append facts to it as its worker."""
    log = door.services.log
    job = log.claim_job(job_id, "w", clock.now() + timedelta(minutes=5), token="t")
    assert job is not None
    return log.append(job, *facts, attempt=job.attempt, actor="w", token="t") if facts else job


def finish(door: FrontDoor, job_id: str, data: dict[str, Any]) -> None:
    """Bring a job to its end with these data as its result."""
    store, path = door.services.stores.of(""), layout.result("qubits", job_id)
    one = {"header": {"name": "experiment_0"}, "shots": 100, "success": True, "data": {"memory": []} | data}
    document = {"display_name": "qubits", "backend_version": "0.1", "job_id": job_id, "results": [one]}
    content = json.dumps(document).encode()
    store.put(path, content)
    digest = hashlib.sha256(content).hexdigest()
    executed = Executed(
        seconds=0.1234,
        cpu_seconds=0.1,
        seed=5,
        versions={},
        backend_config_sha256="c",
        result_sha256=digest,
        result_bytes=len(content),
        staged="staged/j/r.json",
    )
    uploaded = Uploaded(path=path, bytes=len(content), sha256=digest)
    bring_on(door, job_id, *COMPILED, executed, uploaded, Completed())


def fail(door: FrontDoor, job_id: str, failed: Failed) -> None:
    """Bring a job to its end without a result."""
    bring_on(door, job_id, failed)
