"""What is special about S3: requests, retries, logins, and one sentence for each way in which it says no."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import BadSetting, DocumentExists, DocumentMissing, StorageError, StorageRefused, StorageUnavailable
from storage.documents.inbox import Inbox
from storage.documents.relay import Relay
from storage.providers.registry import open_storage, probe
from storage.providers.s3.s3_storage import S3Storage
from storage.providers.stores import Stores
from tests.contract.log_fixture import LogFixture
from tests.contract.storages import Servers, kind_named, surrounded
from tests.seaweedfs import BUCKET, KEY, READER, READER_SECRET, SECRET, Weed, shared_weed

HERE, THERE = "jobs/queued/rydberg/a.json", "staged/a.document.json"
CANARY = "canary-s3cret"


@pytest.fixture(scope="module")
def weed(storage_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    """The server that all tests over S3 share."""
    storage_servers.place(kind_named("s3"), tmp_path_factory.mktemp("unused"))
    with shared_weed() as server:
        yield server


@pytest.fixture
def storage(weed: Weed) -> Iterator[S3Storage]:
    """An empty storage, whose requests are counted in `requests`."""
    place = weed.place()
    with surrounded(place):
        storage = open_storage(place.url)
        assert isinstance(storage, S3Storage)
        yield storage


def requests_of(storage: S3Storage) -> list[str]:
    """Return a list to which the operation of every request is added as it is sent, retries included."""
    sent: list[str] = []
    client = storage._fs.connect()
    client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.method))
    return sent


def test_each_call_is_one_request(storage: S3Storage):
    """Nothing is asked for besides: one request a call, three for a move, one for each page of a listing."""
    sent = requests_of(storage)
    for call, expected in (
        (lambda: storage.put(HERE, b"1"), ["PUT"]),
        (lambda: storage.create(THERE, b"1"), ["PUT"]),
        (lambda: storage.get(HERE), ["GET"]),
        (lambda: storage.exists(HERE), ["HEAD"]),
        (lambda: storage.delete(THERE), ["DELETE"]),
        (lambda: storage.move(HERE, THERE), ["GET", "PUT", "DELETE"]),
        (lambda: list(storage.entries("staged")), ["GET"]),
    ):
        sent.clear()
        call()
        assert sent == expected


@pytest.mark.parametrize("was_there_before", [False, True])
def test_a_job_from_the_queue_costs_fifteen_requests(
    storage: S3Storage,
    tmp_path: Path,
    was_there_before: bool,  # noqa: FBT001 - a parameter of the test
):
    """As the table in docs/storages.md has them; one that lay there when the drain began is asked for its history."""
    log_fixture = LogFixture(tmp_path)
    log_fixture.storage, log_fixture.stores = storage, Stores.single(storage)  # type: ignore[assignment]
    log_fixture.relay = Relay(log_fixture.log, log_fixture.cursor, log_fixture.stores)
    inbox = Inbox(log_fixture.log, log_fixture.stores, max_bytes=1000, settle_seconds=0)
    if not was_there_before:
        inbox.take("rydberg", "w")
    storage.put(HERE, b"{}")
    sent = requests_of(storage)
    inbox.take("rydberg", "w")
    listing = ["GET"]
    assert sent == [*listing, *(["HEAD"] if was_there_before else []), "GET"]
    sent.clear()
    job = log_fixture.take()
    history, taken = ["PUT"], ["GET", "PUT", "DELETE"]
    assert sent == history + taken
    sent.clear()
    log_fixture.relay.update("a")
    in_its_place = ["PUT", "DELETE"]
    assert sent == in_its_place
    sent.clear()
    log_fixture.finish(job)
    storage.get("results/rydberg/a.json")
    staged, uploaded = ["PUT"], ["PUT", "GET"]
    assert sent == staged + uploaded
    sent.clear()
    log_fixture.relay.update("a")
    status, unstaged = ["PUT"], ["DELETE"]
    assert sent == history + in_its_place + status + unstaged


def test_pages_are_asked_for_when_they_are_needed(storage: S3Storage, monkeypatch: pytest.MonkeyPatch):
    """A listing holds one page at a time: who stops early has asked for no more."""
    monkeypatch.setattr("storage.providers.s3.s3_storage.PAGE", 3)
    for number in range(8):
        storage.put(f"q/{number}.json", b"{}")
    sent = requests_of(storage)
    entries = storage.entries("q")
    assert sent == []
    next(entries)
    assert sent == ["GET"]
    assert len([*entries]) == 7
    assert sent == ["GET"] * 3


def lose_answers(storage: S3Storage, number: int) -> list[str]:
    """Let the server do the next PUTs and lose its answers, as a connection does that breaks; return what was sent."""
    from botocore.exceptions import ReadTimeoutError  # noqa: PLC0415 - imported where S3 is tested

    client = storage._fs.connect()
    sent: list[str] = []
    http = client._endpoint.http_session
    send = http.send

    async def lossy(request: Any) -> Any:
        answer = await send(request)
        sent.append(request.method)
        if request.method == "PUT" and sent.count("PUT") <= number:
            raise ReadTimeoutError(endpoint_url=request.url)
        return answer

    http.send = lossy
    return sent


def test_a_create_whose_answer_was_lost_has_succeeded(storage: S3Storage):
    """A conditional create that is tried again meets its own first try, and is not taken for lost."""
    sent = lose_answers(storage, 1)
    storage.create(HERE, b"1")
    assert sent == ["PUT", "PUT", "HEAD"]
    with pytest.raises(DocumentExists):
        storage.create(HERE, b"1")


def test_a_move_whose_answer_was_lost_has_succeeded(storage: S3Storage):
    """The same of the create within a move."""
    storage.put(HERE, b"1")
    lose_answers(storage, 1)
    storage.move(HERE, THERE)
    assert (storage.get(THERE), storage.exists(HERE)) == (b"1", False)


def test_a_create_that_was_never_answered_may_have_happened(storage: S3Storage):
    """When no try is answered the caller is told so, and may find the document there."""
    lose_answers(storage, 99)
    with pytest.raises(StorageUnavailable):
        storage.create(HERE, b"1")
    assert storage.get(HERE) == b"1"


def test_a_move_that_was_cut_off_is_finished_by_the_next(storage: S3Storage):
    """A copy that a dead mover left at the target stays, the source goes, and the caller is told it was moved."""
    storage.put(HERE, b"1")
    storage.put(THERE, b"1")
    with pytest.raises(DocumentMissing):
        storage.move(HERE, THERE)
    assert (storage.get(THERE), storage.exists(HERE)) == (b"1", False)


def test_a_login_takes_the_place_of_the_environment(weed: Weed):
    """Key, secret, endpoint and region can be passed in; two storages in one process do not share them."""
    place = weed.place()
    login = {"key": KEY, "secret": SECRET, "endpoint": weed.url, "region": "us-east-1", "token": ""}
    with surrounded(place._replace(environment={"AWS_EC2_METADATA_DISABLED": "true"})):
        probe(open_storage(place.url, login))
        with pytest.raises(StorageRefused, match="denies access"):
            probe(open_storage(place.url, login | {"key": READER, "secret": READER_SECRET}))
        probe(open_storage(place.url, login))


@pytest.mark.parametrize(
    ("url", "changes", "kind", "said"),
    [
        ("", {"AWS_ACCESS_KEY_ID": "nobody"}, StorageRefused, "does not know the access key; check AWS_ACCESS_KEY_ID"),
        ("", {"AWS_SECRET_ACCESS_KEY": CANARY}, StorageRefused, "the secret key does not fit the access key; check"),
        ("s3://nosuchbucket/x", {}, StorageRefused, "the bucket nosuchbucket does not exist there; check QULEDGER_STO"),
        (
            "",
            {"AWS_ACCESS_KEY_ID": READER, "AWS_SECRET_ACCESS_KEY": READER_SECRET},
            StorageRefused,
            "denies access to staged/.probe; the rights of the access key do not suffice",
        ),
        ("", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, StorageRefused, "no credentials for the bucket"),
        ("", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, StorageUnavailable, "127.0.0.1:9 cannot be reached; check"),
        ("", {"AWS_ENDPOINT_URL": "nonsense"}, StorageRefused, "no URL; check AWS_ENDPOINT_URL"),
    ],
)
def test_each_refusal_says_what_to_check(weed: Weed, url: str, changes: dict[str, str], kind: type, said: str):
    """Wrong credentials, a missing bucket, a read-only key, an unreachable host: each is one line without a secret."""
    place = weed.place()
    environment = {name: value for name, value in (dict(place.environment) | changes).items() if value}
    with surrounded(place._replace(environment=environment)), pytest.raises(StorageError) as caught:
        probe(open_storage(url or place.url))
    check_sentence(caught.value, kind, said)
    assert SECRET not in str(caught.value)
    assert READER_SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (400, "ExpiredToken", StorageRefused, "session token is not valid (any more); get new temporary credentials"),
        (403, "RequestTimeTooSkewed", StorageRefused, "the clock of this machine is wrong"),
        (400, "AuthorizationHeaderMalformed", StorageRefused, "in another region; check AWS_REGION"),
        (301, "PermanentRedirect", StorageRefused, "is elsewhere; check AWS_REGION"),
        (403, "AccessDenied", StorageRefused, "denies access"),
        (501, "NotImplemented", StorageRefused, "cannot do conditional writes"),
        (503, "SlowDown", StorageUnavailable, "SlowDown"),
    ],
)
def test_what_aws_alone_says_is_understood(status: int, code: str, kind: type, said: str):
    """Answers that SeaweedFS never gives, in the words of AWS's documentation: expired token, wrong region, busy."""
    with answering(status, code) as url:
        login = {"key": KEY, "secret": CANARY, "token": CANARY, "endpoint": url, "region": "us-east-1"}
        with surrounded_by_nothing(), pytest.raises(StorageError) as caught:
            probe(open_storage(f"s3://{BUCKET}", login))
    check_sentence(caught.value, kind, said)


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///x", "s3://key:secret@bucket/x", "s3://bucket/x?versionId=1", "s3://bucket/x#", "s3://a b/"]
)
def test_a_url_without_a_bucket_is_a_bad_setting(url: str):
    """What names no bucket, or holds credentials, is refused before anything is asked."""
    with pytest.raises(BadSetting, match="write s3://bucket/prefix") as caught:
        open_storage(url)
    assert "secret@" not in str(caught.value)


def test_a_login_that_s3_does_not_know_is_a_bad_setting():
    """A login with other fields names them and what would be right."""
    with pytest.raises(BadSetting, match="no login called password; it takes key, secret, token, endpoint, region"):
        open_storage("s3://lab", {"password": CANARY})


def check_sentence(error: StorageError, kind: type, said: str) -> None:
    """It is one sentence of the right kind that says what to check, without a secret."""
    assert type(error) is kind, error
    assert said in str(error)
    assert str(error).isprintable()
    assert CANARY not in str(error)
    assert error.__cause__ is None


@contextlib.contextmanager
def surrounded_by_nothing() -> Iterator[None]:
    """Take every AWS variable away."""
    from tests.contract.storages import Place  # noqa: PLC0415 - used here alone

    with surrounded(Place("", {"AWS_EC2_METADATA_DISABLED": "true"})):
        yield


@contextlib.contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """Run a server that answers every request with one of S3's errors."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a client that asks first whether its body is wanted is answered

        def answer(self) -> None:
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_PUT = do_GET = do_HEAD = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
