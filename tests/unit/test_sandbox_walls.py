"""A hostile backend in its process: what it tries is denied or bounded, with every wall and with each of them off."""

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import LimitExceeded
from tasks.sandbox import kernel
from tasks.sandbox.job_process import Sandbox, SharedSandbox
from tasks.sandbox.rlimits import Limits
from tasks.sandbox.walls import ALL, LANDLOCK, SECCOMP, Offer, hide_memory, offered, table
from tests.unit.sandbox_jobs import only_linux
from tests.unit.walls_fakes import Attempts, Uses
from tests.waiting import until

pytestmark = [pytest.mark.slow, only_linux]

PR_GET_DUMPABLE = 3

RESOLVER = "tests.unit.walls_fakes:load"
LIMITS = Limits(cpu_seconds=20, wall_seconds=20, memory_mb=300, answer_mb=1)

EVERYTHING = {name for name, each in vars(Attempts).items() if isinstance(each, staticmethod)}
USES = {name for name, each in vars(Uses).items() if isinstance(each, staticmethod)}
OF_LANDLOCK = {"read", "look", "write", "remove", "command_of_drain", "environment_of_drain", "program"}
OF_SECCOMP = EVERYTHING - {"read", "look", "command_of_drain"}
OF_OTHERS = {"environment_of_drain", "limits_of_drain", "namespace", "signal_drain", "signal_fork_server"}
SUBSETS = [ALL, (LANDLOCK,), (SECCOMP,), ()]


def denied(offer: Offer) -> set[str]:
    """Return what is denied to a backend that needs nothing but its imports."""
    found = {"environment_of_drain"}
    if offer.landlock:
        found |= OF_LANDLOCK
    for version, names in ((3, {"truncate"}), (4, {"tcp"}), (6, {"signal_drain", "signal_fork_server"})):
        found |= names if offer.landlock >= version else set()
    return found | (OF_SECCOMP if offer.seccomp else set())


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Something to reach: a folder with secrets, this process, a port and a socket that listen."""
    for name in ("secret", "victim", "truncated"):
        (tmp_path / name).write_text("precious")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "socket"))
        local.listen()
        yield {"folder": str(tmp_path), "drain": os.getpid(), "port": server.getsockname()[1]}


async def said(sandbox: Sandbox, backend: str, given: dict[str, Any], limits: Limits = LIMITS) -> Any:
    """Return what a backend says."""
    async with sandbox.job(backend, json.dumps(given).encode(), job_id="j", limits=limits) as job:
        document = (await job.call("execute", seed=1))["document"]
    return json.loads(document)["results"][0]["said"]


def run(backend: str, given: dict[str, Any], walls: tuple[str, ...] = ALL, hidden: tuple[str, ...] = ()) -> Any:
    """Return what a backend says in a sandbox with these walls, in which a good job runs afterwards."""

    async def whole() -> Any:
        async with Sandbox(resolver=RESOLVER, preload=(), walls=walls, hidden=hidden) as sandbox:
            answer = await said(sandbox, backend, given)
            assert await said(sandbox, f"{backend.partition('-')[0]}-good", {}) == 42
            return answer

    hide_memory()
    return asyncio.run(whole())


@pytest.mark.parametrize("walls", SUBSETS, ids=["all", *("+".join(each) or "none" for each in SUBSETS[1:])])
def test_each_wall_keeps_back_what_it_is_for(world: dict[str, Any], walls: tuple[str, ...]):
    """What is denied is what this kernel's walls are for; what every job needs goes on, whichever are there."""
    offer = offered(walls)
    print(*(f"{each.what:70} {each.by or 'NOT WALLED OFF'}" for each in table(offer)), sep="\n")  # noqa: T201
    outcomes = run("closed-attempts", world, walls)
    print(json.dumps(outcomes, indent=1))  # noqa: T201 - the table of this kernel
    assert {name for name in EVERYTHING if outcomes[name] != "done"} == denied(offer)
    # A filter alone cannot tell a device that is opened for writing from a file.
    assert {name for name in USES if outcomes[name] != "done"} == ({"use_devices"} if walls == (SECCOMP,) else set())
    assert Path(world["folder"], "secret").read_text() == "precious"


def test_a_backend_that_declares_nothing_keeps_its_access_but_for_other_processes(world: dict[str, Any]):
    """It reads and connects as the drain does, and starts processes; it reaches none that is not its own."""
    offer = offered()
    outcomes = run("open-attempts", world)
    kept_from = denied(offer) & OF_OTHERS - (set() if offer.landlock >= 6 else {"signal_drain", "signal_fork_server"})
    assert {name for name in EVERYTHING if outcomes[name] != "done"} == kept_from


@pytest.mark.parametrize(
    ("declared", "opened"),
    [
        ("breeding", {"fork"}),
        ("starting", {"fork", "program"}),
        ("connected", {"tcp", "udp", "unix_socket"}),
        ("reading", set()),
    ],
)
def test_what_is_declared_is_open_and_nothing_beside(world: dict[str, Any], declared: str, opened: set[str]):
    """Each word of a declaration opens what it says."""
    offer = offered()
    outcomes = run(f"{declared}-attempts", world)
    still = denied(offer) - opened
    if declared in {"breeding", "starting"} and offer.landlock < 6:
        still -= {"signal_drain", "signal_fork_server"}
    assert {name for name in EVERYTHING if outcomes[name] != "done"} == still


def test_a_home_beside_the_imports_stays_hidden(world: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    """Though the folder that both lie in is one that is imported from."""
    folder = Path(world["folder"])
    monkeypatch.syspath_prepend(folder)
    (folder / "home").mkdir()
    (folder / "home" / "secret").write_text("precious")
    home = world | {"folder": str(folder / "home")}
    assert run("closed-attempts", home, hidden=(str(folder / "home"),))["read"] != "done" or not offered().landlock
    assert run("closed-attempts", home)["read"] == "done"


def test_whoever_has_a_sandbox_for_jobs_hides_its_memory():
    """A drain, a worker, and whoever runs a single job: so does the fork server, and every child after it."""

    async def whole() -> None:
        async with SharedSandbox().borrowed():
            assert kernel.prctl(PR_GET_DUMPABLE) == 0

    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    asyncio.run(whole())


TIGHT = LIMITS.model_copy(update={"cpu_seconds": 1, "memory_mb": 100})


BEYOND: dict[str, tuple[dict[str, Any], set[str]]] = {
    "relay": ({"each": 0.4}, {"cpu"}),
    "hoard": ({"width": 4, "megabytes": 60}, {"memory"}),
    "bomb": ({}, {"processes", "memory", "cpu"}),
}


@pytest.mark.parametrize(("declared", "actions"), [("open", ("relay", "hoard", "bomb")), ("breeding", ("bomb",))])
def test_the_processes_of_a_job_share_its_limits(declared: str, actions: tuple[str, ...]):
    """However many it starts, and whether anybody waits for them; when it is ended none is left."""

    async def whole() -> None:
        async with Sandbox(resolver=RESOLVER, preload=()) as sandbox:
            for action in actions:
                given, limits = BEYOND[action]
                neighbour = asyncio.create_task(said(sandbox, f"{declared}-good", {}))
                with pytest.raises(LimitExceeded) as caught:
                    await said(sandbox, f"{declared}-{action}", given, TIGHT)
                assert caught.value.limit in limits
                assert await neighbour == 42
                (server,) = sandbox.fork_servers._servers.values()
                # Killed they are, all of them; on a busy machine they may not have had their turn to end.
                until(lambda pid=server.pid: not group(pid), 10)  # type: ignore[misc]
            assert await said(sandbox, f"{declared}-good", {}) == 42

    asyncio.run(whole())


@pytest.mark.parametrize("walls", [ALL, ()], ids=["all", "none"])
def test_what_outlives_its_job_is_ended(walls: tuple[str, ...]):
    """Even if it is another process each time that one looks."""

    async def whole() -> None:
        async with Sandbox(resolver=RESOLVER, preload=(), walls=walls) as sandbox:
            await said(sandbox, "open-comet", {})
            (server,) = sandbox.fork_servers._servers.values()
            # Killed they are, all of them; on a busy machine they may not have had their turn to end.
            until(lambda: not group(server.pid), 10)

    asyncio.run(whole())


def group(server: int) -> list[int]:
    """Return the processes that came from a fork server, by what they share with it: its command line."""
    command = Path(f"/proc/{server}/cmdline").read_bytes()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes() == command and int(path.name) != server:
                found.append(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
