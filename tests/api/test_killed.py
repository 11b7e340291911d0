"""`quledger serve` killed in the midst of submissions: what is posted again, with the same key, is each job once."""

import concurrent.futures
import json
import re
import signal
from pathlib import Path

import httpx
import pytest

from models.identity.facts import UserAdded
from storage.identity.directory import Directory
from storage.log.database import open_database
from tests.api.conftest import SPIN
from tests.installation import Installation, Started
from tests.waiting import until

POINTS = ("submission.written", "submission.committed")


def serving(installation: Installation, **settings: str) -> tuple[Started, str]:
    """Start the front door at any free port; return it and its address."""
    started = installation.start("serve", "--port", "0", **settings)
    until(lambda: "/v1 (API)" in started.printed() or started.poll() is not None, 120, told=started.printed)
    found = re.search(r"http://127\.0\.0\.1:\d+", started.printed())
    assert found, started.printed()
    return started, found[0]


def post(url: str, token: str, key: str) -> httpx.Response | None:
    """Hand in a job, once; None where no answer comes."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    try:
        return httpx.post(
            f"{url}/v1/jobs", headers=headers, json={"backend": "singlequdit", "document": SPIN}, timeout=60
        )
    except httpx.HTTPError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_lost_answer_is_asked_for_again(point: str, tmp_path: Path) -> None:
    """Eight clients post three jobs each; the server dies at the first, before or after it is in the log."""
    installation = Installation(tmp_path, None)
    with_log = open_database(f"sqlite:///{installation.home}/quledger.db")
    directory = Directory(with_log)
    directory.append("user/alice", UserAdded(), actor="test")
    token = directory.issue("user/alice", ("read", "submit"), actor="test").text
    keys = [f"key {number % 3}" for number in range(24)]

    first, url = serving(installation, QULEDGER_CRASH=f"{point}:kill")
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda key: post(url, token, key), keys))
    assert first.wait(60) == -signal.SIGKILL
    assert None in answers

    second, url = serving(installation)
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        again = list(clients.map(lambda key: post(url, token, key), keys))
    assert all(answer is not None and answer.status_code in (200, 201) for answer in again)
    ids = {(key, answer.json()["job_id"]) for key, answer in zip(keys, again, strict=True) if answer is not None}
    assert len(ids) == 3
    listed = json.loads(installation.run("list", "--json").stdout)
    assert {job["job_id"] for job in listed} == {job_id for _, job_id in ids}
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    installation.verified()
