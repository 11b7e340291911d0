"""A secret that is put wherever one can be put is found nowhere else: in no database, document, log or output."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import inspect, text

from deployments.cli.app import _run
from storage.log.database import open_database, reading
from tasks.services import use
from tests.canaries import BREAKING, Canaries, Place
from tests.control_room import ControlRoom
from tests.installation import Installation, experiment
from tests.postgres import Server

pytestmark = [pytest.mark.timeout(1800)]

LOUD_SERVER = {
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG",
    "PREFECT_SERVER_LOGGING_LEVEL": "DEBUG",
}
"""All but each statement of SQL, with which a server takes minutes to start."""

LOUD = LOUD_SERVER | {"PREFECT_LOGGING_ROOT_LEVEL": "DEBUG", "PREFECT_DEBUG_MODE": "true"}
GOOD = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=50)}
BAD = {"experiment_0": experiment(["nope", [0], []], ["measure", [0], []])}
LISTED = ("flow_runs", "task_runs", "logs", "artifacts", "events", "deployments", "flows", "work_pools", "variables")
LISTED += ("block_documents", "flow_run_states", "automations", "concurrency_limits")
COMMANDS = (
    ("config",),
    ("config", "--json"),
    ("--help",),
    ("keys", "show"),
    ("keys", "show", "--json"),
    ("keys", "show", "canary-key"),
    ("list",),
    ("verify",),
    ("reconcile",),
    ("keys", "revoke", "canary-key", "--reason", "for a test"),
    ("keys", "new"),
    ("drain", "--until-empty"),
)


class Guarded:
    """A control room in which every secret is a canary, and everything works."""

    def __init__(self, folder: Path) -> None:
        self.canaries = Canaries()
        self.folder = folder
        password = f"operator:{self.canaries.new('password of Prefect')}"
        self.room = ControlRoom(
            folder,
            cold=True,  # whose command lines are looked at too
            **LOUD_SERVER,
            PREFECT_SERVER_API_AUTH_STRING=password,
            PREFECT_API_AUTH_STRING=password,
            QULEDGER_SIGN="true",
            QULEDGER_SIGNING_KEY=self.canaries.new_signing_key("QULEDGER_SIGNING_KEY"),
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY=self.canaries.new("AWS_SECRET_ACCESS_KEY"),
            AWS_SESSION_TOKEN=self.canaries.new("AWS_SESSION_TOKEN"),
        )
        self.room.client.auth = ("operator", password.partition(":")[2])
        self.said: list[bytes] = []
        self.keyring = self.room.installation.home / "keys" / "keyring.json"

    def run(self, *arguments: str, **settings: str) -> str:
        """Run a command, keep what it says, and return it."""
        installation = self.room.installation
        done = installation.run(
            *arguments, check=False, **(LOUD | {"PREFECT_API_URL": installation.api or ""} | settings)
        )
        self.said.append((done.stdout + done.stderr).encode())
        return done.stdout + done.stderr

    def command_lines(self) -> bytes:
        """Return what everybody on this machine may see of our processes."""
        return b"\n".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.room.processes())

    def prefect_api(self) -> Iterator[tuple[str, bytes]]:
        """Yield everything that Prefect's API tells."""
        for what in LISTED:
            answer = self.room.ask("POST", f"/{what}/filter", json={})
            if answer.status_code in (404, 405):
                answer = self.room.ask("GET", f"/{what}/")
            yield what, answer.content
        for path in ("/admin/settings", "/admin/version", "/health"):
            yield path, self.room.ask("GET", path).content


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The control room, while it runs."""
    guarded = Guarded(tmp_path_factory.mktemp("guarded"))
    try:
        guarded.room.start()
        yield guarded
    finally:
        if guarded.room.process is not None and guarded.room.process.poll() is None:
            guarded.room.stop()
        guarded.room.client.close()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A call of the program in this process, which ends before Prefect is needed; returns what it says."""

    def call(installation: Installation, *arguments: str, **settings: str) -> str:
        capsys.readouterr()
        with mock.patch.dict(os.environ, installation.environment | LOUD | settings, clear=True):
            use(None)
            try:
                _run(list(arguments))
            finally:
                use(None)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out + said.err

    return call


def breaks(installation: Installation, canaries: Canaries, name: str, place: Place, **base: str) -> bytes:
    """Use a secret where it does not work; return what was said."""
    secret = canaries.new(name)
    settings = {key: value.format(secret) for key, value in place.settings.items()}
    done = installation.run(*(word.format(secret) for word in place.command), check=False, **(base | LOUD | settings))
    said = done.stdout + done.stderr
    assert done.returncode in {1, 2}, said
    assert place.said in said
    # Before that Prefect, made to tell everything, may have told where an error went through.
    assert said.rstrip().splitlines()[-1].startswith("quledger: ")
    return said.encode()


@pytest.mark.parametrize("name", BREAKING)
def test_a_secret_that_does_not_work_is_not_repeated(
    tmp_path: Path, guarded: Guarded, call: Callable[..., str], name: str
):
    """A call that fails because of what holds a secret says so in words that do not hold it, and writes it nowhere."""
    installation, canaries = Installation(tmp_path, guarded.room.installation.api), Canaries()
    base = {"PREFECT_API_AUTH_STRING": guarded.room.installation.environment["PREFECT_API_AUTH_STRING"]}
    said = breaks(installation, canaries, name, BREAKING[name], **base)
    settings = {key: value.format(canaries.new(f"{name}: config")) for key, value in BREAKING[name].settings.items()}
    said += call(installation, "config", **(base | settings)).encode()
    assert canaries.in_bytes(said) == set()
    assert canaries.in_files(tmp_path) == {}
    assert canaries.in_files(guarded.folder) == {}


def test_a_broken_key_file_is_not_repeated(lone_installation: Installation, call: Callable[..., str]):
    """A file of keys that is no more what it was is named, whatever still stands in it."""
    canaries = Canaries()
    folder = lone_installation.home / "keys"
    folder.mkdir(parents=True, mode=0o700)
    for shape in ('{{"keys": [{{"d": "{}"}}]}}', "{}", '{{"active": {{"{}": 1}}}}', '{{"keys": "{}"'):
        file = folder / "keyring.json"
        file.touch(mode=0o600)
        file.write_text(shape.format(canaries.new(shape)))
        for arguments in (("keys", "show"), ("keys", "rotate"), ("drain", "--until-empty"), ("config",)):
            said = call(lone_installation, *arguments, QULEDGER_SIGN="true")
            assert canaries.in_bytes(said.encode()) == set()
            assert arguments == ("config",) or "keyring.json in QULEDGER_HOME is broken" in said
        assert canaries.in_files(lone_installation.home.parent, [file]) == {}


def test_a_database_password_is_nowhere_but_in_the_setting(guarded: Guarded, tmp_path: Path, postgres: Server):
    """A drain on PostgreSQL leaves its password in no table, document, log or output, and a wrong one neither."""
    canaries = Canaries()
    password = canaries.new("the right password")
    postgres.sql(f"CREATE ROLE canary LOGIN PASSWORD '{password}'", "CREATE DATABASE canary OWNER canary")
    url = f"postgresql://canary:{password}@127.0.0.1:{postgres.port}/canary"
    installation = Installation(tmp_path, guarded.room.installation.api)
    installation.environment |= LOUD | {
        "PREFECT_API_AUTH_STRING": guarded.room.installation.environment["PREFECT_API_AUTH_STRING"]
    }
    try:
        said = []
        for wrong in (False, True):
            here = url.replace(password, canaries.new("a wrong password")) if wrong else url
            installation.queue("singlequdit", f"{int(wrong):024x}.json", json.dumps(GOOD).encode())
            for command in (("drain", "--until-empty"), ("list",), ("config",), ("verify", "--no-prefect")):
                done = installation.run(*command, check=False, QULEDGER_DATABASE=here)
                assert (done.returncode != 0) == (wrong and command != ("config",)), done.stderr
                said.append((done.stdout + done.stderr).encode())
        engine = open_database(url, existing=True)
        with reading(engine) as connection:
            for table in inspect(connection).get_table_names():
                rows = [tuple(row) for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
                said.append(repr(rows).encode())
        engine.dispose()
        assert b"completed" in said[-1] + b"".join(said)
        assert canaries.in_bytes(b"\n".join(said)) == set()
        assert canaries.in_files(tmp_path) == {}
        assert canaries.in_files(guarded.folder) == {}
    finally:
        postgres.sql("DROP DATABASE IF EXISTS canary WITH (FORCE)", "DROP ROLE IF EXISTS canary")


def test_secrets_that_work_are_nowhere_but_in_their_place(guarded: Guarded):
    """Jobs good and bad, launched, queued and signed, and every command: no canary in any byte that is left behind."""
    room, canaries = guarded.room, guarded.canaries
    guarded.run("submit", "singlequdit", "examples/rabi_oscillation.json")
    guarded.run("drain", "--until-empty")
    launched = room.ended(room.launch({"user": "ann", "shots": 50})["id"], 400)
    assert launched["state_type"] == "COMPLETED"
    ids = {"0" * 23 + "1": GOOD, "0" * 23 + "2": BAD}
    for job_id, document in ids.items():
        room.installation.queue("singlequdit", f"{job_id}.json", json.dumps(document).encode())
    room.wait(lambda: {room.installation.states().get(job_id) for job_id in ids} == {"DONE", "ERROR"}, 400)
    job = launched["name"]
    assert room.installation.read(f"results/singlequdit/{job}.json")["header"]["kid"] == "canary-key"
    for arguments in (*COMMANDS, ("result", job), ("history", job), ("status", job), ("keys", "new", "--help")):
        guarded.run(*arguments)
    guarded.run("drain", "--until-empty", PREFECT_API_AUTH_STRING="operator:wrong")
    time.sleep(2)  # what Prefect holds back of logs and events
    for what, content in guarded.prefect_api():
        assert canaries.in_bytes(content) == set(), what
    assert canaries.in_bytes(guarded.command_lines()) == set()
    assert canaries.in_bytes(b"\n".join(guarded.said)) == set()
    files = canaries.in_files(guarded.folder, [guarded.keyring])
    assert files == {}
    # They were looked for where they would be.
    names = {path.name for path in guarded.folder.rglob("*") if path.is_file()}
    assert {"quledger.db", "prefect.db", "prefect-server.log", "worker.log", "up.txt"} <= names
    assert canaries.in_bytes(json.dumps(room.installation.environment).encode()) >= {"AWS_SECRET_ACCESS_KEY"}
    assert room.stop() in (0, 130)
    assert canaries.in_files(guarded.folder, [guarded.keyring]) == {}
