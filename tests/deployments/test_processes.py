"""The commands of the Compose file, run as processes: with a password, on loopback, and what they leave behind."""

import base64
import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prefect.settings.models.server.api import ServerAPISettings

from deployments.processes.prefect_server import server_settings
from flows.prefect_api.client import authentication
from tests import forked, prefect_home
from tests.deployments.files import FOLDER, ROOT, compose, env_file, interpolated
from tests.forked import ForkedModule, ForkedProcess
from tests.installation import Installation, Started, experiment
from tests.waiting import until

pytestmark = [pytest.mark.timeout(600)]

AUTH = f"operator:{secrets.token_hex(12)}"

WRONG = "operator:something else"
JOB = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=50)}
WAIT_SECONDS = 180.0
HERE = {"127.0.0.1", "::1"}


class Composed:
    """The services of the Compose file as processes of this machine."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.installation = Installation(folder, f"http://127.0.0.1:{self.port}/api")
        prefect_home.fill(self.installation.home / "prefect")
        self.folder = folder
        self.installation.environment["PREFECT_API_AUTH_STRING"] = AUTH
        self.running: dict[str, subprocess.Popen[bytes] | ForkedProcess] = {}
        # What says where something is differs; PostgreSQL is no process of ours, and has tests of its own.
        self.elsewhere = {
            "PREFECT_API_URL": self.installation.api or "",
            "QULEDGER_STORAGE": self.installation.store.as_uri(),
            "QULEDGER_HOME": str(self.installation.home),
        }

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of a service."""
        what = compose()["services"][service]
        given = env_file(FOLDER / what["env_file"]) if "env_file" in what else {}
        secret = dict.fromkeys(("POSTGRES_PASSWORD", "PREFECT_SERVER_DATABASE_PASSWORD"), "x")
        secret["PREFECT_API_AUTH_STRING"] = AUTH
        given |= {name: interpolated(str(value), secret) for name, value in what["environment"].items()}
        given = {name: value for name, value in given.items() if "DATABASE" not in name and value}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QULEDGER_", "PREFECT_"))}
        return (
            kept
            | given
            | self.elsewhere
            | {"PREFECT_HOME": str(self.installation.home / "prefect"), "HOME": str(self.folder)}
        )

    def words(self, service: str) -> list[str]:
        """Return the words of the command of a service, on loopback."""
        words = [str(word) for word in compose()["services"][service]["command"]]
        return [{"0.0.0.0": "127.0.0.1", "4200": str(self.port)}.get(word, word) for word in words]

    def command(self, service: str) -> list[str]:
        """Return the command of a service, as it is executed."""
        words = self.words(service)
        program = {"quledger": ["-m", "deployments.cli.app"], "prefect": ["-m", "prefect"], "python": []}[words[0]]
        return [sys.executable, *program, *words[1:]]

    def start(self, service: str) -> None:
        """Start a service; standard input is empty, as in a container."""
        words, environment = self.words(service), self.environment(service)
        with self.said(service).open("wb") as output, open(os.devnull) as nothing:
            if words[0] == "quledger" and forked.can_run(environment):
                files = (nothing.fileno(), output.fileno(), output.fileno())
                self.running[service] = ForkedProcess(words[1:], environment, files)
            elif words[0] == "python" and forked.can_run(environment):
                self.running[service] = ForkedModule(self.command(service), env=environment, cwd=ROOT, stdout=output)
            else:
                self.running[service] = subprocess.Popen(
                    self.command(service), env=environment, cwd=ROOT, stdin=nothing, stdout=output, stderr=output
                )

    def said(self, service: str) -> Path:
        """Return the file that has what a service printed."""
        return self.folder / f"{service}.out"

    def stop(self, service: str) -> int:
        """Stop a service as an engine does; return its exit code."""
        process = self.running.pop(service)
        process.terminate()
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def ask(self, path: str, password: str | None = AUTH) -> httpx.Response:
        """Ask the API."""
        given = {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"} if password else {}
        return httpx.get(f"{self.installation.api}{path}", headers=given, timeout=20)

    def drains(self) -> int:
        """Return how many drains Prefect sees under way: one of the worker, one of the command."""
        asked = {"flows": {"name": {"any_": ["drain-queue"]}}, "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
        user, _, password = AUTH.partition(":")
        answer = httpx.post(f"{self.installation.api}/flow_runs/count", json=asked, auth=(user, password), timeout=20)
        return int(answer.raise_for_status().json())


def listening(process: "subprocess.Popen[Any] | ForkedProcess | Started") -> set[str]:
    """Return the addresses on which a process and all that it started listen; empty where it has ended."""
    if process.poll() is not None:
        return set()
    root = psutil.Process(process.pid)
    addresses: set[str] = set()
    for each in (root, *root.children(recursive=True)):
        # A child may end while it is looked at.
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in each.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN or not connection.raddr:
                    addresses.add(connection.laddr.ip)
    return addresses


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The server, the deployments and a worker, which has run one job."""
    services = Composed(tmp_path_factory.mktemp("composed"))
    try:
        services.start("server")
        job = services.installation.submit("singlequdit", JOB)

        def healthy() -> bool:
            assert services.running["server"].poll() is None, services.said("server").read_text()
            try:
                return services.ask("/health", None).is_success
            except httpx.HTTPError:
                return False

        until(healthy)
        services.start("deploy")
        services.start("worker")
        assert services.running.pop("deploy").wait(WAIT_SECONDS) == 0, services.said("deploy").read_text()

        def done() -> bool:
            assert services.running["worker"].poll() is None, services.said("worker").read_text()
            return services.installation.states()[job] == "DONE"

        until(done)
        yield services
    finally:
        for service in list(services.running):
            services.stop(service)


def test_the_api_asks_for_the_password(composed: Composed):
    """Without it, or with another one, everything but the health is refused."""
    assert composed.ask("/health", None).status_code == 200
    for path in ("/admin/settings", "/admin/version", "/block_types/slug/secret"):
        assert [composed.ask(path, word).status_code for word in (None, WRONG)] == [401, 401]
    assert composed.ask("/admin/version").status_code == 200


def test_the_server_is_tuned_and_leaves_cors_and_csrf_as_they_are(composed: Composed):
    """The running server has each setting of the file, and Prefect's own defaults of CORS and CSRF."""
    settings = composed.ask("/admin/settings").raise_for_status().json()
    for name, value in server_settings().items():
        assert plain(found(settings, name.removeprefix("PREFECT_").lower())) == value.lower(), name
    api = settings["server"]["api"]
    names = [name for name in ServerAPISettings.model_fields if name.startswith(("cors_", "csrf_"))]
    assert len(names) == 5
    defaults = {name: ServerAPISettings.model_fields[name].get_default(call_default_factory=True) for name in names}
    # The time is shown in a form of its own.
    assert {name: api[name] for name in names if "expiration" not in name} == {
        name: value for name, value in defaults.items() if "expiration" not in name
    }
    assert AUTH not in str(settings)


def plain(value: Any) -> str:
    """Return a setting as the file writes it: sets in a row, times in seconds."""
    if isinstance(value, list):
        return ",".join(sorted(value))
    days = re.fullmatch(r"P(\d+)D", str(value))
    return str(int(days[1]) * 24 * 3600) if days else str(value).lower().removesuffix(".0")


def found(settings: Any, path: str) -> Any:
    """Return a setting by its name, the parts of which are joined by underscores."""
    for name, value in settings.items():
        if name == path:
            return value
        if path.startswith(f"{name}_") and isinstance(value, dict):
            return found(value, path.removeprefix(f"{name}_"))
    raise KeyError(path)


def test_everything_listens_on_loopback_only(composed: Composed):
    """Neither the server nor the worker, its drain or its fork server can be reached from another machine."""
    assert listening(composed.running["server"]) <= HERE
    assert "127.0.0.1" in listening(composed.running["server"])
    assert listening(composed.running["worker"]) <= HERE


def test_with_the_password_every_command_works(composed: Composed):
    """`drain` beside the worker, `verify` with Prefect and `reconcile` do their work."""
    installation = composed.installation
    job = installation.submit("singlequdit", JOB)
    composed.start("drain")
    until(lambda: composed.drains() == 2)
    until(lambda: installation.states()[job] == "DONE")
    assert composed.stop("drain") == 130, composed.said("drain").read_text()
    verified = installation.run("verify")
    assert "2 jobs verified: no differences" in verified.stdout
    assert verified.stderr == ""
    assert installation.json("reconcile")["failed"] == 0


@pytest.mark.parametrize("password", ["", WRONG])
@pytest.mark.parametrize("command", [("drain", "--until-empty"), ("verify",), ("worker",)])
def test_without_the_password_each_command_says_so(composed: Composed, command: tuple[str, ...], password: str):
    """One sentence names the variable and not its value; nothing hangs, nothing is damaged."""
    if password and command == ("worker",):
        pytest.skip("as without one")
    done = composed.installation.run(*command, check=False, PREFECT_API_AUTH_STRING=password)
    assert done.returncode == 1
    assert "does not let us in" in done.stderr
    assert "PREFECT_API_AUTH_STRING" in done.stderr
    assert WRONG not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_worker_ends_in_good_order_and_the_password_is_nowhere(composed: Composed):
    """After SIGTERM nothing that was written, logged or printed by anything holds the password."""
    assert composed.stop("worker") == 0, composed.said("worker").read_text()
    secret = AUTH.partition(":")[2]
    wanted = [secret.encode(), base64.b64encode(AUTH.encode())]
    looked_at = [path for path in composed.folder.rglob("*") if path.is_file()]
    assert {"quledger.db", "server.out", "worker.out"} <= {path.name for path in looked_at}
    assert any("prefect.db" in path.name for path in looked_at)
    for path in looked_at:
        content = path.read_bytes()
        assert not any(each in content for each in wanted), path
    command_lines = [" ".join(composed.command(service)) for service in ("server", "deploy", "worker", "drain")]
    assert not any(secret in line for line in command_lines)


def test_both_ways_to_be_let_in_are_prefects(monkeypatch: pytest.MonkeyPatch):
    """A password goes before a key, as in Prefect's own client; without either there is no header."""
    for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    assert authentication() == {}
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_1")
    assert authentication() == {"Authorization": "Bearer pnu_1"}
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "no colon")
    assert authentication() == {"Authorization": f"Basic {base64.b64encode(b'no colon').decode()}"}


@pytest.mark.slow
def test_the_embedded_server_too_is_on_loopback_and_takes_a_password(tmp_path: Path):
    """`quledger drain` without an address starts a server that asks for its password, and knows the password itself."""
    installation = Installation(tmp_path, None)
    prefect_home.fill(installation.home / "prefect")
    job = installation.submit("singlequdit", JOB)
    drain = installation.start("drain", PREFECT_SERVER_API_AUTH_STRING=AUTH)
    try:
        until(lambda: installation.states()[job] == "DONE" or drain.poll() is not None)
        addresses = listening(drain)
    finally:
        drain.terminate()
        said, _ = drain.communicate(timeout=60)
    assert installation.states()[job] == "DONE", said
    assert addresses == {"127.0.0.1"}
    assert AUTH.partition(":")[2] not in said
