"""Real servers are stopped and a real disk is filled, one after the other: `quledger health` names each within 5 s."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from models.settings import Settings
from tasks import python
from tasks.prefect_settings import home, server_environment, server_settings
from tests import prefect_home
from tests.contract.storages import Servers
from tests.forked import ForkedModule
from tests.installation import Installation, installation_on
from tests.postgres import Server
from tests.waiting import until

pytestmark = pytest.mark.slow


class Prefect:
    """A Prefect server whose scheduler is switched off, and with it a deployment of ours that it should schedule."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(home=folder)
        prefect_home.fill(home(settings))
        environment = server_environment(settings) | server_settings() | {"PREFECT_HOME": str(home(settings))}
        environment |= {"PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false"}
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            self.process = ForkedModule(
                python.command("deployments.processes.embedded_server", str(listening.fileno())),
                cwd=home(settings),
                env=environment,
                pass_fds=(listening.fileno(),),
            )
        with httpx.Client(base_url=self.url, timeout=120) as client:
            flow = client.post("/flows/", json={"name": "reconcile"}).raise_for_status().json()["id"]
            every = [{"schedule": {"interval": 60}, "active": True}]
            body = {"name": "reconcile", "flow_id": flow, "tags": ["quledger"], "schedules": every}
            client.post("/deployments/", json=body).raise_for_status()

    def end(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB, where this machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def prefect(tmp_path: Path) -> Iterator[Prefect]:
    """The server, until the end of the test."""
    server = Prefect(tmp_path / "prefect")
    yield server
    server.end()


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Keep a process stopped, with its connections open, while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def asked(installation: Installation) -> dict[str, dict[str, Any]]:
    """Ask how everything is; return the parts that are down, by name."""
    found = installation.run("health", "--json", check=False)

    value = json.loads(found.stdout)
    down = {part["name"]: part for part in value["parts"] if part["status"] == "down"}
    assert value["seconds"] < 5
    assert (found.returncode, value["ok"]) == ((1, False) if down else (0, True))
    assert all(part["do"] for part in down.values())
    assert "Traceback" not in found.stderr
    return down


def test_what_is_stopped_or_full_is_named(
    tmp_path: Path, small_disk: Path, prefect: Prefect, postgres: Server, storage_servers: Servers
) -> None:
    """Database, storage, Prefect, a drain and the disk in turn; Prefect's scheduler is off all along."""
    with installation_on("s3", tmp_path, prefect.url, storage_servers) as installation:
        url = postgres.fresh()
        installation.home = small_disk / "home"
        installation.environment |= {
            "QULEDGER_HOME": str(installation.home),
            "QULEDGER_DATABASE": url,
            "QULEDGER_FREE_MB": "8",
        }

        def named(part: str) -> str:
            """Ask until a part is down, which a machine that has much else to do may see late; return how it is."""
            found = until(lambda: asked(installation).get(part), 60)
            return f"{found['says']}; {found['do']}"

        until(lambda: set(asked(installation)) == {"drains", "schedules"}, 120)
        drain = installation.start("drain")
        until(lambda: set(asked(installation)) == {"schedules"}, 120)
        assert "Prefect's scheduler is switched off, so no schedule fires" in named("schedules")
        with stopped(postgres.process.pid):
            assert "has not answered" in asked(installation)["database"]["says"]
        (weed,) = [each.pid for each in psutil.Process().children(recursive=True) if each.name() == "weed"]
        with stopped(weed):
            assert "has not answered" in asked(installation)["storage"]["says"]
        with stopped(prefect.process.pid):
            assert "not answered" in asked(installation)["prefect"]["says"]
        with (small_disk / "ballast").open("wb") as ballast:
            ballast.write(bytes(28_000_000))
        assert "free some space" in named("disk")
        (small_disk / "ballast").unlink()
        with stopped(drain.pid):
            assert "its process is stopped" in named("drains")
        drain.kill()
        drain.wait()
        assert "its process is gone" in named("drains")
        installation.log.engine.dispose()
        postgres.give_back(url)
