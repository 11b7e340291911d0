"""What happens is told to a real receiver at least once, whoever dies when; and to mail and Prefect."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import multiprocessing
import os
import signal
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.telling.teller import Teller
from models import clock
from models.health import Health, Part
from models.notices import GIVEN_UP, Notice
from models.settings import Settings
from storage.audit.verify import Verifier
from storage.identity import pauses
from storage.identity.directory import Directory
from storage.log import outbox
from tasks.services import Services
from tests.contract.databases import Databases, on
from tests.contract.log_fixture import LOST, LogFixture
from tests.waiting import until

SECRET = "s3cret-of-the-receiver"
ALL = ["job.ended", "backend.paused", "backend.resumed", "health.bad", "health.good"]


class Receiver(http.server.ThreadingHTTPServer):
    """A receiver of webhooks.

    Attributes:
        got: headers and body of each request, in order.
        answers: called with each request before it is answered; returns the status.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: Callable[[], int] = lambda: 204

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook?key=t0psecret"

    def ids(self) -> list[str]:
        """Return the id of each notice that came."""
        return [headers["webhook-id"] for headers, _ in self.got]

    def told(self) -> list[Any]:
        """Return type and data of what came, after a look at each signature."""
        for headers, body in self.got:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            digest = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{digest}"
        contents = [json.loads(body) for _, body in self.got]
        return [(each["type"], each["data"]) for each in contents]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        code = self.server.answers()
        self.send_response(code)
        if code // 100 == 3:
            self.send_header("location", self.server.url)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, args=(0.01,), daemon=True).start()
        yield receiver
        receiver.shutdown()


class Laboratory:
    """A log with the services of a process that tells of it, and a clock that a test moves on."""

    def __init__(self, folder: Path, url: str, databases: Databases, **settings: Any) -> None:
        self.url = url
        self.lab = LogFixture(folder, databases.open(url))
        self.services = Services(Settings(home=folder / "home", database=url, **settings))
        databases._engines.append(self.services.log.engine)
        self.later = timedelta()
        self.teller = Teller(self.services, self.now)

    def now(self) -> datetime:
        return clock.now() + self.later

    def end(self, job_id: str) -> None:
        """Let a job come and fail."""
        job = self.lab.submit(job_id)
        self.lab.log.append(self.lab.claim(), LOST, attempt=1, actor="w")
        assert self.lab.log.get(job.job_id).state == "ERROR"

    def tell(self) -> int:
        """Tell what is due, after the longest pause."""
        self.later += timedelta(minutes=11)
        return self.teller.tell()


@pytest.fixture
def laboratory(tmp_path: Path, databases: Databases, receiver: Receiver) -> Laboratory:
    """A laboratory with a webhook that is told everything."""
    url = databases.new(tmp_path)
    made = Laboratory(tmp_path, url, databases, webhook=receiver.url, webhook_secret=SECRET, webhook_kinds=ALL)
    assert made.teller.tell() == 0
    return made


def test_ends_of_jobs_and_pauses_are_told_once(laboratory: Laboratory, receiver: Receiver) -> None:
    """Signed, in order, each with what it is about; what goes on with an ended job is told no more."""
    laboratory.end("one")
    directory = Directory(laboratory.lab.log.engine)
    pauses.pause(directory, "rydberg", reason="laser", actor="cli:olga")
    pauses.resume(directory, "rydberg", actor="cli:olga")
    assert laboratory.tell() == 3
    assert receiver.told() == [
        ("job.ended", {
            "job_id": "one", "backend": "rydberg", "user": "", "project": "", "state": "ERROR",
            "reason": laboratory.lab.log.get("one").reason,
        }),
        ("backend.paused", {"backend": "rydberg", "reason": "laser", "until": None, "by": "cli:olga"}),
        ("backend.resumed", {"backend": "rydberg", "by": "cli:olga"}),
    ]  # fmt: skip
    assert laboratory.tell() == 0
    assert outbox.untold(laboratory.lab.log.engine) == {}
    assert len(set(receiver.ids())) == 3


@pytest.mark.slow
def test_a_receiver_that_fails_is_told_later(laboratory: Laboratory, receiver: Receiver) -> None:
    """Errors and redirects, which are not followed, count as not told; then all of it comes, each by its own id."""
    for number in range(7):
        laboratory.end(f"job{number}")
    for code in (500, 302, 410):
        receiver.answers = lambda code=code: code  # type: ignore[misc]
        before = len(receiver.got)
        assert laboratory.tell() == 0
        assert len(receiver.got) == before + 5  # what waits behind is not tried
    (waiting,) = outbox.untold(laboratory.lab.log.engine).values()
    assert waiting.number == 7
    receiver.answers = lambda: 200
    assert laboratory.tell() + laboratory.tell() == 7
    assert {data["job_id"] for _, data in receiver.told()} == {f"job{number}" for number in range(7)}
    assert len(set(receiver.ids())) == 7


def test_what_nobody_takes_is_given_up_after_days(
    laboratory: Laboratory, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """With an error in the log, and no secret in it."""
    laboratory.end("one")
    receiver.answers = lambda: 500
    laboratory.tell()
    laboratory.later += GIVEN_UP
    laboratory.tell()
    assert outbox.untold(laboratory.lab.log.engine) == {}
    assert [record.levelname for record in caplog.records if "given_up" in record.getMessage()] == ["ERROR"]
    assert "t0psecret" not in caplog.text


def tell_for_ever(folder: str, url: str, hook: str) -> None:
    """Be a process that tells what is due, until it is killed or nothing is left."""
    settings = Settings(home=Path(folder) / "home", database=url, webhook=hook, webhook_secret=SECRET)  # type: ignore[arg-type]
    Teller(Services(settings)).tell()


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_tells_loses_nothing(
    laboratory: Laboratory, receiver: Receiver, tmp_path: Path
) -> None:
    """Killed between the receiver's taking and its own writing down, again and again: each is told, by one id."""
    for number in range(4):
        laboratory.end(f"job{number}")
    context = multiprocessing.get_context("forkserver")
    for killed in (1, 2):
        child = context.Process(target=tell_for_ever, args=(str(tmp_path), laboratory.url, receiver.url))

        def answer(child: Any = child) -> int:
            os.kill(child.pid, signal.SIGKILL)
            return 204

        receiver.answers = answer
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        assert len(receiver.got) == killed
        # What it had taken is due again when the time for that is over.
        laboratory.lab.tamper("UPDATE notice SET not_before = '' WHERE content LIKE '%job0%'")
    receiver.answers = lambda: 204
    assert laboratory.tell() == 4
    assert {data["job_id"] for _, data in receiver.told()} == {f"job{number}" for number in range(4)}
    assert len(set(receiver.ids())) == 4
    assert len(receiver.got) == 6


def test_two_who_tell_at_once_tell_different_things(laboratory: Laboratory) -> None:
    """Whatever one has taken, no other takes before its time is over."""
    for number in range(6):
        laboratory.end(f"job{number}")
    engine, now = laboratory.lab.log.engine, laboratory.now() + timedelta(minutes=1)
    first, second = outbox.take(engine, "webhook", now), outbox.take(engine, "webhook", now)
    assert (len(first), len(second)) == (5, 1)
    assert not {each.notice.notice_id for each in first} & {each.notice.notice_id for each in second}
    assert outbox.take(engine, "webhook", now) == []
    again = outbox.take(engine, "webhook", now + outbox.HOLD)
    assert [each.attempts for each in again] == [2] * 5


def test_nothing_is_kept_for_whom_no_settings_name(laboratory: Laboratory) -> None:
    """Kinds that nobody wants are not kept, and one whom nobody has named for days is forgotten."""
    engine, now = laboratory.lab.log.engine, clock.now()
    outbox.subscribe(engine, {"mail": ["health.bad"]}, now)
    laboratory.end("one")
    assert set(outbox.untold(engine)) == {"webhook"}
    assert outbox.subscribe(engine, {"mail": ["health.bad"]}, now + GIVEN_UP + timedelta(minutes=1)) == ["webhook"]
    assert outbox.untold(engine) == {}


def health_of(*down: str) -> Health:
    """Return the health with these parts down."""
    parts = [Part(name=name, status="down", says="it is down") for name in down]
    return Health(asked_at=clock.now(), seconds=0.1, parts=tuple(parts))


def test_a_change_of_the_health_is_told(laboratory: Laboratory, receiver: Receiver) -> None:
    """Once; also while the database is down, and once more when all is well again."""
    for down in ((), ("disk",), ("disk",), ("disk", "database"), ("disk", "database"), (), ()):
        laboratory.teller.tell_health(health_of(*down))
    assert receiver.told() == [
        ("health.bad", {"down": {"disk": "it is down"}}),
        ("health.bad", {"down": {"disk": "it is down", "database": "it is down"}}),
        ("health.good", {"was_down": ["database", "disk"]}),
    ]


def test_it_is_no_part_of_what_is_compared(laboratory: Laboratory) -> None:
    """Notices are no history: `verify` has nothing to say of them."""
    laboratory.end("one")
    laboratory.lab.relay.update_all()
    assert list(Verifier(laboratory.lab.log.engine, laboratory.lab.stores).all()) == []


class _Smtp(socketserver.StreamRequestHandler):
    """As much of a mail server as takes a mail."""

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                self.server.mails.append("\n".join(lines))  # type: ignore[attr-defined]
            self.say("221 bye" if word == "QUIT" else "250 ok")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@on("sqlite")
def test_mails_are_sent(tmp_path: Path, databases: Databases, caplog: pytest.LogCaptureFixture) -> None:
    """To all who are named; a password never leaves without TLS."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp) as server:
        server.mails = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        about = {"mail_from": "lab@example.org", "mail_to": ["a@example.org", "b@example.org"], "mail_kinds": ALL}
        made = Laboratory(tmp_path, databases.new(tmp_path), databases, mail_server=f"smtp://{address}", **about)
        made.teller.tell()
        made.end("one")
        assert made.tell() == 1
        (mail,) = server.mails  # type: ignore[attr-defined]
        assert "To: a@example.org, b@example.org" in mail
        assert "Subject: Quledger: the job one on rydberg ended: ERROR" in mail
        settings = Settings(
            home=tmp_path / "home", database=made.url, mail_server=f"smtp://u:t0psecret@{address}", **about
        )  # type: ignore[arg-type]
        made.end("two")
        assert Teller(Services(settings), lambda: clock.now() + timedelta(hours=1)).tell() == 0
        server.shutdown()
    assert len(server.mails) == 1  # type: ignore[attr-defined]
    assert "no TLS" in caplog.text
    assert "t0psecret" not in caplog.text


@on("sqlite")
def test_prefect_has_each_event_once(
    tmp_path: Path, databases: Databases, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is told of it."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    made = Laboratory(tmp_path, databases.new(tmp_path), databases, prefect_event_kinds=ALL)
    made.teller.tell()
    made.end("one")
    (channel,) = made.teller._channels
    (taken,) = outbox.take(made.lab.log.engine, "prefect", clock.now() + timedelta(minutes=1))
    notice: Notice = taken.notice
    for _ in range(2):
        channel.tell(notice, clock.now())
    made.later += timedelta(minutes=10)
    assert made.tell() == 1
    wanted = {"filter": {"event": {"name": ["quledger.job.ended"]}, "resource": {"id": ["quledger.job.one"]}}}
    with contextlib.closing(httpx.Client(base_url=prefect_api, timeout=30)) as client:

        def found() -> Any:
            return client.post("/events/filter", json=wanted).raise_for_status().json()["events"]

        events = until(found)
    assert [(each["id"].replace("-", ""), each["payload"]["state"]) for each in events] == [(notice.notice_id, "ERROR")]
