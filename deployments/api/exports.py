"""Jobs as files: an archive that proves itself, and tables; made in a file without a name, which ends with its answer.

The calls block; a turn is waited for in the event loop.
"""

import asyncio
import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from deployments.api.lists import affordable, own, seen_by, thing_of
from models.errors import InputError, StorageUnavailable
from models.identity.access import Act, Caller, why_not
from models.identity.errors import NotPermitted
from models.job import Job
from storage.archives.container import writing_into
from storage.log.job_lists import Query, cursor_behind, page
from tasks.jobs.archiving import export_into
from tasks.services import Services

if TYPE_CHECKING:
    from deployments.parquet import What

AT_ONCE = 2
"""So many exports are made at one time; others wait for their turn."""

MAX_JOBS = 1000
MAX_DOCUMENTS, MAX_RESULTS = 50_000_000, 200_000_000
"""Bytes of the documents and of the results of an archive; more is the shell's."""

BATCH = 1000
"""Rows that are written at a time."""

Made = TypeVar("Made")


class TooManyExports(InputError):
    """A user has one export at a time, until it has come to him."""

    def __init__(self) -> None:
        super().__init__("you have an export under way, and nobody may have two at once; wait for its end")


class Table(NamedTuple):
    """A table in a file, the cursor of the jobs that follow, and the jobs whose results could not be read."""

    file: BinaryIO
    next_cursor: str | None
    left_out: list[str]


class Exports:
    """The exports of one server. They belong to one event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._users: set[str] = set()

    async def made(self, caller: Caller, make: Callable[[], Made]) -> Made:
        """Return what is made in a thread when its turn has come; the caller has begun an export until `end` then.

        Raises:
            TooManyExports: he has one under way.
        """
        if caller.user in self._users:
            raise TooManyExports
        self._users.add(caller.user)
        try:
            async with self._turns:
                return await asyncio.to_thread(make)
        except BaseException:
            self.end(caller)
            raise

    def end(self, caller: Caller) -> None:
        """Let the caller have another export."""
        self._users.discard(caller.user)

    def jobs(self, caller: Caller, query: Query) -> list[Job]:
        """Return the jobs of a list of which the caller may have archives.

        Raises:
            InputError: there are none, or more than `MAX_JOBS`.
        """
        if why := why_not(caller, Act.ARCHIVE, own(caller)):
            raise NotPermitted(why)
        # Those of projects are others', but for his own.
        query = dataclasses.replace(seen_by(caller, query), names=(), projects=())
        found = page(self._services.log.engine, query, limit=MAX_JOBS)
        if found.next_cursor is not None:
            raise InputError(f"these are more than {MAX_JOBS} jobs; say which more narrowly, or write several archives")
        jobs = [job for job in found.jobs if not why_not(caller, Act.ARCHIVE, thing_of(job))]
        if not jobs:
            raise InputError("there are no such jobs of yours, and an archive without any proves nothing")
        return jobs

    def archive(self, jobs: Sequence[Job]) -> BinaryIO:
        """Return an archive of jobs that the caller may have, without programs: nothing is compiled for it.

        Raises:
            InputError: they are too many or too large.
            ResultMissing, NotAuthentic: a result is not there, or not the one that was accepted.
            KeyUnusable: a backend of the jobs signs, and there is no key that can be used.
        """
        documents = sum(job.document_bytes for job in jobs)
        results = sum(job.uploaded.bytes for job in jobs if job.uploaded)
        if len(jobs) > MAX_JOBS or documents > MAX_DOCUMENTS or results > MAX_RESULTS:
            raise InputError(
                f"they are too many or too large for an archive over HTTP: {MAX_JOBS} jobs, {MAX_DOCUMENTS // 10**6} MB"
                f" of documents, {MAX_RESULTS // 10**6} MB of results; write several, or use `quledger export`"
            )
        with self._file() as file:
            with writing_into(file, 4 * MAX_DOCUMENTS + MAX_RESULTS) as writer:
                export_into(self._services, [job.job_id for job in jobs], writer, with_programs=False)
            return file

    def table(self, caller: Caller, what: "What", query: Query, *, limit: int, cursor: str) -> Table:
        """Return a table of some of the jobs that the caller may see.

        Args:
            what: `jobs`, `events` or `results`.

        Raises:
            BadCursor: the cursor is none of this list.
        """
        from deployments import parquet  # noqa: PLC0415 - pyarrow takes a second to import
        from deployments.export_rows import rows_of  # noqa: PLC0415 - as above

        if why := why_not(caller, Act.EXPORT, own(caller)):
            raise NotPermitted(why)
        query = seen_by(caller, query)
        found = page(self._services.log.engine, query, limit=limit, cursor=cursor)
        jobs = found.jobs if what == "jobs" else affordable(found.jobs, of_documents=what == "events")
        left_out: dict[str, str] = {}
        with self._file() as file:
            rows = rows_of(self._services, what, jobs, left_out, whole=caller.role == "operator")
            with parquet.writer_into(file, what) as writer:
                parquet.write_all(writer, rows, BATCH)
            following = found.next_cursor if len(jobs) == len(found.jobs) else cursor_behind(query, jobs[-1])
            return Table(file, following, [*left_out])

    @contextlib.contextmanager
    def _file(self) -> Iterator[BinaryIO]:
        """Yield a new file in the home, without a name; if the block raises, it is gone.

        Raises:
            StorageUnavailable: there is no room for it.
        """
        file: BinaryIO | None = None
        try:
            file = tempfile.TemporaryFile(dir=self._services.settings.folder)  # noqa: SIM115 - it outlives the block
            yield file
            file.seek(0)
        except BaseException as error:
            if file is not None:
                file.close()
            if isinstance(error, OSError):
                raise StorageUnavailable(f"the home: {error.strerror or 'unknown reason'}") from None
            raise
