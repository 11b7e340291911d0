"""The form for a job, the page of tokens and limits, those of operators, and the API's documentation."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import FrontDoor
from tests.api.visitor import HOSTILE, Visitor, checked, words

PROGRAM = '[["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []]]'
GOOD = {"backend": "singlequdit", "program": PROGRAM, "wires": "1", "shots": "10"}
BELL = 'OPENQASM 3;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n'


@pytest.fixture(scope="module")
def alice(door: FrontDoor) -> Iterator[Visitor]:
    """Alice, who has signed in."""
    visitor = Visitor(door, "alice")
    yield visitor
    visitor.close()


@pytest.fixture(scope="module")
def olga(door: FrontDoor) -> Iterator[Visitor]:
    """The operator."""
    visitor = Visitor(door, "olga")
    yield visitor
    visitor.close()


def jobs(visitor: Visitor) -> int:
    """Return how many jobs the visitor has."""
    return int(visitor.door.ask("alice", "GET", "/v1/jobs?total=true&limit=1").json()["total"])


def test_a_job_is_handed_in_by_a_form(alice: Visitor) -> None:
    """A list of instructions with what the other fields say; sent twice it is one job, changed it is another."""
    page = alice.get("/ui/submit?backend=multiqudit")
    assert "<option selected>multiqudit</option>" in page
    assert "<option>atoms</option>" in page
    first, again = (alice.post("/ui/submit", **GOOD, seed="5", project="atoms", key="k") for _ in range(2))
    assert first.status_code == 303
    assert first.headers["location"] == again.headers["location"]
    job_id = first.headers["location"].rpartition("/")[2]
    document = alice.client.get(f"/ui/jobs/{job_id}/document.json").json()
    assert document["experiment_0"]["shots"] == 10
    assert document["experiment_0"]["seed"] == 5
    other = alice.post("/ui/submit", **GOOD | {"shots": "11"}, project="atoms", key="k")
    assert other.headers["location"] != first.headers["location"]


@pytest.mark.parametrize(
    ("program", "backend"),
    [
        (BELL, "qubits"),
        ('{"experiment_0": {"instructions": ' + PROGRAM + ', "num_wires": 1, "shots": 3}}', "singlequdit"),
    ],
)
def test_programs_and_documents_are_taken_too(alice: Visitor, program: str, backend: str) -> None:
    """As text and as a file, which goes before the text."""
    assert alice.post("/ui/submit", **GOOD | {"program": program, "backend": backend}).status_code == 303
    fields = {"form_token": alice.form_token, **GOOD, "program": "[", "backend": backend}
    answer = alice.client.post("/ui/submit", data=fields, files={"file": ("job.txt", program.encode())})
    assert answer.status_code == 303, words(answer.text)


FAULTY: list[tuple[dict[str, str], list[str]]] = [
    ({"shots": "many", "wires": "0", "priority": "x"}, ["wires :", "shots :", "priority :"]),
    ({"shots": "lots", "priority": "1.5"}, ["shots : got 'lots'; it must be a whole number", "priority : got '1.5'"]),
    (
        {"shots": "lots", "program": '[["nope", [0], []], ["measure", [3], []]]'},
        ["shots : got 'lots'", "instruction 0 (nope)", "instruction 1 (measure)"],
    ),
    ({"shots": "9" * 5000}, ["shots has more than 20 characters"]),
    ({"program": "   "}, ["the program is empty"]),
    ({"backend": HOSTILE}, ["no backend is called"]),
    ({"project": "nobodys"}, ["only members of a project may hand in jobs for it"]),
    ({"program": HOSTILE}, ["alert(1)", "JSON"]),
    ({"program": '[["nope", [0], []], ["measure", [3], []]]'}, ["instruction 0 (nope)", "instruction 1 (measure)"]),
    ({"program": "[" * 100_000}, ["1 fault"]),
    ({"program": PROGRAM, "shots": "1000000000"}, ["shots"]),
    ({"backend": "qubits", "program": "OPENQASM 3;\nqubit q;\nnope q;\n"}, ["nope"]),
]


@pytest.mark.parametrize(("changes", "said"), FAULTY)
def test_faults_stand_beside_the_form(alice: Visitor, changes: dict[str, str], said: list[str]) -> None:
    """All of them, checked while it is filled in and when it is sent; what was written is there again."""
    before = jobs(alice)
    sent = alice.post("/ui/submit", **GOOD | changes)
    tried = alice.post("/ui/check", **GOOD | changes)
    assert (sent.status_code, tried.status_code) == (422, 422)
    for text in said:
        assert text in words(checked(sent))
        if text != "alert(1)":
            assert text in words(checked(tried))
    assert 'role="alert"' in sent.text
    assert "The job was not handed in" in words(sent.text)
    assert jobs(alice) == before


def test_a_check_stores_nothing(alice: Visitor) -> None:
    """By itself while one types, and by a button."""
    before = jobs(alice)
    for answer in (alice.post("/ui/check", **GOOD), alice.post("/ui/submit?only=check", **GOOD)):
        assert answer.status_code == 200
        assert "singlequdit takes it, 10 shots in all. Nothing is stored yet." in words(checked(answer))
    assert jobs(alice) == before


def test_a_viewer_hands_in_nothing(door: FrontDoor) -> None:
    """He is told so in a sentence."""
    vic = Visitor(door, "vic")
    assert "a viewer may only look" in words(checked(vic.post("/ui/submit", **GOOD)))
    vic.close()


def test_a_new_token_is_shown_once(door: FrontDoor, alice: Visitor) -> None:
    """It lets in, it is in the list without its text, and when it is revoked it lets nobody in."""
    answer = alice.post("/ui/account/tokens", note=HOSTILE, days="30", scopes=["read", "submit"])
    assert answer.status_code == 201
    (text,) = re.findall(r"qlg_[0-9a-f]{12}_[0-9a-f]{48}", checked(answer))
    page = alice.get("/ui/account")
    assert text not in page
    assert "alert(1)" in words(page)
    other = Visitor(door)
    assert other.sign_in(text).status_code == 303
    assert "New token" not in words(other.get("/ui/account"))
    assert other.post("/ui/account/tokens", days="", scopes=["read"]).status_code == 422
    alice.post(f"/ui/account/tokens/{text.split('_')[1]}/revoke")
    assert other.client.get("/ui/account").status_code == 303
    other.close()


def test_a_token_that_cannot_be_made_is_told_all_that_is_wrong(alice: Visitor) -> None:
    """And none is made."""
    answer = alice.post("/ui/account/tokens", note="n" * 201, days="0")
    said = words(checked(answer))
    assert answer.status_code == 422
    for text in ("more than 200 characters", "the days are a number from 1 to 36500", "it may do nothing"):
        assert text in said


def test_limits_are_shown_with_what_is_used_of_them(door: FrontDoor) -> None:
    """Before they break; and whoever comes too often is told when he may come again."""
    door.add_user("lim")
    door.directory.set_limits("user/lim", {"jobs_queued": 4, "shots_a_day": 1000}, actor="test")
    lim = Visitor(door, "lim")
    assert lim.post("/ui/submit", **GOOD).status_code == 303
    said = words(lim.get("/ui/account"))
    assert re.search(r"Jobs that wait (0\.25 )?1 4", said)
    assert re.search(r"Shots a day (0\.01 )?10 1,000", said)
    assert "Seconds a day" not in said
    door.directory.set_limits("user/lim", {"jobs_queued": 1}, actor="test")
    refused = lim.post("/ui/submit", **GOOD)
    assert refused.status_code == 429
    assert "jobs" in words(checked(refused)).partition("Check")[2]
    lim.close()
    door.add_user("often")
    door.directory.set_limits("user/often", {"requests_a_minute": 3}, actor="test")
    often = Visitor(door)
    often.sign_in(door.token("often"))
    answers = [often.client.get("/ui/backends") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "requests a minute" in words(checked(answers[-1]))
    often.close()


def test_a_token_of_somebody_else_is_not_there(door: FrontDoor, alice: Visitor) -> None:
    """Its id reveals nothing."""
    foreign = alice.post(f"/ui/account/tokens/{door.token('bob').split('_')[1]}/revoke")
    missing = alice.post("/ui/account/tokens/ffffffffffff/revoke")
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert door.ask("bob", "GET", "/v1/me").status_code == 200


def test_operators_see_users_and_health_and_nobody_else_does(door: FrontDoor, alice: Visitor, olga: Visitor) -> None:
    """To others these pages are refused, and not in the navigation."""
    users = words(olga.get("/ui/users"))
    for text in ("alice member atoms", "olga operator", "vic viewer", "alice (member), carol (viewer)"):
        assert text in users
    health = words(olga.get("/ui/laboratory"))
    assert "ok database" in health
    assert "ok storage" in health
    for path in ("/ui/users", "/ui/laboratory"):
        assert "This is not permitted: it is not the caller's." in words(alice.get(path, 403))
        assert path not in alice.get("/ui/jobs")


def test_backends_are_shown(alice: Visitor) -> None:
    """With what they can do, how many wait, and as they are published."""
    assert "singlequdit" in words(alice.get("/ui/backends"))
    page = words(alice.get("/ui/backends/singlequdit"))
    assert "rlx" in page
    assert "waiting" in page
    assert "There" not in page
    assert "load Puts atoms on a wire" in page
    assert "if_else What follows depends on bits that were measured" in words(alice.get("/ui/backends/qubits"))
    assert "no backend is called" in words(alice.get("/ui/backends/%3Cb%3E", 404)).lower()


def test_the_api_is_documented_with_a_line_for_each_route(door: FrontDoor) -> None:
    """Without a token, a script or anything from elsewhere."""
    nobody = Visitor(door)
    page = nobody.get("/v1/docs")
    routes: dict[str, Any] = door.ask(None, "GET", "/v1/openapi.json").json()["paths"]
    operations = [(path, method.upper()) for path, methods in routes.items() for method in methods]
    said = words(page)
    assert len(operations) > 15
    for path, method in operations:
        assert f"{method} {path}" in said
    assert page.count("curl -s") == len(operations)
    assert "curl -s -X POST " + door.url + "/v1/jobs -H" in said
    nobody.close()
