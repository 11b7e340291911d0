"""The log files in the home, and the errors in them."""

import re
import time
from datetime import datetime
from pathlib import Path

SERVER, WORKER, DRAIN, API, CLI = "prefect-server.log", "worker.log", "drain.log", "api.log", "cli.log"
LOG_FILES = (SERVER, WORKER, DRAIN, API, CLI)

MAX_READ = 2_000_000
"""So much of the end of a log is looked through for errors."""

_RECORD = re.compile(rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} (?:ERROR|CRITICAL) (.*)$", re.MULTILINE)


class LogErrors:
    """Finds errors in logs that were written since it was made, or since a moment.

    Args:
        paths: of the logs; one that is not there has none.
        since: None for what comes from now on.
    """

    def __init__(self, *paths: Path, since: datetime | None = None) -> None:
        self._since = since
        self._read = {path: _size(path) if since is None else max(0, _size(path) - MAX_READ) for path in paths}
        self._counts = dict.fromkeys(paths, 0)
        self._last = dict.fromkeys(paths, "")
        self._pending: set[Path] = set()
        self._reported_at: dict[Path, float] = {}

    def unreported(self, pause: float = 0.0) -> list[str]:
        """Return a sentence for each log with errors that were not reported yet.

        Args:
            pause: a log about which a sentence was returned is not mentioned again for so many seconds.
        """
        self._pending |= {path for path in self._read if self._has_new(path)}
        now = time.monotonic()
        due = [
            path
            for path in self._read
            if path in self._pending and now >= self._reported_at.get(path, now - pause) + pause
        ]
        self._reported_at |= dict.fromkeys(due, now)
        self._pending -= set(due)
        return [self._sentence(path) for path in due]

    def all(self) -> list[str]:
        """Return a sentence for each log that has errors."""
        self.unreported()
        return [self._sentence(path) for path, count in self._counts.items() if count]

    def counts(self) -> dict[str, int]:
        """Return how many errors there are in each log that has some, by the name of its file."""
        self.unreported()
        return {path.name: count for path, count in self._counts.items() if count}

    def _sentence(self, path: Path) -> str:
        count = self._counts[path]
        return f"{count} {'error' if count == 1 else 'errors'} in {path}, the last one: {self._last[path]}"

    def _has_new(self, path: Path) -> bool:
        if _size(path) < self._read[path]:
            self._read[path] = 0  # it was put aside
        try:
            with path.open("rb") as log:
                log.seek(self._read[path])
                text = log.read(MAX_READ)
        except OSError:
            return False
        # A line that is being written is read the next time.
        text = text[: text.rfind(b"\n") + 1]
        self._read[path] += len(text)
        found = [match for match in _RECORD.finditer(text) if self._counts_in(match[1])]
        if not found:
            return False
        self._counts[path] += len(found)
        self._last[path] = f"{found[-1][1].decode()} {found[-1][2].decode(errors='replace')[:160]}"
        return True

    def _counts_in(self, at: bytes) -> bool:
        return self._since is None or datetime.fromisoformat(f"{at.decode()}+00:00") >= self._since


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
