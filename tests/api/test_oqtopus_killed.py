"""OQTOPUS: a server that is killed at any point has lost nothing of what it had answered."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.oqtopus_laboratory import BODY, PROGRAM, fetched, packed, upload
from tests.installation import Installation, Started
from tests.waiting import until


class Served:
    """A server that is killed and started again, on another port each time."""

    def __init__(self, installation: Installation) -> None:
        installation.run("user", "add", "ann")
        self._token = installation.run("token", "new", "ann").stdout.strip()
        self._installation = installation
        self._process: Started | None = None
        self.url = ""

    def start(self) -> None:
        """Start it, once more."""
        process = self._process = self._installation.start("serve", "--port", "0")
        told = until(lambda: process.printed().partition("Quledger answers at ")[2], told=process.printed)
        self.url = told.partition("/ui")[0]

    def kill(self) -> None:
        """Kill it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        """Ask the server that runs now, and kill it as soon as it has answered."""
        self.start()
        answer = httpx.request(
            method,
            f"{self.url}/oqtopus{path}",
            headers={"q-api-token": self._token},
            timeout=60,
            **more,  # type: ignore[arg-type]
        )
        self.kill()
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A laboratory that is served."""
    found = Served(Installation(tmp_path, None))
    yield found
    found.kill()


@pytest.mark.slow
def test_each_step_outlives_the_server_that_answered_it(served: Served):
    """Registration, input, submission and cancellation, each to another server than the one before."""
    registered = served.ask("POST", "/jobs").json()
    job_id, fields = registered["job_id"], registered["presigned_url"]["fields"]
    served.start()
    # The form was signed by a server that is no more.
    assert upload(f"{served.url}/oqtopus/files", fields, packed({"program": [PROGRAM]})).status_code == 204
    served.kill()
    assert served.ask("GET", f"/jobs/{job_id}/status").json()["status"] == "registered"
    served.ask("POST", f"/jobs/{job_id}/submit", json=BODY)
    found = served.ask("GET", f"/jobs/{job_id}").json()
    assert found["status"] == "submitted"
    address = found["job_info"]["input"]
    served.start()
    assert fetched(f"{served.url}/oqtopus/{address.partition('/oqtopus/')[2]}") == {"program": [PROGRAM]}
    served.kill()
    served.ask("POST", f"/jobs/{job_id}/cancel")
    assert served.ask("GET", f"/jobs/{job_id}/status").json()["status"] == "cancelled"
