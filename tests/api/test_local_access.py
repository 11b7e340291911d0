"""What a server leaves for the programs of its machine: it lets in its owner, from there, while it runs."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from quledger_client import Client, NotAllowed, Unreachable

from deployments.processes.local_access import FILE, LocalAccess, is_anybody_there, local_access, local_user
from models.identity.facts import UserDisabled
from models.identity.streams import user_stream
from tests.api.conftest import FrontDoor, front_door
from tests.waiting import until


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FrontDoor]:
    """A laboratory without users."""
    with front_door(tmp_path) as door:
        yield door


def left(door: FrontDoor) -> dict[str, str]:
    """Return what is left in the home."""
    return dict(json.loads((door.services.settings.folder / FILE).read_text()))


def me(door: FrontDoor, token: str, **headers: str) -> httpx.Response:
    """Ask who this is."""
    return httpx.get(f"{door.url}/v1/me", headers={"Authorization": f"Bearer {token}"} | headers)


def test_a_program_of_this_machine_comes_in_without_being_told_a_token(door: FrontDoor) -> None:
    """As an ordinary user with the name of the machine's; the file is its owner's alone, and gone with the server."""
    home = door.services.settings.folder
    assert not is_anybody_there(door.services)
    with local_access(door.services, "127.0.0.1", door.url):
        assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
        assert [path.name for path in home.glob(f"{FILE}*")] == [FILE]
        with Client.local(home) as client:
            found = client.me()
            assert (found["user"], found["role"], sorted(found["scopes"])) == (
                local_user(),
                "member",
                ["read", "submit"],
            )
            assert client.url == door.url
        token = left(door)["token"]
        assert token not in repr(client)
        assert not is_anybody_there(door.services)
    assert not (home / FILE).exists()
    assert me(door, token).json()["detail"] == "this token was revoked; ask the laboratory for a new one"
    with pytest.raises(Unreachable, match="no server has left its address"):
        Client.local(home)


def test_who_comes_from_elsewhere_is_refused(door: FrontDoor) -> None:
    """By a proxy of this machine too, at every door; with another token he may come."""
    door.add_user("alice")
    with local_access(door.services, "127.0.0.1", door.url):
        token = left(door)["token"]
        for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
            answer = me(door, token, **{header: "203.0.113.5"})
            assert answer.status_code == 401
            assert answer.json()["detail"] == "this token is good on the machine of the server alone"
        far = {"X-Forwarded-For": "203.0.113.5"}
        sent = {"job": "{}", "token": token}
        assert httpx.post(f"{door.url}/api/v2/rydberg/post_job", json=sent, headers=far).status_code == 401
        assert httpx.get(f"{door.url}/oqtopus/devices", headers={"q-api-token": token} | far).status_code == 401
        assert me(door, token).status_code == 200
        assert me(door, door.token("alice"), **far).status_code == 200
    assert is_anybody_there(door.services)


def test_the_next_start_revokes_what_a_killed_server_has_left(door: FrontDoor) -> None:
    """And a client that has read the file before comes in again."""
    home = door.services.settings.folder
    killed = LocalAccess(door.services, door.url)
    killed.begin()
    first = left(door)["token"]
    with Client.local(home) as client:
        client.me()
        os.close(killed._turn)  # as the system does it for a process that is killed
        with local_access(door.services, "127.0.0.1", door.url):
            second = left(door)["token"]
            assert first != second
            assert me(door, first).status_code == 401
            assert client.me()["user"] == local_user()


def test_a_server_beside_another_takes_nothing_away_and_follows_it(door: FrontDoor) -> None:
    """Whichever of them ends, the programs of this machine have one that serves."""
    home = door.services.settings.folder
    first, second = (LocalAccess(door.services, url) for url in (door.url, f"{door.url}/"))
    first.begin()
    token = left(door)["token"]
    second.begin()
    with local_access(door.services, "127.0.0.1", "http://127.0.0.1:1"):
        assert left(door) == {"url": door.url, "token": token}
    assert left(door) == {"url": door.url, "token": token}
    assert me(door, token).status_code == 200
    first.end()
    until((home / FILE).exists)
    assert left(door)["url"] == f"{door.url}/"
    assert [me(door, each).status_code for each in (token, left(door)["token"])] == [401, 200]
    second.end()
    assert not (home / FILE).exists()


def test_a_file_that_names_another_token_revokes_nothing(door: FrontDoor) -> None:
    """Whoever wrote it."""
    door.add_user("alice")
    path = door.services.settings.folder / FILE
    path.write_text(json.dumps({"url": door.url, "token": door.token("alice")}))
    with local_access(door.services, "127.0.0.1", door.url):
        assert me(door, door.token("alice")).status_code == 200
    path.write_text("[")
    with local_access(door.services, "127.0.0.1", door.url):
        assert len(left(door)) == 2


def test_a_user_who_is_disabled_stays_so(door: FrontDoor) -> None:
    """A start gives nothing back."""
    door.add_user(local_user(), "viewer")
    door.directory.append(user_stream(local_user()), UserDisabled(), actor="test")
    with (
        local_access(door.services, "127.0.0.1", door.url),
        Client.local(door.services.settings.folder) as client,
        pytest.raises(NotAllowed, match="disabled"),
    ):
        client.me()


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        ("0.0.0.0", {}),
        ("127.0.0.1", {"api_behind_proxy": True}),
        ("127.0.0.1", {"api_hosts": ["jobs.example.org"]}),
    ],
)
def test_a_server_for_others_leaves_nothing(tmp_path: Path, host: str, settings: dict[str, object]) -> None:
    """One that listens elsewhere, or stands behind a proxy."""
    with front_door(tmp_path, **settings) as door, local_access(door.services, host, door.url):
        assert not (tmp_path / FILE).exists()
        assert door.services.directory.users() == []


def test_a_home_that_cannot_be_written_stops_no_server(door: FrontDoor) -> None:
    """And the token that could not be left is good for nobody."""
    (door.services.settings.folder / FILE).mkdir()
    with local_access(door.services, "127.0.0.1", door.url):
        pass
    states = {each.token.revoked_at is None for each in door.services.directory.tokens()}
    assert states == {False}


def test_a_file_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    """Nor one that names another machine: the token would go there."""
    path = tmp_path / FILE
    path.write_text(json.dumps({"url": "http://127.0.0.1:1", "token": "qlg_0"}))
    path.chmod(0o644)
    with pytest.raises(NotAllowed, match=r"may be read by others \(mode 0644\)"):
        Client.local(tmp_path)
    path.chmod(0o600)
    path.write_text(json.dumps({"url": "https://jobs.example.org", "token": "qlg_0"}))
    with pytest.raises(NotAllowed, match="not on this machine"):
        Client.local(tmp_path)
    path.write_text("{}")
    with pytest.raises(Unreachable, match="is not what a server leaves there"):
        Client.local(tmp_path)
