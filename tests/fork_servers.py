"""A fork server for all test processes of one run: the first that needs it starts it, and it ends with the last.

To import what it forks takes seconds of a processor. It lives as long as a pipe has a writer: each process that uses it
holds that end, also when the one that has started it is gone.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from multiprocessing import connection, resource_tracker
from multiprocessing.forkserver import ForkServer
from pathlib import Path
from typing import TextIO
from unittest import mock


def share(server: ForkServer, note: Path) -> None:
    """Have this server in common with all that share one by this note, a file in a folder that outlives them."""
    shared = _Shared(server, note)
    server.ensure_running, server._stop = shared.ensure_running, shared.stop


class _Shared:
    """A server, and a note of where it is for those that come later."""

    def __init__(self, server: ForkServer, note: Path) -> None:
        self._server, self._note = server, note
        self._begin = server.ensure_running

    def ensure_running(self) -> None:
        """Find the server, or start it."""
        if self._is_ours():
            self._begin()
        elif self._server._forkserver_address is None:
            with self._locked() as note:
                if not self._found(note.read()):
                    # In a folder that is there until the last of them has ended.
                    place = f"{self._note}-{os.getpid()}"
                    with mock.patch.object(connection, "arbitrary_address", return_value=place):
                        self._begin()
                    note.truncate(0)
                    note.write(f"{os.getpid()} {self._server._forkserver_alive_fd} {self._server._forkserver_address}")
        resource_tracker.ensure_running()

    def stop(self) -> None:
        """Need it no more; whoever has started it does not wait for the others."""
        if self._server._forkserver_alive_fd is not None:
            if self._is_ours():
                with self._locked() as note:
                    note.truncate(0)
            os.close(self._server._forkserver_alive_fd)
            self._server._forkserver_alive_fd = self._server._forkserver_address = self._server._forkserver_pid = None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[TextIO]:
        with self._note.open("a+") as note:
            fcntl.flock(note, fcntl.LOCK_EX)
            note.seek(0)
            yield note

    def _is_ours(self) -> bool:
        return self._server._forkserver_pid is not None

    def _found(self, said: str) -> bool:
        if not said:
            return False
        pid, pipe, address = said.split(" ", 2)
        try:
            self._server._forkserver_alive_fd = os.open(f"/proc/{pid}/fd/{pipe}", os.O_WRONLY)
        except OSError:  # whoever has started it has crashed
            return False
        self._server._forkserver_address = address
        return True
