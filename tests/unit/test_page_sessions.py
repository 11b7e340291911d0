"""Sessions of the pages: none can be made up, stretched or used after its end; forms of other pages are refused."""

import stat
from pathlib import Path

import pytest

from deployments.api.pages.forgery import local_path, why_foreign
from deployments.api.pages.session_files import SessionFiles
from deployments.api.pages.sessions import SECONDS, Sessions
from models.errors import BadSetting

TOKEN = "0123456789ab"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that is moved by hand."""
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> Sessions:
    """Sessions in a home of their own."""
    files = SessionFiles(tmp_path, clock)
    return Sessions(files.key, files, clock)


def test_a_session_is_known_again_until_its_time_is_over(sessions: Sessions, clock: Clock):
    """Twelve hours, to the second; the cookie says whose token it is and holds nothing of the token."""
    session, cookie = sessions.begin(TOKEN)
    assert session.token_id == TOKEN
    assert sessions.read(cookie) == session
    clock.now += SECONDS - 1
    assert sessions.read(cookie) == session
    clock.now += 1
    assert sessions.read(cookie) is None


def test_no_cookie_can_be_made_up(sessions: Sessions):
    """Every changed character, a cookie of another key, and all kinds of rubbish."""
    _, cookie = sessions.begin(TOKEN)
    for place in range(len(cookie)):
        other = "0" if cookie[place] != "0" else "1"
        assert sessions.read(cookie[:place] + other + cookie[place + 1 :]) is None
    assert Sessions(b"1" * 32, {}).read(cookie) is None  # type: ignore[arg-type]
    for rubbish in (None, "", ".", "...", "a.b.c.d", "é" * 40, "\ud800", "x" * 10_000, cookie + " ", f" {cookie}"):
        assert sessions.read(rubbish) is None


def test_a_session_that_has_ended_is_over_everywhere(tmp_path: Path, clock: Clock):
    """Also in another process, and after a start; one that ended does not end another."""
    first, second = (SessionFiles(tmp_path, clock) for _ in range(2))
    assert first.key == second.key
    here, there = Sessions(first.key, first, clock), Sessions(second.key, second, clock)
    session, cookie = here.begin(TOKEN)
    _, other = here.begin(TOKEN)
    assert there.read(cookie) == session
    here.end(session)
    third = SessionFiles(tmp_path, clock)
    for each in (here, there, Sessions(third.key, third, clock)):
        assert each.read(cookie) is None
        assert each.read(other) is not None


def test_ended_sessions_are_forgotten_when_they_would_be_over(tmp_path: Path, clock: Clock):
    """The file does not grow for ever."""
    files = SessionFiles(tmp_path, clock)
    files.add("a", int(clock.now) + 10)
    SessionFiles(tmp_path, clock)
    assert (tmp_path / "sessions" / "ended").exists()
    clock.now += 10
    SessionFiles(tmp_path, clock)
    assert not (tmp_path / "sessions" / "ended").exists()
    # Who was there before reads the new file from its beginning.
    SessionFiles(tmp_path, clock).add("b", int(clock.now) + 10)
    assert "b" in files


def test_the_key_is_for_its_owner_alone(tmp_path: Path):
    """A key that others may read, or that is broken, is not used."""
    SessionFiles(tmp_path)
    key = tmp_path / "sessions" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    key.chmod(0o640)
    with pytest.raises(BadSetting, match=r"sessions/key in QULEDGER_HOME may be read by others \(mode 0640\)"):
        SessionFiles(tmp_path)
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(BadSetting, match="is broken"):
        SessionFiles(tmp_path)
    assert not list(key.parent.glob("*.tmp"))


def test_a_form_belongs_to_its_session(sessions: Sessions):
    """What one session's forms carry is of no use to another."""
    first, _ = sessions.begin(TOKEN)
    second, cookie = sessions.begin(TOKEN)
    assert sessions.is_form_token(first, sessions.form_token(first))
    assert not sessions.is_form_token(second, sessions.form_token(first))
    assert not sessions.is_form_token(first, "")
    assert not sessions.is_form_token(first, "\ud800")
    assert sessions.form_token(second) not in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "http://lab.example:8000", "host": "lab.example:8000"},
        {"sec-fetch-site": "none"},
        {"origin": "https://LAB.example", "host": "lab.example"},
    ],
)
def test_what_our_pages_send_is_taken(headers: dict[str, str]):
    """And what no browser sends: it has no cookies that somebody else could misuse."""
    assert why_foreign(headers) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://lab.example:8000", "host": "lab.example:8000"},
        {"origin": "null", "host": "lab.example"},
        {"origin": "http://evil.example", "host": "lab.example"},
        {"origin": "http://lab.example:4200", "host": "lab.example:8000"},
        {"origin": "http://lab.example.evil.example", "host": "lab.example"},
        {"origin": "http://[", "host": "lab.example"},
        {"origin": "", "host": ""},
        {"origin": "file://lab.example", "host": "lab.example"},
    ],
)
def test_what_other_pages_send_is_refused(headers: dict[str, str]):
    """Another site, another port, a page from a file, no address at all."""
    assert why_foreign(headers)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("/ui/jobs/abc?x=1", "/ui/jobs/abc?x=1"),
        ("//evil.example/ui/", "/ui/"),
        ("/ui/..//evil.example", "/ui/"),
        ("https://evil.example/ui/", "/ui/"),
        ("/ui/\\evil", "/ui/"),
        ("/ui/\r\nSet-Cookie: a=b", "/ui/"),
        ("/ui/é", "/ui/"),
        ("/uix", "/ui/"),
        ("", "/ui/"),
        ("/ui/" + "a" * 1000, "/ui/"),
    ],
)
def test_one_goes_on_to_a_page_of_ours_alone(given: str, taken: str):
    """After signing in nobody is led elsewhere."""
    assert local_path(given) == taken
