"""The process that all job processes are forked from: everything is imported once.

    python -P -m tasks.sandbox.fork_server FD RESOLVER NEEDS MODULE...

NEEDS are modules with commas between them; the backends that need just these are loaded beforehand. FD is one end of a
socket pair. Over it the sandbox sends FORK with the job's socket, and KILL; the answers are READY, once, and ENDED for
each child. Only this process waits for its children, so a process id that it holds
cannot have been given to somebody else when it kills. It ends, with all its children, when the other end closes.

On Linux it also adopts and kills whatever a job leaves behind in a session of its own. On macOS such a process
stays, and so does a computing child until its limit if this process is killed.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import resource
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.sandbox import child
from tasks.sandbox.rlimits import lower

MESSAGE = struct.Struct("!cIid")
"""In both directions: what, number of the child, wait status, CPU seconds."""

FORK, KILL, READY, ENDED = b"F", b"K", b"R", b"E"

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
"""Names from linux/prctl.h."""

OPEN_FILES = 64
"""The most files that a job may have open."""

NOT_FORKED = -1
"""The wait status of a job that the system had no process for."""

HAS_WAITID = hasattr(os, "waitid")

LOOK_SECONDS = 2.0
"""How often it is made sure that the parent lives: its end of the socket may have leaked elsewhere."""

LAST_SECONDS = 5
"""The longest that the end may take."""


class ForkServer:
    """The children and the way to their owner."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._me, self._owner = os.getpid(), os.getppid()
        self._numbers: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._prctl: Any = None
        self._loaded_bytes: int | None = None
        if sys.platform == "linux":
            self._prctl = ctypes.CDLL(None).prctl
            self._prctl.argtypes = [ctypes.c_int] + 4 * [ctypes.c_ulong]
            self._prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of a job become ours
            self._prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, the system ends a job first
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            self._loaded_bytes = pages * resource.getpagesize()
            self._prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # no job reads the memory of another one
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
                carried_out = [key.data() for key, _ in selector.select(LOOK_SECONDS)]
                if not all(carried_out):
                    break
        self._end()

    def _say(self, what: bytes, number: int = 0, status: int = 0, cpu_seconds: float = 0.0) -> None:
        self._control.sendall(MESSAGE.pack(what, number, status, cpu_seconds))

    def _obey(self) -> bool:
        """Carry out one message; return False if there will be no more."""
        data, files, _, _ = socket.recv_fds(self._control, MESSAGE.size, 1)
        if len(data) < MESSAGE.size:
            return False
        what, number, _, _ = MESSAGE.unpack(data)
        if what == KILL:
            self._kill(self._pids.get(number))
        else:
            self._fork(number, files[0])
        return True

    def _fork(self, number: int, channel: int) -> None:
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()  # here, where it is cheap; or all jobs would draw the same numbers
        try:
            pid = os.fork()
        except OSError:
            self._say(ENDED, number, NOT_FORKED)
        else:
            if pid == 0:
                child.serve(channel, self._die_with_me, self._loaded_bytes)
            self._numbers[pid], self._pids[number] = number, pid
        os.close(channel)

    def _die_with_me(self) -> None:
        if self._prctl is not None:
            self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self._me:  # it died before the line above
            os._exit(1)

    def _kill(self, pid: int | None) -> None:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _reap(self) -> bool:
        """Collect every child that has ended, with the rest of its session, and report it."""
        while (ended := self._collect()) is not None:
            pid, status, usage = ended
            number = self._numbers.pop(pid, None)
            if number is not None:
                del self._pids[number]
                self._say(ENDED, number, status, usage.ru_utime + usage.ru_stime)
            for orphan in self._children() - self._numbers.keys():
                self._kill(orphan)
        return True

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


def preload(resolver: str, modules: list[str], needs: list[str]) -> None:
    """Import the modules, and load the backends that need just `needs`; what fails is told and left to the jobs."""
    for name in [*modules, *needs]:
        with _told(name):
            importlib.import_module(name)
    module = resolver.partition(":")[0]
    with _told(module):
        registry = importlib.import_module(module)
        needs_of = getattr(registry, "needs", lambda _: ())
        for backend in getattr(registry, "names", list)():
            if list(needs_of(backend)) != needs:
                continue
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
    fd, resolver, needs, *modules = sys.argv[1:]
    # Under the lowest free number: a child closes what lies below the limit of open files, which is low.
    control = socket.socket(fileno=os.dup(int(fd)))
    os.close(int(fd))
    preload(resolver, modules, needs.split(",") if needs else [])
    gc.collect()
    gc.disable()
    gc.freeze()  # a collection in a child leaves the shared pages alone
    ForkServer(control).run()
    os._exit(0)  # nothing here needs a farewell


if __name__ == "__main__":
    main()
