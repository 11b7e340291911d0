"""The calls of an engine that serves a device, made by hand in the shapes of OQTOPUS' own engine."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx

from models.identity.streams import device_stream
from models.submissions import Submission
from tasks.jobs.submission import submit_document
from tests.api.conftest import FrontDoor
from tests.api.oqtopus_laboratory import PROGRAM

DEVICE = {
    "device_id": "K-7",
    "n_qubits": 3,
    "couplings": [[0, 1], [1, 2]],
    "basis_gates": ["cx", "rz", "sx", "x"],
    "simulator": "none",
}
CLIENT = httpx.Client(timeout=60)
"""Made once: one for each request would cost more than the request."""

SAMPLED = {"sampling": {"counts": {"0": 60, "1": 40}, "divided_counts": None}, "estimation": None}


def describe(folder: Path, name: str = "kawasaki", **changes: Any) -> None:
    """Write the description of a device that an engine outside serves."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(DEVICE | changes))


class EngineCalls:
    """What an engine does, with one key."""

    def __init__(self, door: FrontDoor, device: str = "kawasaki", key: str | None = None) -> None:
        self.device, self._url = device, f"{door.url}/oqtopus/provider"
        self.key = key or door.directory.issue(device_stream(device), actor="test").text

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask with the key."""
        headers = {"x-api-key": self.key}
        return CLIENT.request(method, f"{self._url}{path}", headers=headers, **more)

    def jobs(self, status: str = "submitted", **more: Any) -> list[dict[str, Any]]:
        """Return the jobs of the device of one status."""
        answer = self.ask("GET", "/jobs", params={"device_id": self.device, "status": status} | more)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        """Return one job."""
        found: dict[str, Any] = self.ask("GET", f"/jobs/{job_id}").raise_for_status().json()
        return found

    def say(self, job_id: str, status: str, **more: Any) -> httpx.Response:
        """Say what became of a job."""
        return self.ask("PATCH", f"/jobs/{job_id}/status", json={"status": status} | more)

    def forms(self, job_id: str, *items: str) -> list[dict[str, Any]]:
        """Return where files are to be brought."""
        answer = self.ask("GET", f"/jobs/{job_id}/upload", params={"items": ",".join(items)})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def bring(self, job_id: str, item: str = "result", value: Any = None) -> str:
        """Bring a file, and return what it is called."""
        (form,) = self.forms(job_id, item)
        answer = brought(form, packed(item, SAMPLED if value is None else value))
        assert answer.status_code == 204, answer.text
        return str(form["fields"]["key"])

    def runs(self, job_id: str) -> None:
        """Claim a job and run it."""
        for status in ("ready", "running"):
            answer = self.say(job_id, status)
            assert answer.status_code == 200, answer.text

    def ends(self, job_id: str, value: Any = None) -> None:
        """Run a job to its end."""
        self.runs(job_id)
        key = self.bring(job_id, value=value)
        answer = self.say(job_id, "succeeded", output_files=[key], execution_time=0.25)
        assert (answer.status_code, answer.json()) == (200, {"message": "Job status updated"})


def packed(item: str, value: Any) -> bytes:
    """Return a file as the engine packs it: JSON but for programs, which have no ending to their name."""
    name, content = (item, value) if isinstance(value, str | bytes) else (f"{item}.json", json.dumps(value))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def brought(form: dict[str, Any], content: bytes) -> httpx.Response:
    """Bring a file without a key."""
    files = {"file": ("result.zip", content, "application/zip")}
    return CLIENT.post(form["url"], data=form["fields"], files=files)


def submitted(door: FrontDoor, **changes: Any) -> str:
    """Return the id of a job of alice's that waits for the device kawasaki; nobody has checked it."""
    given = {"program": [PROGRAM], "job_type": "sampling", "shots": 100, "memory": False}
    document = json.dumps(given | changes).encode()
    submission = Submission(backend="kawasaki", document=document, user="alice", source="api")
    return submit_document(door.services, submission).job_id


def refused(answer: httpx.Response, code: int) -> str:
    """Return what an answer that is an error says: a message and nothing else."""
    assert answer.status_code == code, answer.text
    assert list(answer.json()) == ["message"]
    said = str(answer.json()["message"])
    assert "Traceback" not in said
    return said
