"""Results as callers get them: one large result at a time, which takes many times its bytes of memory as objects.

A large one is parsed in a process of its own (`result_process.py`), for whoever parses holds all threads. What was
checked there once goes out as it is stored: its hash says that it is the same.
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from deployments.api.result_files import Form, json_file
from deployments.api.result_process import made_apart
from models.errors import InputError
from models.job import Job
from tasks.jobs.results import accepted_of, result_bytes, result_document
from tasks.services import Services

Made = TypeVar("Made")

LARGE_BYTES = 2_000_000

MAX_REMEMBERED = 1000
"""Results of which is known that they may go out as they are stored."""

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
        self._spans: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def of(self, job: Job, make: Callable[[dict[str, Any]], Made]) -> Made:
        """Return what is made of the result of a job; see `tasks.jobs.results`.

        Args:
            make: of a large result it is called while no other one is read.

        Raises:
            TooManyLarge: too many wait already.
        """
        with self.turn(job.uploaded.bytes if job.uploaded else 0):
            return make(result_document(self._services, job.job_id))

    def file(self, job: Job, form: Form) -> memoryview:
        """Return the result of a job in a form; see `tasks.jobs.results`.

        Raises:
            TooManyLarge: too many large ones are waited for already.
        """
        with self.turn(job.uploaded.bytes if job.uploaded else 0):
            content, accepted = result_bytes(self._services, job), accepted_of(self._services, job)
            if len(content) <= LARGE_BYTES:
                return memoryview(form.made_of(accepted.document(content)))
            accepted.check_hash(content)
            name = accepted.model_dump_json() if form.write is json_file else ""
            span = self._spans.get(name)
            if span is None:
                span, made = made_apart(content, accepted, form)
                if span is None:
                    return memoryview(made)
                self._remember(name, span)
            return memoryview(content)[slice(*span)]

    def _remember(self, name: str, span: tuple[int, int]) -> None:
        """Keep it, while nobody else reads a large result."""
        self._spans[name] = span
        if len(self._spans) > MAX_REMEMBERED:
            self._spans.popitem(last=False)

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
