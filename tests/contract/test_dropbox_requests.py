"""Dropbox when requests fail: what is tried again, what is refused, and what is said of it."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from models.errors import (
    BadSetting,
    DocumentExists,
    DocumentMissing,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
)
from storage.providers.dropbox import client
from storage.providers.dropbox.dropbox_storage import DropboxStorage
from storage.providers.registry import open_storage
from tests.contract.dropbox_places import ID, ONE, QUEUED, RUNNING, TWO, empty_storage, fault, root
from tests.dropbox_server import REFRESH, SECRET, Service, dropbox_service
from tests.waiting import until


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A server for the tests of this file."""
    with dropbox_service() as service:
        yield service


@pytest.fixture
def storage(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[DropboxStorage]:
    """An empty storage."""
    with empty_storage(service, monkeypatch) as storage:
        yield storage


@pytest.fixture
def variables(storage: DropboxStorage) -> Iterator[pytest.MonkeyPatch]:
    """Change the environment for a test; put back before the storage's own variables go."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "error_after", "500", "503"])
def test_a_request_without_an_answer_is_made_again(service: Service, storage: DropboxStorage, kind: str):
    """Whether it was done or not before its answer was lost: each request has its effect, and says so."""
    service.control(faults=[fault("upload", kind)])
    storage.create(QUEUED, ONE)
    service.control(faults=[fault("move_v2", kind)])
    storage.move(QUEUED, RUNNING)
    service.control(faults=[fault("download", kind)])
    assert storage.get(RUNNING) == ONE
    service.control(faults=[fault("upload", kind)])
    storage.put(RUNNING, TWO)
    service.control(faults=[fault("get_metadata", kind)])
    assert storage.exists(RUNNING)
    service.control(faults=[fault("list_folder", kind)])
    assert [entry.name for entry in storage.entries("jobs/running")] == [f"{ID}.json"]
    service.control(faults=[fault("delete_v2", kind)])
    storage.delete(RUNNING)
    assert not storage.exists(RUNNING)
    calls = service.control()
    assert calls["files/move_v2"] == calls["files/list_folder"] == calls["files/delete_v2"] == 2
    assert calls["files/upload"] == 4


@pytest.mark.parametrize("kind", ["cut_before", "500"])
def test_a_creation_that_was_made_again_may_still_be_refused(service: Service, storage: DropboxStorage, kind: str):
    """If somebody else's document lies there, a creation that lost its answer is not ours, also with our content."""
    for content in (TWO, ONE):
        storage.put(QUEUED, content)
        time.sleep(1.1)  # what others wrote in the same second cannot be told from ours
        service.control(faults=[fault("upload", kind)])
        with pytest.raises(DocumentExists):
            storage.create(QUEUED, ONE)
        assert storage.get(QUEUED) == content


def test_a_move_that_was_made_again_may_still_be_lost(service: Service, storage: DropboxStorage):
    """If the document is neither here nor there, a move whose first answer was lost has not been done."""
    service.control(faults=[fault("move_v2", "cut_before")])
    with pytest.raises(DocumentMissing):
        storage.move(QUEUED, RUNNING)


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "error_after"])
def test_a_move_onto_a_document_survives_lost_answers(service: Service, storage: DropboxStorage, kind: str):
    """What lay at the target is replaced, whichever answer on the way is lost."""
    for call in ("move_v2", "get_metadata", "delete_v2"):
        for skip in (0, 1):
            storage.put(QUEUED, ONE)
            storage.put(RUNNING, TWO)
            service.control(clear=True, faults=[fault(call, kind, skip=skip)])
            storage.move(QUEUED, RUNNING)
            assert storage.get(RUNNING) == ONE
            assert not storage.exists(QUEUED)


@pytest.mark.parametrize("kind", ["cut_short", "broken"])
def test_a_document_that_comes_broken_is_read_again(service: Service, storage: DropboxStorage, kind: str):
    """Half a document, or one that is not what Dropbox says it holds, is never returned."""
    storage.put(QUEUED, ONE * 1000)
    service.control(faults=[fault("download", kind, times=2)])
    assert storage.get(QUEUED) == ONE * 1000


def test_tries_have_an_end(service: Service, storage: DropboxStorage):
    """What fails again and again is a sentence in the end, with what to look at."""
    for kind, words in (("503", "an error of its own (503)"), ("cut_before", "cannot be reached"), ("429", "too busy")):
        service.control(clear=True, faults=[fault("download", kind, times=99, seconds=0)])
        with pytest.raises(StorageUnavailable, match=words.replace("(", r"\(").replace(")", r"\)")):
            storage.get(QUEUED)
        assert service.control()["files/download"] == client.TRIES


@pytest.mark.parametrize("form", [{"plain": True}, {}, {"fields": {"retry_after": 1}}])
def test_a_pause_that_dropbox_wants_is_kept(service: Service, storage: DropboxStorage, form: dict[str, Any]):
    """After a 429 nothing is asked for as long as its header or its body says, by no thread."""
    storage.put(QUEUED, ONE)
    service.control(clear=True, faults=[fault("download", "429", seconds=1, **form)])
    begun = time.monotonic()
    readers = [threading.Thread(target=storage.get, args=(QUEUED,)) for _ in range(3)]
    readers[0].start()
    until(lambda: service.control().get("files/download"))
    for reader in readers[1:]:
        reader.start()
    for reader in readers:
        reader.join()
    assert time.monotonic() - begun > 1
    assert service.control()["files/download"] == 4


def test_a_long_pause_is_said_and_kept(service: Service, storage: DropboxStorage):
    """If Dropbox wants to be left alone for minutes, it is left alone, and callers are told at once."""
    service.control(faults=[fault("download", "429", seconds=300)])
    for _ in range(3):
        with pytest.raises(StorageUnavailable, match=r"wants no requests for another \d+ s"):
            storage.get(QUEUED)
    assert service.control()["files/download"] == 1


def test_writers_that_meet_try_again(service: Service, storage: DropboxStorage):
    """What Dropbox says of many writers at once, in both its forms, is waited out and keeps no reader waiting."""
    storage.put(RUNNING, TWO)
    busy = {".tag": "path", "reason": {".tag": "too_many_write_operations"}, "upload_session_id": "none"}
    service.control(
        faults=[
            fault("upload", "429", seconds=4, reason="too_many_write_operations"),
            fault("upload", "409", error=busy),
        ]
    )
    before = service.control()["files/upload"]
    writer = threading.Thread(target=storage.create, args=(QUEUED, ONE))
    writer.start()
    until(lambda: service.control()["files/upload"] > before)
    assert storage.get(RUNNING) == TWO
    assert writer.is_alive()
    writer.join()
    assert storage.get(QUEUED) == ONE
    assert service.control()["files/upload"] == 4


def test_an_access_token_that_has_run_out_is_renewed(service: Service, storage: DropboxStorage):
    """When Dropbox no longer takes the access token, a new one is fetched, and the request is made again."""
    service.control(clear=True, expire=True)
    storage.put(QUEUED, ONE)
    assert service.control() == {"files/upload": 2, "oauth2/token": 1}


def test_one_access_token_serves_all_threads(service: Service, storage: DropboxStorage):
    """Threads that begin together fetch one token between them."""
    fresh = open_storage(storage.url)
    threads = [threading.Thread(target=fresh.put, args=(f"staged/{number}", b"")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.control() == {"files/upload": 8, "oauth2/token": 1}


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"revoke": True}, "DROPBOX_REFRESH_TOKEN"),
        ({"faults": [fault("", "401", tag="invalid_access_token", times=9)]}, "DROPBOX_REFRESH_TOKEN"),
        ({"faults": [fault("", "401", tag="user_suspended")]}, "suspended"),
        (
            {"faults": [fault("", "401", tag="missing_scope", fields={"required_scope": "files.content.write"})]},
            "files.content.write",
        ),
        ({"faults": [fault("upload", "401", tag="expired_access_token", times=9)]}, "clock"),
    ],
)
def test_a_dropbox_that_lets_nobody_in_says_why(
    service: Service, storage: DropboxStorage, order: dict[str, Any], words: str
):
    """What somebody has to put right is one sentence with what to check, is not tried again, and holds no secret."""
    service.control(**order)
    with pytest.raises(StorageRefused, match=words) as caught:
        storage.put(QUEUED, ONE)
    assert_no_secret(caught.value)


def test_a_full_dropbox_is_named_with_what_it_had_no_room_for(service: Service, storage: DropboxStorage):
    """No room is no refusal: the storage takes documents again as soon as somebody makes room."""
    error = {".tag": "path", "reason": {".tag": "insufficient_space"}, "upload_session_id": "none"}
    service.control(faults=[fault("upload", "409", error=error)])
    with pytest.raises(StorageFull, match="make room") as caught:
        storage.put(QUEUED, ONE)
    assert caught.value.size == len(ONE)
    assert_no_secret(caught.value)
    storage.put(QUEUED, ONE)


@pytest.mark.parametrize(
    ("name", "words"),
    [("app_key", "DROPBOX_APP_KEY"), ("app_secret", "DROPBOX_APP_SECRET"), ("refresh_token", "DROPBOX_REFRESH_TOKEN")],
)
def test_a_wrong_login_says_what_to_check(service: Service, storage: DropboxStorage, name: str, words: str):
    """Whatever part of the login is wrong, the sentence names its variable and not its value."""
    wrong = open_storage(storage.url, {name: "wrong-s3cret"})
    with pytest.raises(StorageRefused, match=words) as caught:
        wrong.put(QUEUED, ONE)
    assert_no_secret(caught.value)


def test_a_login_of_its_own_goes_before_the_environment(
    service: Service, storage: DropboxStorage, variables: pytest.MonkeyPatch
):
    """What the login says is used, also where the variables say something else or nothing."""
    login = {"app_secret": SECRET, "refresh_token": REFRESH}
    variables.setenv("DROPBOX_APP_SECRET", "wrong")
    variables.delenv("DROPBOX_REFRESH_TOKEN")
    open_storage(storage.url, login).put(QUEUED, ONE)
    with pytest.raises(BadSetting, match="DROPBOX_REFRESH_TOKEN is missing"):
        open_storage(storage.url)
    variables.delenv("DROPBOX_APP_SECRET")
    with pytest.raises(BadSetting, match="DROPBOX_APP_SECRET, DROPBOX_REFRESH_TOKEN are missing"):
        open_storage(storage.url)
    with pytest.raises(BadSetting, match="takes no login called token"):
        open_storage(storage.url, login | {"token": "x"})


@pytest.mark.parametrize(
    "url", ["dropbox://Backend_files", "dropbox:///a?token=s3cret", "dropbox:///a?", "dropbox://u:s3cret@x/a"]
)
def test_a_url_that_names_no_folder_is_refused(storage: DropboxStorage, url: str):
    """A URL with a host or a query is a mistake, and is not repeated with what may be a secret in it."""
    with pytest.raises(BadSetting, match="dropbox:///Backend_files") as caught:
        open_storage(url)
    assert_no_secret(caught.value)


def test_the_folder_is_that_of_sqooler_unless_it_is_said(storage: DropboxStorage):
    """A URL without a folder means the one in which sqooler looks."""
    for url in ("dropbox:///", "dropbox://", "dropbox:///Backend_files/"):
        assert root(open_storage(url)) == "/Backend_files"  # type: ignore[arg-type]
    assert root(open_storage("dropbox:///lab%20one/x")) == "/lab one/x"  # type: ignore[arg-type]


def test_a_certificate_that_nobody_trusts_is_said(
    service: Service, storage: DropboxStorage, variables: pytest.MonkeyPatch
):
    """Whoever sits in between with a certificate of his own gets neither token nor documents."""
    variables.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(StorageUnavailable, match="certificate"):
        open_storage(storage.url).put(QUEUED, ONE)


def test_a_dropbox_that_cannot_be_reached_is_said(storage: DropboxStorage, variables: pytest.MonkeyPatch):
    """Where nobody answers, the sentence says so."""
    variables.setenv("DROPBOX_API_HOST", "127.0.0.1:9")
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        open_storage(storage.url).put(QUEUED, ONE)


def assert_no_secret(error: StorageError | BadSetting) -> None:
    """What may be shown to anybody holds no secret."""
    said = f"{error} {error!r} {json.dumps(error.args)}"
    assert "s3cret" not in said
    assert REFRESH not in said
