"""A shell in an empty home, in which `quledger` is the program, forked from one that has imported all that it needs."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests import forked
from tests.forked import ROOT, ForkedProcess

SECONDS = 200.0
PROGRAM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    text = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(asked, [len(text).to_bytes(4, "big")], [0, 1, 2])
    asked.sendall(text)
    code = asked.recv(4)
os._exit(int.from_bytes(code, "big") if code else 1)
"""
OPEN = """#!/bin/sh
exec curl --silent --show-error --location --output /dev/null "$1"
"""
CURL = """
silent
show-error
fail
retry = 300
retry-delay = 1
retry-connrefused
"""
"""A person waits until a server answers, and so does curl."""


class Shell:
    """A home, a folder in it to work in, and a program on the path."""

    def __init__(self, home: Path, api: str) -> None:
        self.folder = home / "work"
        self.folder.mkdir()
        (home / ".curlrc").write_text(CURL)
        (self.folder / "examples").symlink_to(ROOT / "examples")
        programs = home / "bin"
        programs.mkdir()
        self._address = str(home / "asked")
        for name, text in (
            ("quledger", PROGRAM.format(python=sys.executable, address=self._address)),
            ("open", OPEN),
        ):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QULEDGER_", "PREFECT_"))}
        self._environment = kept | {
            "HOME": str(home),
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PREFECT_API_URL": api,
            "COLUMNS": "120",
            "QULEDGER_SETTLE_SECONDS": "0.1",
        }
        self._started: list[ForkedProcess] = []
        self._lock = threading.Lock()

    def run(self, script: str) -> str:
        """Run a script of bash up to the first command that does not work; return what went wrong, or nothing."""
        bash = shutil.which("bash")
        assert bash is not None
        with self._serving(), (self.folder.parent / "errors").open("w+") as errors:
            done = subprocess.run(
                [bash, "-eE", "-o", "pipefail", "-c", script],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=SECONDS,
                check=False,
            )
            errors.seek(0)
            return "" if done.returncode == 0 else f"code {done.returncode}: {errors.read()[-3000:]}"

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._address)
            listening.listen(20)
            thread = threading.Thread(target=self._serve, args=[listening], daemon=True)
            thread.start()
            try:
                yield
            finally:
                listening.shutdown(socket.SHUT_RDWR)
                thread.join()
                for process in self._started:
                    process.terminate()
                for process in self._started:
                    process.wait(60)

    def _serve(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                asking, _ = listening.accept()
                threading.Thread(target=self._begin, args=[asking], daemon=True).start()

    def _begin(self, asking: socket.socket) -> None:
        with asking:
            size, files, _, _ = socket.recv_fds(asking, 4, 3)
            with asking.makefile("rb") as said:
                arguments, environment, folder = json.loads(said.read(int.from_bytes(size, "big")))
            with self._lock:
                process = self._forked(arguments, environment, folder, files)
            wait([process.sentinel, asking])
            process.terminate()  # nothing, unless who asked has ended
            asking.sendall((process.wait(60) % 256).to_bytes(4, "big"))

    def _forked(
        self, arguments: list[str], environment: dict[str, str], folder: str, files: list[int]
    ) -> ForkedProcess:
        assert forked.can_run(environment), "these settings of Prefect need the installed program"
        process = ForkedProcess(arguments, environment, (files[0], files[1], files[2]), folder)
        self._started.append(process)
        for file in files:
            os.close(file)
        return process


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: Any = free.getsockname()[1]
        return int(port)
