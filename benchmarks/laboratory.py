"""A laboratory as its users meet it: a real `quledger serve`, a real `quledger drain`, and a user with a token."""

import atexit
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from processes import Program

QULEDGER = [sys.executable, "-m", "deployments.cli.app"]
ROOT = Path(__file__).resolve().parent.parent


class Laboratory:
    """One laboratory on loopback, in a home of its own.

    Attributes:
        url: of the HTTP API.
        token: of its user.
    """

    def __init__(self, folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QULEDGER_", "PREFECT_"))}
        self._folder, self._environment = (
            folder,
            kept
            | {
                "HOME": str(folder),
                "PYTHONPATH": str(ROOT),
                "QULEDGER_HOME": str(folder / "home"),
                "QULEDGER_API_REQUESTS_A_MINUTE": "10000000",
            },
        )
        self._said("user", "add", "ann")
        self.token = self._said("token", "new", "ann")
        self.server = self._begun("serve", "--port", "0")
        self.url = self.server.process.stdout.readline().split()[3].removesuffix(",").removesuffix("/ui")
        self.port = urlsplit(self.url).port or 0

    def drain(self) -> Program:
        """Begin to run jobs, until it is ended."""
        return self._begun("drain", stdout=subprocess.DEVNULL)  # a pipe that nobody reads would stop it

    def linked(self, megabits: float) -> str:
        """Return another address of the API, behind a network that is so fast."""
        command = [sys.executable, str(ROOT / "benchmarks/link.py"), str(self.port), str(megabits)]
        link = Program(command, self._environment, self._folder / "link.log")
        atexit.register(link.end)
        return f"http://127.0.0.1:{link.process.stdout.readline().strip()}"

    def _said(self, *arguments: str) -> str:
        command = [*QULEDGER, *arguments]
        done = subprocess.run(  # noqa: S603 - our own words
            command, env=self._environment, cwd=self._folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        return done.stdout.strip()

    def _begun(self, *arguments: str, **more: int) -> Program:
        log = self._folder / f"{arguments[0]}.log"
        program = Program([*QULEDGER, *arguments], self._environment, log, cwd=self._folder, **more)
        atexit.register(program.end)  # whatever fails from here on
        return program
