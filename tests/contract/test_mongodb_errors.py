"""What is said when MongoDB cannot be used: one sentence with what to check, no secret, and all is well afterwards."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from pymongo import MongoClient

from models.errors import BadSetting, DocumentMissing, StorageRefused, StorageUnavailable
from storage import layout
from storage.providers.registry import open_storage
from tests.certificates import self_signed
from tests.secantus import Server, secantus_server
from tests.waiting import until

QUEUED = layout.queued("rydberg", "0123456789abcdef01234567")
PASSWORD = "pa:ss/wo@rd?&%41"
SHORT = "serverSelectionTimeoutMS=700"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server that wants a password: `ann` may write, `bob` may read."""
    with secantus_server() as server:
        with MongoClient[dict[str, Any]](server.url) as client:
            for user, role in (("ann", "readWriteAnyDatabase"), ("bob", "readAnyDatabase")):
                client.admin.command("createUser", user, pwd=PASSWORD, roles=[{"role": role, "db": "admin"}])
        server.stop()
        server.start("--auth")
        yield server


def guarded_url(server: Server, user: str, password: str) -> str:
    """Return the URL with credentials."""
    return f"mongodb://{user}:{quote_plus(password)}@127.0.0.1:{server.port}/?{SHORT}"


def refuses(url: str, kind: type[Exception], *words: str) -> None:
    """Each use of the storage fails with one sentence that says what to check and gives nothing away."""
    storage = open_storage(url)
    assert PASSWORD not in storage.url
    for use in (
        lambda: storage.put(QUEUED, b"{}"),
        lambda: storage.create(layout.staged("a", 1), b"x"),
        lambda: storage.move(QUEUED, layout.taken("a")),
        lambda: storage.delete(QUEUED),
    ):
        with pytest.raises(kind) as caught:
            use()
        said = str(caught.value)
        assert all(word in said for word in words), said
        assert "127.0.0.1" in said
        assert len(said) < 300
        assert not any(secret in said for secret in (PASSWORD, quote_plus(PASSWORD), "Traceback", "0x"))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_escaped_credentials_are_understood(guarded: Server):
    """A user name and a password with every special character let us in."""
    storage = open_storage(guarded_url(guarded, "ann", PASSWORD))
    storage.put(QUEUED, b'{"a": 1}')
    assert storage.get(QUEUED) == b'{"a": 1}'


def test_a_login_beside_the_url_is_used(guarded: Server):
    """User and password may be given apart from the URL, as they are."""
    storage = open_storage(f"mongodb://127.0.0.1:{guarded.port}/", {"username": "ann", "password": PASSWORD})
    storage.put(QUEUED, b'{"a": 1}')
    assert storage.get(QUEUED) == b'{"a": 1}'


def test_a_wrong_password_is_refused(guarded: Server):
    """What to check is user, password and where they are known; trying again heals nothing."""
    refuses(guarded_url(guarded, "ann", PASSWORD + "x"), StorageRefused, "password", "authSource")
    refuses(guarded_url(guarded, "nobody", PASSWORD), StorageRefused, "password")


def test_a_missing_login_is_refused(guarded: Server):
    """A server that wants a login says so."""
    refuses(guarded.url, StorageRefused, "allow")


def test_a_user_who_may_only_read_is_refused(guarded: Server):
    """What to check is the user's role, on which databases; reading works."""
    open_storage(guarded_url(guarded, "ann", PASSWORD)).put(QUEUED, b'{"a": 1}')
    refuses(guarded_url(guarded, "bob", PASSWORD), StorageRefused, "readWrite", "jobs")
    assert open_storage(guarded_url(guarded, "bob", PASSWORD)).get(QUEUED) == b'{"a": 1}'


def test_a_host_that_does_not_answer(guarded: Server):
    """Nobody listens, or the name is nobody's: both are said soon."""
    begun = time.monotonic()
    refuses(f"mongodb://ann:{quote_plus(PASSWORD)}@127.0.0.1:9/?{SHORT}", StorageUnavailable, "host and port")
    assert time.monotonic() - begun < 30  # not pymongo's 30 s for each
    with pytest.raises(StorageUnavailable, match=r"no-such-host.invalid is not a name"):
        open_storage(f"mongodb://no-such-host.invalid/?{SHORT}").get(QUEUED)
    with pytest.raises(StorageUnavailable, match=r"no-such-host.invalid is not a name"):
        open_storage(f"mongodb+srv://ann:pw@no-such-host.invalid/?{SHORT}").get(QUEUED)


def test_tls(tmp_path: Path):
    """With the right authority it works; without it, or without TLS at all, what to check is said."""
    certificate, key = self_signed(tmp_path, "127.0.0.1")
    with secantus_server("--tls-cert-file", str(certificate), "--tls-key-file", str(key)) as server:
        good = f"mongodb://127.0.0.1:{server.port}/?{SHORT}&tls=true&tlsCAFile={quote_plus(str(certificate))}"
        storage = open_storage(good)
        storage.put(QUEUED, b'{"a": 1}')
        assert storage.get(QUEUED) == b'{"a": 1}'
        refuses(f"mongodb://127.0.0.1:{server.port}/?{SHORT}&tls=true", StorageUnavailable, "tlsCAFile")
        refuses(f"mongodb://127.0.0.1:{server.port}/?{SHORT}", StorageUnavailable, "TLS")


@pytest.mark.parametrize(
    "url",
    [
        f"mongodb://ann:{PASSWORD}@host/",
        "mongodb://host:99999/",
        "mongodb://",
        "mongodb://host/?noSuchOption=1",
        "mongodb://host/?serverSelectionTimeoutMS=soon",
        "mongodb://host/?tls=true&tlsCAFile=/no/such/file",
        "mongodb://host/?databasePrefix=a.b",
        "mongodb://host/?databasePrefix=" + 31 * "a",
    ],
)
def test_a_url_that_cannot_be_used_is_a_bad_setting(url: str):
    """What is wrong with the URL is said when it is opened; nothing of a password is."""
    with pytest.raises(BadSetting) as caught:
        open_storage(url)
    assert not any(secret in str(caught.value) for secret in (PASSWORD, "wo@rd", "/no/such", "soon"))


def test_it_works_again_when_the_server_is_back():
    """The server is stopped, killed, or stands still: each use fails with a sentence, and works when it is back."""
    with secantus_server() as server:
        storage = open_storage(f"{server.url}?{SHORT}&socketTimeoutMS=1000")
        storage.put(QUEUED, b'{"a": 1}')
        for how in (signal.SIGTERM, signal.SIGKILL):
            server.stop(how)
            with pytest.raises(StorageUnavailable):
                storage.get(QUEUED)
            with pytest.raises(StorageUnavailable):
                list(storage.entries("jobs/queued/rydberg"))
            server.start()
            assert storage.get(QUEUED) == b'{"a": 1}'
        server.signal(signal.SIGSTOP)
        with pytest.raises(StorageUnavailable):
            storage.get(QUEUED)
        server.signal(signal.SIGCONT)
        assert storage.get(QUEUED) == b'{"a": 1}'


def test_what_was_written_survives_a_kill_of_the_server():
    """Every document whose writing returned is there after the server was killed in mid-work, and is whole."""
    with secantus_server() as server:
        storage = open_storage(f"{server.url}?{SHORT}")
        written: list[int] = []

        def write() -> None:
            for number in range(10_000):
                try:
                    storage.put(layout.queued("rydberg", f"{number:024x}"), b'{"n": %d}' % number)
                except StorageUnavailable:
                    return
                written.append(number)

        writer = threading.Thread(target=write)
        writer.start()
        until(lambda: len(written) >= 50)
        server.stop(signal.SIGKILL)
        writer.join()
        server.start()
        for number in written:
            assert storage.get(layout.queued("rydberg", f"{number:024x}")) == b'{"n": %d}' % number
        with pytest.raises(DocumentMissing):
            storage.get(layout.queued("rydberg", "f" * 24))
