"""Results as callers get them: one large result at a time, which takes many times its bytes of memory as objects.

A large one is parsed in a process of its own (`result_process.py`), for whoever parses holds all threads. What was made
of it once is kept (`kept_results.py`). Its bytes are read and hashed each time all the same, so that nobody gets what
is not there any more, or is not what was accepted.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from deployments.api.kept_results import KeptResults
from deployments.api.result_files import FORMS, SHORTER, Form
from deployments.api.result_process import Made, made_apart
from models.errors import InputError
from models.job import Job
from tasks.jobs.results import accepted_of, result_bytes, result_document
from tasks.services import Services

Answer = TypeVar("Answer")

LARGE_BYTES = 2_000_000

KEPT_BYTES = 64_000
"""Of results that are not larger nothing is kept: to check one takes as long as the rest of the call."""

MAX_SHORTER_BYTES = 2**30
"""Of larger ones nobody gets a short file that he did not ask for: who reads it needs memory for what it stands for."""

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
        self._kept = KeptResults()

    def of(self, job: Job, make: Callable[[dict[str, Any]], Answer]) -> Answer:
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
            if len(content) <= KEPT_BYTES:
                return memoryview(form.made_of(accepted.document(content)))
            accepted.check_hash(content)
            made = self._kept.get(accepted, form)
            if made is None:
                made = (made_apart if len(content) > LARGE_BYTES else Made.of)(content, accepted, form)
                self._kept.put(accepted, form, made)
            return made.taken_from(content)

    def shorter_file(self, job: Job) -> memoryview:
        """Return the result of a job as an .npz file where it is large and that is much shorter, else as JSON."""
        is_large = job.uploaded is not None and KEPT_BYTES < job.uploaded.bytes <= MAX_SHORTER_BYTES
        return self.file(job, SHORTER if is_large else FORMS["json"])

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
