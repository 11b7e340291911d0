"""Signing in and out of the pages, and who may send their forms."""

import re
from collections.abc import Iterator

import pytest

from tests.api.conftest import FrontDoor, front_door
from tests.api.visitor import HOSTILE, Visitor, checked, words


@pytest.fixture
def alice(door: FrontDoor) -> Iterator[Visitor]:
    """Alice, who has signed in."""
    visitor = Visitor(door, "alice")
    yield visitor
    visitor.close()


@pytest.fixture
def nobody(door: FrontDoor) -> Iterator[Visitor]:
    """Somebody who has not."""
    visitor = Visitor(door)
    yield visitor
    visitor.close()


def test_whoever_shows_a_token_is_let_in(door: FrontDoor, nobody: Visitor) -> None:
    """The session is a cookie for these pages alone, which no script can read and which does not hold the token."""
    assert nobody.client.get("/").headers["location"] == "/ui/"
    assert nobody.client.get("/ui/").headers["location"] == "/ui/sign-in"
    token = door.token("alice")
    answer = nobody.sign_in(token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")
    kept = answer.headers["set-cookie"]
    assert re.fullmatch(r"quledger_session=[0-9a-f.]+; HttpOnly; Max-Age=43200; Path=/ui; SameSite=strict", kept)
    assert token not in kept
    assert token.rpartition("_")[2] not in kept
    assert nobody.client.get("/ui/").headers["location"] == "/ui/backends"
    assert "alice" in words(nobody.get("/ui/backends"))


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "This needs a token."),
        ("qlg_0123456789ab_" + "0" * 48, "This token is not known here."),
        (HOSTILE, "This token is not known here."),
        ("x" * 5000, "This token is not known here."),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "This token is not known here."),
    ],
)
def test_a_wrong_token_is_a_sentence(nobody: Visitor, token: str, said: str) -> None:
    """And no session; the token is not shown again."""
    answer = nobody.sign_in(token)
    assert answer.status_code == 401
    assert said in words(checked(answer))
    assert nobody.cookie is None
    assert not token or token not in answer.text


def test_a_token_may_be_pasted_with_blanks(door: FrontDoor, nobody: Visitor) -> None:
    """Around it and in it, as a wrapped line leaves them."""
    token = door.token("alice")
    assert nobody.sign_in(f" {token[:20]}\n {token[20:]}\t").status_code == 303


def test_one_comes_back_to_the_page_that_was_asked_for(door: FrontDoor, nobody: Visitor) -> None:
    """And to no other server's."""
    asked = nobody.client.get("/ui/jobs?state=DONE")
    assert asked.headers["location"] == "/ui/sign-in?next=%2Fui%2Fjobs%3Fstate%3DDONE"
    assert 'value="/ui/jobs?state=DONE"' in nobody.get(asked.headers["location"])
    assert nobody.sign_in(door.token("alice"), next="/ui/jobs?state=DONE").headers["location"] == "/ui/jobs?state=DONE"
    assert nobody.sign_in(door.token("alice"), next="//evil.example/ui/").headers["location"] == "/ui/"


def test_after_signing_out_a_copied_cookie_is_worth_nothing(door: FrontDoor, alice: Visitor) -> None:
    """The session has ended, not only its cookie."""
    copied = alice.cookie
    assert copied is not None
    answer = alice.post("/ui/sign-out")
    assert answer.headers["location"] == "/ui/sign-in"
    assert alice.cookie is None
    thief = Visitor(door)
    thief.client.cookies.set("quledger_session", copied, path="/ui")
    assert thief.client.get("/ui/jobs").headers["location"].startswith("/ui/sign-in")
    thief.close()


def test_a_revoked_token_ends_its_sessions(door: FrontDoor) -> None:
    """At the next request."""
    token = door.directory.issue("user/bob", ("read",), actor="test")
    bob = Visitor(door)
    bob.sign_in(token.text)
    bob.get("/ui/jobs")
    door.directory.revoke(token.token_id, actor="test")
    answer = bob.client.get("/ui/jobs")
    assert answer.headers["location"] == "/ui/sign-in?next=%2Fui%2Fjobs&over=1"
    assert "Your session is over" in words(bob.get(answer.headers["location"]))
    bob.close()


def test_a_device_opens_no_pages(door: FrontDoor, nobody: Visitor) -> None:
    """Its token is for serving jobs."""
    answer = nobody.sign_in(door.directory.issue("device/rydberg", actor="test").text)
    assert answer.status_code == 403
    assert "serves jobs" in words(checked(answer))
    assert nobody.cookie is None


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
]
FORMS = ["/ui/sign-out", "/ui/submit", "/ui/check", "/ui/account/tokens", "/ui/account/tokens/0123456789ab/revoke"]
FORMS += [f"/ui/jobs/{'0' * 24}/{act}" for act in ("cancel", "retry", "rerun", "hide")]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/ui/sign-in", *FORMS])
def test_a_form_of_another_site_is_refused(alice: Visitor, path: str, headers: dict[str, str]) -> None:
    """Also one that knows what ours carry; and nobody is signed in under another name."""
    before = alice.cookie
    fields = {"form_token": alice.form_token, "token": alice.door.token("bob")}
    answer = alice.client.post(path, data=fields, headers=headers)
    assert answer.status_code == 403
    assert "this form was not taken" in words(checked(answer)).lower()
    assert alice.cookie == before


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_what_ours_carry_is_refused(door: FrontDoor, alice: Visitor, path: str) -> None:
    """Nothing, rubbish, or what the forms of another session carry."""
    other = Visitor(door, "alice")
    for fields in ({}, {"form_token": ""}, {"form_token": "0" * 64}, {"form_token": other.form_token}):
        assert alice.client.post(path, data=fields).status_code == 403
    other.close()


def test_a_form_of_nobody_leads_to_signing_in(nobody: Visitor) -> None:
    """Such as one that was open for longer than its session."""
    for path in FORMS:
        answer = nobody.client.post(path, data={"form_token": "0" * 64})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/sign-in")


@pytest.mark.parametrize(
    "body", [b"", b"--x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', b"--x--\r\n"]
)
def test_a_torn_form_is_refused(alice: Visitor, body: bytes) -> None:
    """With a page, and not with a fault of ours."""
    answer = alice.client.post("/ui/submit", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in {400, 403}
    checked(answer)


def test_a_form_of_a_million_fields_is_refused(alice: Visitor) -> None:
    """Before there is an object for each of them; in whatever way they come."""
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    for body, kind in (
        (b"a&" * 1_000_000, "application/x-www-form-urlencoded"),
        (part * 100_000 + b"--x--\r\n", "multipart/form-data; boundary=x"),
    ):
        answer = alice.client.post("/ui/submit", content=body, headers={"Content-Type": kind})
        assert answer.status_code in {400, 403}
        assert "fields" in words(checked(answer))


def test_behind_a_proxy_that_speaks_tls_the_cookie_is_secure(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only what the proxy itself has added is believed."""
    with front_door(tmp_path_factory.mktemp("proxied"), api_behind_proxy=True) as door:
        door.add_user("alice")
        visitor = Visitor(door)
        for said, is_secure in (("https", True), ("http", False), ("https, http", False)):
            headers = {"X-Forwarded-Proto": said}
            answer = visitor.client.post("/ui/sign-in", data={"token": door.token("alice")}, headers=headers)
            assert ("Secure" in answer.headers["set-cookie"]) is is_secure
        visitor.close()


def test_what_pages_load_is_kept_by_the_hash_of_its_content(nobody: Visitor) -> None:
    """And nothing else lies there."""
    page = nobody.get("/ui/sign-in")
    for address in re.findall(r'"(/ui/static/[^"]+)"', page):
        answer = nobody.client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert nobody.client.get("/ui/static/style.css?v=other").headers["cache-control"] == "no-store"
    for path in ("/ui/static/none.css", "/ui/static/..%2frouter.py", "/ui/nowhere", "/ui/static/"):
        nobody.get(path, 404)
