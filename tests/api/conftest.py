"""A front door on loopback, with users who have tokens, over a laboratory on SQLite."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from deployments.api.app import make_app
from deployments.processes.connections import Connection
from models.identity.facts import MemberSet, NameLinked, ProjectAdded, ProjectRole, Role, UserAdded
from models.identity.streams import project_stream, user_stream
from models.settings import Settings
from storage.identity.directory import Directory
from tasks.sandbox import fork_client
from tasks.services import Services
from tests import empty_log, forked

SPIN = {
    "experiment_0": {
        "instructions": [["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 10,
    }
}


class FrontDoor:
    """The API of one laboratory, served by a thread of this process.

    Attributes:
        url: without a slash at its end.
        app: the application that is served.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        empty_log.put(folder)
        self.services = Services(Settings(home=folder, **settings))
        self.services.open()
        self.directory = Directory(self.services.log.engine)
        self._tokens: dict[str, str] = {}
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.app = make_app(self.services)
        config = uvicorn.Config(
            self.app, http=Connection, log_config=None, access_log=False, lifespan="on", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]})

    def start(self) -> None:
        """Serve; connections wait until it does."""
        self._thread.start()
        self._client = httpx.Client(base_url=self.url, timeout=60)

    def stop(self) -> None:
        """Stop, and wait for that."""
        self._client.close()
        self._server.should_exit = True
        self._thread.join(30)
        self._listening.close()
        assert not self._thread.is_alive()

    def add_user(self, name: str, role: Role = "member", *, names: tuple[str, ...] = ()) -> None:
        """Add a user with a token for everything, and link names to him."""
        stream = user_stream(name)
        self.directory.append(stream, UserAdded(role=role), *(NameLinked(name=each) for each in names), actor="test")
        self._tokens[name] = self.directory.issue(stream, ("read", "submit", "admin"), actor="test").text

    def add_project(self, name: str, **members: ProjectRole) -> None:
        """Add a project with members."""
        facts = [MemberSet(user=user, role=role) for user, role in members.items()]
        self.directory.append(project_stream(name), ProjectAdded(), *facts, actor="test")

    def token(self, user: str) -> str:
        """Return the token of a user."""
        return self._tokens[user]

    def ask(self, user: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask once; as nobody where the user is None."""
        headers = more.pop("headers", {})
        if user is not None:
            headers = {"Authorization": f"Bearer {self.token(user)}"} | headers
        return self._client.request(method, path, headers=headers, **more)

    def submit(self, user: str, **changes: Any) -> str:
        """Hand in a job, and return its id."""
        answer = self.ask(user, "POST", "/v1/jobs", json={"backend": "singlequdit", "document": SPIN} | changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["job_id"])


@pytest.fixture(scope="module", autouse=True)
def fork_servers() -> Iterator[None]:
    """The sandboxes of doors, which check documents, begin with what is imported already."""
    with forked.forking(fork_client):
        yield


@contextlib.contextmanager
def front_door(folder: Path, **settings: Any) -> Iterator[FrontDoor]:
    """Serve while the block runs."""
    door = FrontDoor(folder, **settings)
    door.start()
    try:
        yield door
    finally:
        door.stop()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A laboratory of alice and bob, the operator olga, and carol, who sees what belongs to the project of alice."""
    environment = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("QULEDGER_")}
    with front_door(tmp_path_factory.mktemp("laboratory")) as door:
        for name in ("alice", "bob", "carol"):
            door.add_user(name)
        door.add_user("olga", "operator")
        door.add_user("vic", "viewer")
        door.add_project("atoms", alice="member", carol="viewer")
        yield door
    os.environ.update(environment)
