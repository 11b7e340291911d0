"""Results as callers get them: one large result at a time, which takes many times its bytes of memory as objects."""

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

from models.errors import InputError
from models.job import Job
from tasks.jobs.results import result_document
from tasks.services import Services

Made = TypeVar("Made")
Format = Literal["json", "csv", "parquet"]

LARGE_BYTES = 2_000_000

MAX_WAITING = 4
"""So many calls wait for their turn with a large result; each holds one of the threads that answer everybody."""


class TooManyLarge(InputError):
    """Too many large results are read at once."""

    def __init__(self) -> None:
        super().__init__("too many large results are asked for at once; ask again in a while")


class Results:
    """The results of one laboratory; what is here blocks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turn, self._room = threading.Lock(), threading.Semaphore(MAX_WAITING)

    def of(self, job: Job, make: Callable[[dict[str, Any]], Made]) -> Made:
        """Return what is made of the result of a job; see `tasks.jobs.results`.

        Args:
            make: of a large result it is called while no other one is read.

        Raises:
            TooManyLarge: too many wait already.
        """
        with self.turn(job.uploaded.bytes if job.uploaded else 0):
            return make(result_document(self._services, job.job_id))

    def turn(self, size: int) -> contextlib.AbstractContextManager[None]:
        """Let the block read so many bytes of results: of large ones while nobody else does.

        Raises:
            TooManyLarge: too many wait already.
        """
        return self._in_turn() if size > LARGE_BYTES else contextlib.nullcontext()

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise TooManyLarge
        try:
            with self._turn:
                yield
        finally:
            self._room.release()


def written(document: dict[str, Any], kind: Format) -> bytes:
    """Return a result as a file."""
    if kind == "json":
        return b"{" + b",".join(_member(name, value) for name, value in document.items()) + b"}"
    # pandas takes a second to import.
    from deployments.api.tables import frame_of  # noqa: PLC0415
    from deployments.csv_text import csv_of  # noqa: PLC0415

    frame = frame_of(document)
    if kind == "csv":
        return csv_of(frame).encode("utf-8")
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _member(name: str, value: Any) -> bytes:
    """Return a member of the document as JSON; of a list item by item, for all other threads wait for each of them."""
    if not isinstance(value, list):
        return f"{_json(name)}:{_json(value)}".encode()
    return f"{_json(name)}:[".encode() + b",".join(_json(each).encode() for each in value) + b"]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
