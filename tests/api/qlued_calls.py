"""Calls as clients of qlued make them, in each version of its API."""

import json
from typing import Any

import httpx

from tests.api.conftest import SPIN, FrontDoor

TEXT = json.dumps(SPIN, indent=2)
HTTP = httpx.Client(timeout=60)
KEYS = ["job_id", "status", "detail", "error_message"]
VERSIONS = ["", "/v1", "/v2", "/v3"]


def call(door: FrontDoor, path: str, token: str | None = None, **values: Any) -> httpx.Response:
    """Ask as a client of the version in the path does: token, job and id stand where it puts them."""
    url = f"{door.url}/api{path}"
    is_post = path.endswith("post_job")
    if path.startswith("/v3"):
        headers = {} if token is None else {"Authorization": f"Bearer {token}".strip()}
        if is_post:
            return HTTP.post(url, headers=headers, json={"payload": json.loads(values["job"])})
        return HTTP.get(url, headers=headers, params=values)
    if path.startswith("/v2"):
        values |= {} if token is None else {"token": token}
        return HTTP.post(url, json=values) if is_post else HTTP.get(url, params=values)
    values |= {"username": "NAME"} | ({} if token is None else {"password": token})
    if path.startswith("/v1"):
        return HTTP.post(url, json=values) if is_post else HTTP.get(url, params=values)
    if is_post:
        return HTTP.post(f"{url}/", data={**values, "json": values.pop("job")})
    return HTTP.get(f"{url}/", params={**values, "json": json.dumps({"job_id": values.pop("job_id")})})


def refused(answer: httpx.Response, code: int) -> dict[str, str]:
    """Return the status that an answer with this code holds."""
    assert answer.status_code == code, answer.text
    status: dict[str, str] = answer.json()
    assert list(status) == KEYS
    assert status["status"] in ("ERROR", "error")
    assert all(isinstance(text, str) and text for text in status.values())
    return status


def submitted(door: FrontDoor, user: str = "alice", *, backend: str = "singlequdit") -> str:
    """Hand in a job, and return its id."""
    answer = call(door, f"/v2/{backend}/post_job", door.token(user), job=TEXT)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])
