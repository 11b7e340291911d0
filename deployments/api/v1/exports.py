"""Jobs as files: an archive that proves itself, and tables of jobs, events and results."""

import asyncio
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, BinaryIO, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deployments.api.door import AtDoor
from deployments.api.exports import Exports
from deployments.api.responses import problems
from deployments.api.v1.jobs import PARQUET, Narrowing
from models.errors import InputError
from models.identity.access import Act, Caller

router = APIRouter(prefix="/export", tags=["exports"])

ZIP = "application/zip"
PART = 1 << 18
MAX_NAMED_JOBS = 100
SAID = 20
"""So many jobs whose results were left out are named in a header."""


class WhichJobs(Narrowing):
    """Which jobs are archived: those that are named, or all of yours to which the rest applies."""

    job: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[], max_length=MAX_NAMED_JOBS, description="An id, or its beginning; one or several."
    )


class Rows(Narrowing):
    """Of which jobs a table has rows."""

    cursor: str = Field(default="", max_length=400, description="From the header X-Next-Cursor of the answer before.")
    limit: int = Field(default=1000, ge=1, le=1000, description="Jobs; large ones may be fewer.")


class Download(StreamingResponse):
    """A file that is sent; whatever becomes of that, it is closed and its user may have another."""

    def __init__(  # noqa: PLR0913 - what is sent, and what of it ends with that
        self,
        file: BinaryIO,
        exports: Exports,
        caller: Caller,
        media_type: str,
        name: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._file, self._exports, self._caller = file, exports, caller
        self._is_over = False
        about = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(_size(file))}
        super().__init__(self._parts(), media_type=media_type, headers={**headers, **about})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()
            await asyncio.to_thread(self._file.close)

    def _parts(self) -> Iterator[bytes]:
        part = self._file.read(PART)
        while part:
            following = self._file.read(PART)
            if not following:
                self._end()  # before the last part: whoever has it may ask for the next page at once
            yield part
            part = following

    def _end(self) -> None:
        """Let the user have another export, once."""
        if not self._is_over:
            self._is_over = True
            self._exports.end(self._caller)


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


@router.get(
    "/archive",
    response_class=Response,
    responses=problems(
        403, 404, 409, 422, also={200: {"content": {ZIP: {}}, "description": "What `quledger verify-archive` takes."}}
    ),
)
async def get_archive(door: AtDoor, which: Annotated[WhichJobs, Query()]) -> Response:
    """Return one file with all that is on record of your jobs: documents, results, histories, calibrations, keys.

    It holds events whole, with the names of workers, since they could not be checked otherwise; so it is for the owner
    of a job and for operators. Programs are compiled at the shell alone (`quledger export`).
    """
    query = which.query()
    if which.job and query != Narrowing().query():
        raise InputError("name jobs, or say to which all of this applies, not both")

    caller, calls = await door.caller(), door.calls

    def archive() -> BinaryIO:
        named = [calls.job(caller, job_id, Act.ARCHIVE) for job_id in which.job]
        return calls.exports.archive(named or calls.exports.jobs(caller, query))

    file = await calls.exports.made(caller, archive)
    return Download(file, calls.exports, caller, ZIP, "quledger.zip")


@router.get(
    "/{what}",
    response_class=Response,
    responses=problems(
        422,
        also={
            200: {
                "content": {PARQUET: {}},
                "description": "The table; the header X-Next-Cursor leads to more jobs, and X-Left-Out names those"
                " whose results are missing or not the accepted ones.",
            }
        },
    ),
)
async def get_table(
    door: AtDoor,
    what: Annotated[Literal["jobs", "events", "results"], Path(description="Of what it has rows.")],
    which: Annotated[Rows, Query()],
) -> Response:
    """Return jobs, their events or their results as a Parquet file, of the jobs that you may see, newest first."""
    caller, exports = await door.caller(), door.calls.exports
    file, following, left_out = await exports.made(
        caller, lambda: exports.table(caller, what, which.query(), limit=which.limit, cursor=which.cursor)
    )
    headers = {"X-Next-Cursor": following} if following else {}
    if left_out:
        more = [f"and {len(left_out) - SAID} more"] if len(left_out) > SAID else []
        headers["X-Left-Out"] = ", ".join([*left_out[:SAID], *more])
    return Download(file, exports, caller, PARQUET, f"{what}.parquet", headers)
