"""The process that all job processes are forked from: everything is imported once.

    python -P -m tasks.sandbox.fork_server FD START

START is JSON: the `resolver` of backends, `modules` to import, `backends` to load beforehand, what they have `access`
to, what is `hidden` from them, the `walls` that may be put up. FD is one end of a socket pair. Over it the sandbox
sends FORK with the job's socket, and KILL; the answers are READY, once, and ENDED for each child. Only this process
waits for its children, so a process id that it holds cannot have been given to somebody else when it kills. It ends,
with all its children, when the other end closes.

On Linux it also adopts and kills whatever a job leaves behind in a session of its own, and watches what the processes
of one job use together. On macOS such a process stays, and so does a computing child until its limit if this process
is killed.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.backend import Access
from tasks.sandbox import child, descendants, kernel, places
from tasks.sandbox.descendants import Family
from tasks.sandbox.rlimits import MEGABYTE, lower
from tasks.sandbox.walls import Walls, hide_memory, offered

MESSAGE = struct.Struct("!cIid")
"""In both directions: what, number of the child, wait status, CPU seconds.

FORK has the megabytes and CPU seconds that the child and its own processes may use together, or zeros."""

FORK, KILL, READY, ENDED = b"F", b"K", b"R", b"E"

OPEN_FILES = 64
"""The most files that a job may have open."""

NOT_FORKED = -1
"""The wait status of a job that the system had no process for."""

BEYOND = {-2: "cpu", -3: "memory", -4: "processes"}
"""Wait statuses of jobs whose processes together were beyond a limit."""

HAS_WAITID = hasattr(os, "waitid")

LOOK_SECONDS = 2.0
"""How often it is made sure that the parent lives: its end of the socket may have leaked elsewhere."""

WATCH_SECONDS = 0.1
"""How often it is looked what a job's processes use together."""

CLEAR_SECONDS = 0.5
"""The longest that is waited at once for what a job has left behind to be gone."""

LAST_SECONDS = 5
"""The longest that the end may take."""


class ForkServer:
    """The children and the way to their owner."""

    def __init__(self, control: socket.socket, walls: Walls) -> None:
        self._control, self._walls = control, walls
        self._me, self._owner = os.getpid(), os.getppid()
        self._numbers: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._families: dict[int, Family] = {}
        self._verdicts: dict[int, str] = {}
        self._has_strays = False
        self._loaded_bytes: int | None = None
        self._anonymous = 0
        if sys.platform == "linux":
            kernel.ask(kernel.PR_SET_CHILD_SUBREAPER, 1)  # orphans of a job become ours
            kernel.ask(kernel.PR_SET_NO_NEW_PRIVS, 1)
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, the system ends a job first
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            self._loaded_bytes = pages * resource.getpagesize()
            myself = descendants.read("self")
            self._anonymous = myself.anonymous if myself else 0
            with contextlib.suppress(OSError):
                kernel.keep_capabilities(walls.kept_capabilities)
            hide_memory()  # inherited, so that no job reads that of another one either
        # All this is inherited, so it costs the children nothing.
        lower(resource.RLIMIT_CORE, 0)
        lower(resource.RLIMIT_FSIZE, 0)
        lower(resource.RLIMIT_NOFILE, OPEN_FILES)

    def run(self) -> None:
        """Serve until the owner is gone."""
        waker, wakened = socket.socketpair()
        waker.setblocking(False)
        wakened.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken up
        selector = selectors.DefaultSelector()
        selector.register(self._control, selectors.EVENT_READ, self._obey)
        selector.register(wakened, selectors.EVENT_READ, lambda: bool(wakened.recv(4096)) and self._reap())
        with contextlib.suppress(ConnectionError):
            self._say(READY)
            while os.getppid() == self._owner:
                is_watching = self._families or self._has_strays
                carried_out = [key.data() for key, _ in selector.select(WATCH_SECONDS if is_watching else LOOK_SECONDS)]
                if not all(carried_out):
                    break
                self._watch()
        self._end()

    def _say(self, what: bytes, number: int = 0, status: int = 0, cpu_seconds: float = 0.0) -> None:
        self._control.sendall(MESSAGE.pack(what, number, status, cpu_seconds))

    def _obey(self) -> bool:
        """Carry out one message; return False if there will be no more."""
        data, files, _, _ = socket.recv_fds(self._control, MESSAGE.size, 1)
        if len(data) < MESSAGE.size:
            return False
        what, number, megabytes, cpu_seconds = MESSAGE.unpack(data)
        if what == KILL:
            self._kill(self._pids.get(number))
        elif (pid := self._fork(number, files[0])) and megabytes and self._walls.may_breed:
            self._families[pid] = Family(pid, cpu_seconds, megabytes * MEGABYTE, self._anonymous)
        return True

    def _fork(self, number: int, channel: int) -> int | None:
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()  # here, where it is cheap; or all jobs would draw the same numbers
        try:
            pid = os.fork()
        except OSError:
            self._say(ENDED, number, NOT_FORKED)
            return None
        else:
            if pid == 0:
                child.serve(channel, self._die_with_me, self._walls.put_up, self._loaded_bytes)
            self._numbers[pid], self._pids[number] = number, pid
            return pid
        finally:
            os.close(channel)

    def _die_with_me(self) -> None:
        if sys.platform == "linux":
            kernel.ask(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._me:  # it died before the line above
            os._exit(1)

    def _kill(self, pid: int | None) -> None:
        if pid is not None:
            # The whole group at one blow: none of it can fork then. What is not in it is left to `_clear`.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _watch(self) -> None:
        """End the jobs whose processes together are beyond a limit, and what others have left behind."""
        for pid, family in self._families.items():
            excess = family.excess()
            if excess:
                self._verdicts[pid] = excess
                self._kill(pid)
        if self._families or self._has_strays:
            self._clear()

    def _reap(self) -> bool:
        """Collect every child that has ended, with all that is left of its job, and report it."""
        while (ended := self._collect()) is not None:
            pid, status, usage = ended
            number = self._numbers.pop(pid, None)
            self._families.pop(pid, None)
            verdict = self._verdicts.pop(pid, None)
            self._clear()
            if number is not None:
                del self._pids[number]
                seconds = usage.ru_utime + usage.ru_stime
                self._say(ENDED, number, _STATUSES[verdict] if verdict else status, seconds)
        return True

    def _clear(self) -> None:
        """End what a job has left behind: here are all processes whose parent has ended, until none is left."""
        # What could not be ended once is not waited for again: others have their jobs to do.
        until = time.monotonic() + (0.0 if self._has_strays else CLEAR_SECONDS)
        while strays := self._children() - self._numbers.keys():
            for stray in strays:
                for each in descendants.descendants(stray):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(each, signal.SIGKILL)
                self._kill(stray)
            # Each is waited for by its own id: a child that has ended meanwhile is for `_reap` to report.
            gone = [pid for pid in strays if _has_ended(pid)]
            if time.monotonic() > until:
                break
            if not gone:
                time.sleep(0.001)
        self._has_strays = bool(strays)

    def _collect(self) -> tuple[int, int, resource.struct_rusage] | None:
        """Return process id, status and usage of one child that has ended, after killing its session."""
        with contextlib.suppress(ChildProcessError):
            if HAS_WAITID:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None:
                    return None
                self._kill(found.si_pid)  # until it is waited for, its id is nobody else's
                return os.wait4(found.si_pid, 0)
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            return (pid, status, usage) if pid else None
        return None

    def _children(self) -> set[int]:
        """Return all children of this process, adopted ones as well."""
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{self._me}/children") as listed:
            return {int(pid) for pid in listed.read().split()}
        return set(self._numbers)

    def _end(self) -> None:
        """End all children, and then there is nothing left to do."""
        signal.alarm(LAST_SECONDS)
        with contextlib.suppress(ChildProcessError):
            while True:
                for pid in self._children():
                    self._kill(pid)
                pid, _ = os.wait()
                self._numbers.pop(pid, None)


_STATUSES = {what: status for status, what in BEYOND.items()}


def _has_ended(pid: int) -> bool:
    """Collect a child if it has ended."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


def preload(resolver: str, modules: list[str], backends: list[str]) -> None:
    """Import the modules and load the backends; what fails is told and left to the jobs."""
    for name in modules:
        with _told(name):
            importlib.import_module(name)
    for backend in backends:
        with _told(backend):
            child.load(resolver, backend)
    if "numpy" in sys.modules:
        # The work space of the linear algebra is taken once here and not out of each job's memory.
        numpy: Any = sys.modules["numpy"]
        matrix = numpy.eye(256, dtype=complex)
        numpy.linalg.eigh(matrix @ matrix)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a broken backend is the trouble of those who ask for it
        sys.stderr.write(f"quledger fork server: cannot preload {what}: {error!r:.500}\n")


def main() -> None:
    """Run the server on the socket of the command line."""
    fd, start = int(sys.argv[1]), json.loads(sys.argv[2])
    # Under the lowest free number: a child closes what lies below the limit of open files, which is low.
    control = socket.socket(fileno=os.dup(fd))
    os.close(fd)
    offer = offered(start["walls"])
    preload(start["resolver"], start["modules"], start["backends"])
    access = None if start["access"] is None else Access.model_validate(start["access"])
    walls = Walls(access, offer, places.of_imports(start["hidden"]))
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection in a child leaves the shared pages alone
    ForkServer(control, walls).run()
    os._exit(0)  # nothing here needs a farewell


if __name__ == "__main__":
    main()
