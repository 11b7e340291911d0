"""The fork servers of a sandbox: one for each kind of backend, so that each has the imports and walls that it needs."""

import asyncio
import importlib
import itertools
from collections import defaultdict
from typing import Any, NamedTuple

from models.backend import Access
from models.errors import ChildDied, SandboxError
from tasks.sandbox.fork_client import Child, ForkServerClient
from tasks.sandbox.rlimits import Limits
from tasks.sandbox.walls import ALL

START_SECONDS = 60.0


class ServerKind(NamedTuple):
    """Which backends a fork server has the children of.

    Attributes:
        needs: the modules that they need beyond those that all do.
        access: what their jobs may reach; None if they do not say.
        is_ours: whether they are of this package; no code of another one is ever imported beside them.
    """

    needs: tuple[str, ...] = ()
    access: Access | None = Access()
    is_ours: bool = True


class ForkServers:
    """The fork servers of a sandbox, one for each kind of backend; each starts with the first job for it.

    Args:
        resolver: `module:function` that returns the backend of a name (see `Sandbox`).
        preload: modules that each of them imports.
        hidden: files and folders that no job may read, though they lie beside what it imports.
        walls: the walls that may be put up (`tasks.sandbox.walls`).
    """

    def __init__(
        self, resolver: str, preload: tuple[str, ...], hidden: tuple[str, ...] = (), walls: tuple[str, ...] = ALL
    ) -> None:
        self._resolver, self._preload, self._hidden, self._walls = resolver, preload, hidden, walls
        self._starting: defaultdict[ServerKind, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._servers: dict[ServerKind, ForkServerClient] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    async def close(self) -> None:
        """End them with all of their children; there will be no more."""
        self._is_closed = True
        for server in self._servers.values():
            await server.end()

    async def fork(self, backend: str, limits: Limits | None) -> Child:
        """Return a new child for a job of this backend.

        Args:
            limits: what it and the processes that it starts may use together, if that is to be watched.

        Raises:
            SandboxError: the sandbox has been closed.
            ChildDied: the system has no room for it, or the fork server does not start.
        """
        number = next(self._numbers)
        try:
            server = await self.get(backend)
            child = Child(server, number, limits)
            if server.is_lost:  # it had died unseen, which shows only when it is spoken to
                child.channel.close()
                child = Child(await self.get(backend), number, limits)
        except OSError as error:
            raise ChildDied(f"the system has no room for the job's process ({error.strerror})") from None
        return child

    async def get(self, backend: str = "") -> ForkServerClient:
        """Return a fork server that is ready: for jobs of this backend, or of ours that need no modules of their own.

        Raises:
            SandboxError: the sandbox has been closed.
            ChildDied: the fork server does not start.
        """
        kind = self.kind(backend)
        async with self._starting[kind]:
            if self._is_closed:
                raise SandboxError("the sandbox has been closed")
            server = self._servers.get(kind)
            if server is not None and server.is_lost:
                await server.end()
                server = None
            if server is None:
                server = self._servers[kind] = ForkServerClient(self._start(kind))
            if not server.ready.done():
                await asyncio.wait([server.ready], timeout=START_SECONDS)
            if server.is_lost or not server.ready.done():
                server.lose()
                raise ChildDied("the fork server does not start; its standard error says why")
            return server

    def kind(self, backend: str) -> ServerKind:
        """Return which fork server this backend belongs to; without a name, that of ours which need nothing."""
        if not backend:
            return ServerKind()
        return ServerKind(
            tuple(self.ask("needs", backend, default=())),
            self.ask("access", backend, default=None),
            self._is_ours(backend),
        )

    def _start(self, kind: ServerKind) -> dict[str, Any]:
        """Return what a fork server is told at its start."""
        # Of other packages nothing is imported here that nobody has asked for: what it declares is known no sooner.
        listed = "names" if kind.is_ours else "loaded"
        names: list[str] = getattr(self._registry(), listed, list)()
        return {
            "resolver": self._resolver,
            "modules": [*self._preload, *kind.needs],
            "backends": [name for name in names if self._is_ours(name) == kind.is_ours and self.kind(name) == kind],
            "access": kind.access and kind.access.model_dump(),
            "hidden": self._hidden,
            "walls": self._walls,
        }

    def _is_ours(self, backend: str) -> bool:
        return bool(self.ask("ours", backend, default=False))

    def ask(self, what: str, backend: str, *, default: Any) -> Any:
        """Return what the resolver's module says of a backend, if it says anything."""
        function = getattr(self._registry(), what, None)
        return function(backend) if callable(function) else default

    def _registry(self) -> Any:
        return importlib.import_module(self._resolver.partition(":")[0])
