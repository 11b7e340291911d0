"""The commands of the program, called in this process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployments.cli.app import _run
from models.settings import Settings
from storage.documents.postgres_locks import PostgresJobLocks
from storage.log.event_log import EventLog
from tasks.services import Services, use


class Program:
    """The program with a home of its own; each call begins as a new process does."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    @contextmanager
    def services(self) -> Iterator[Services]:
        """Lend services over the same home."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("QULEDGER_HOME", str(self.home))
            services = Services(Settings.read())
            try:
                yield services
            finally:
                if isinstance(log := vars(services).get("log"), EventLog):  # else a call would make one that made none
                    log.engine.dispose()
                if isinstance(locks := vars(services).get("locks"), PostgresJobLocks):
                    locks.close()

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Call it; return its exit code, and what it printed for people and as errors."""
        self._capsys.readouterr()
        with self.services() as services:
            use(services)
            try:
                code = _run(list(arguments))
            finally:
                use(None)
        out, err = self._capsys.readouterr()
        return code, out, err

    def said(self, *arguments: str) -> str:
        """Return what a call that works printed."""
        code, out, err = self(*arguments)
        assert (code, err) == (0, "")
        return out

    def json(self, *arguments: str) -> Any:
        """Return the one value that a call prints with `--json`."""
        return json.loads(self.said(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        """Return what a call said that its caller can put right."""
        code, out, err = self(*arguments)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        return err
