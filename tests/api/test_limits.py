"""Limits are told before they break, and hold."""

import pytest

from models.identity.facts import LimitsSet
from models.identity.limits import Limits
from tests.api.conftest import SPIN, FrontDoor

BODY = {"backend": "singlequdit", "document": SPIN}


def limits_of(door: FrontDoor, user: str) -> dict[str, tuple[float | None, float]]:
    """Return what `/v1/me` says of a user's own limits: most and used, by name."""
    rows = door.ask(user, "GET", "/v1/me").json()["limits"]
    return {row["name"]: (row["most"], row["used"]) for row in rows if row["of"] == "you"}


def test_a_limit_is_seen_before_it_is_reached(door: FrontDoor) -> None:
    """Ten shots a job, thirty a day: the fourth one has to wait for tomorrow, one key at a time."""
    door.add_user("lim1")
    door.directory.append("user/lim1", LimitsSet(limits=Limits(shots_a_day=30)), actor="test")
    codes = []
    for expected in (0, 10, 20, 30):
        assert limits_of(door, "lim1")["shots_a_day"] == (30, expected)
        codes.append(door.ask("lim1", "POST", "/v1/jobs", json=BODY).status_code)
    assert codes == [201, 201, 201, 429]
    refused = door.ask("lim1", "POST", "/v1/jobs", json=BODY)
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    assert "may have 30 shots a day, and has used 30" in refused.json()["detail"]


def test_waiting_jobs_are_limited_together_over_a_batch(door: FrontDoor) -> None:
    """What is cancelled waits no more."""
    door.add_user("lim2")
    door.directory.append("user/lim2", LimitsSet(limits=Limits(jobs_queued=2)), actor="test")
    answers = door.ask("lim2", "POST", "/v1/jobs:batch", json={"jobs": [BODY] * 3}).json()["jobs"]
    assert [each["status"] for each in answers] == [201, 201, 429]
    door.ask("lim2", "POST", f"/v1/jobs/{answers[0]['job_id']}/cancel")
    assert door.ask("lim2", "POST", "/v1/jobs", json=BODY).status_code == 201


def test_a_project_has_limits_of_its_own(door: FrontDoor) -> None:
    """They hold for all of its members together."""
    for name in ("lim3", "lim4"):
        door.add_user(name)
    door.add_project("narrow", lim3="member", lim4="member")
    door.directory.append("project/narrow", LimitsSet(limits=Limits(jobs_queued=1)), actor="test")
    body = BODY | {"project": "narrow"}
    assert [door.ask(user, "POST", "/v1/jobs", json=body).status_code for user in ("lim3", "lim4")] == [201, 429]
    assert door.ask("lim4", "POST", "/v1/jobs", json=BODY).status_code == 201
    rows = door.ask("lim4", "GET", "/v1/me").json()["limits"]
    assert {"of": "narrow", "name": "jobs_queued", "most": 1, "used": 1} in rows


def test_a_payload_counts_and_is_ones_own(door: FrontDoor) -> None:
    """Another user's is not there, and to store the same does not tell that somebody else has."""
    door.add_user("lim5")
    door.add_user("lim6")
    door.directory.append("user/lim5", LimitsSet(limits=Limits(bytes=300)), actor="test")
    content = b'{"experiment_0": {"instructions": [["measure", [0], []]], "num_wires": 1, "shots": 10}}'
    stored = door.ask("lim5", "PUT", "/v1/payloads", content=content)
    assert stored.status_code == 201
    digest = stored.json()["sha256"]
    assert door.ask("lim5", "PUT", "/v1/payloads", content=content).status_code == 200
    assert door.ask("lim5", "PUT", "/v1/payloads", content=b"x" * 300).status_code == 429
    assert door.ask("lim6", "GET", f"/v1/payloads/{digest}").status_code == 404
    assert door.ask("lim6", "DELETE", f"/v1/payloads/{digest}").status_code == 404
    use = {"backend": "singlequdit", "document_sha256": digest}
    assert door.ask("lim6", "POST", "/v1/jobs", json=use).status_code == 404
    assert door.ask("lim6", "PUT", "/v1/payloads", content=content).status_code == 201
    job_id = door.ask("lim5", "POST", "/v1/jobs", json=use).json()["job_id"]
    assert door.ask("lim5", "GET", f"/v1/jobs/{job_id}/document").content == content
    assert door.ask("lim5", "DELETE", f"/v1/payloads/{digest}").status_code == 409
    assert door.ask("lim6", "DELETE", f"/v1/payloads/{digest}").status_code == 204
    assert door.ask("lim5", "GET", f"/v1/payloads/{digest}").content == content


def test_what_one_call_makes_of_payloads_is_bounded(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand hashes of a large one would fill the memory: what goes beyond is left for another call."""
    monkeypatch.setattr("deployments.api.stored.MAX_NAMED", 150)
    content = b'{"experiment_0": {"instructions": [["measure", [0], []]], "num_wires": 1, "shots": 10}}'
    digest = door.ask("alice", "PUT", "/v1/payloads", content=content).json()["sha256"]
    job = {"backend": "singlequdit", "document_sha256": digest}
    jobs = [job | {"key": f"named-{nth}"} for nth in range(4)]
    answers = door.ask("alice", "POST", "/v1/jobs:batch", json={"jobs": jobs}).json()["jobs"]
    assert [each["status"] for each in answers] == [201, 201, 422, 422]
    assert answers[2]["problem"]["faults"][0]["field"] == "document_sha256"
    answers = door.ask("alice", "POST", "/v1/jobs:batch", json={"jobs": jobs[2:]}).json()["jobs"]
    assert [each["status"] for each in answers] == [201, 201]


@pytest.mark.parametrize(("most", "codes"), [(3, [200, 200, 200, 429]), (0, [429] * 4)])
def test_requests_are_limited(door: FrontDoor, most: int, codes: list[int]) -> None:
    """A user who may come three times a minute is told to wait at the fourth."""
    name = f"often{most}"
    door.add_user(name)
    door.directory.append(f"user/{name}", LimitsSet(limits=Limits(requests_a_minute=most)), actor="test")
    answers = [door.ask(name, "GET", "/v1/jobs") for _ in codes]
    assert [each.status_code for each in answers] == codes
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61


def test_the_use_of_a_token_is_remembered(door: FrontDoor) -> None:
    """Not on the way of the request."""
    door.add_user("seen")
    (token,) = door.ask("seen", "GET", "/v1/tokens").json()
    assert token["last_used_at"] is None
    door.app.state.calls.visits.write()
    (token,) = door.ask("seen", "GET", "/v1/tokens").json()
    assert token["last_used_at"] > token["issued_at"]
