"""Sweeps are handed in: every row is checked first, and only those begin that are not there yet."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.errors import IdempotencyConflict, InputError, JobRejected, SandboxError
from models.job import Job
from models.submissions import Submission
from models.sweeps import (
    BadSweep,
    Row,
    RowFault,
    Template,
    document_bytes,
    key_of_rows,
    missing,
    of_experiments,
    row_keys,
)
from storage.log.job_lists import Query, page
from tasks.jobs import submission
from tasks.jobs.checking import Checker, Verdict
from tasks.services import Services

CHUNK = 50
"""So many jobs begin in one transaction: a sweep that is broken off keeps what has begun."""


@dataclass(frozen=True)
class Sweep:
    """A sweep that is to be handed in.

    Attributes:
        job: what is said of each of its jobs; its document is not looked at.
        carried: columns that are kept with the jobs and have no place in the template.
        as_experiments: one job with an experiment for each row.
    """

    template: Template
    columns: Sequence[str]
    rows: Sequence[Row]
    job: Submission
    carried: Sequence[str] = ()
    as_experiments: bool = False

    def expect(self) -> None:
        """Make sure that template and columns fit together.

        Raises:
            BadSweep: names all that does not.
        """
        wrong = self.template.unknown(self.columns, self.carried)
        if self.as_experiments and len(self.template.experiments) != 1:
            wrong.append(f"the template has {len(self.template.experiments)} experiments; it needs one to repeat")
        if wrong:
            raise BadSweep("; ".join(wrong))


@dataclass
class RowAnswer:
    """What became of a row.

    Attributes:
        job: None where the row has faults, or was not needed.
        is_new: whether the job began now.
        why_unchecked: why it could not be checked here; empty if it was.
    """

    row: Row
    faults: Sequence[RowFault] = ()
    job: Job | None = None
    is_new: bool = False
    why_unchecked: str = ""


def hand_in(services: Services, sweep: Sweep, *, check: bool = True) -> list[RowAnswer]:
    """Hand in a sweep: all rows are checked, those without a fault begin, in their order, each once.

    Returns:
        An answer for each row, in their order.

    Raises:
        BadSweep: template and columns do not fit together; nothing was handed in.
        InputError: none of its jobs can be handed in like this; nothing was.
        JobRejected: of one job for all rows: together they have a fault.
        LogUnavailable: what had begun stays; the same call goes on with the rest.
    """
    sweep.expect()
    answers = [RowAnswer(row, row.faults) for row in sweep.rows]
    filled = [(answer, sweep.template.filled(answer.row.cells)) for answer in answers if not answer.faults]
    if filled and (fault := submission.why_refused(services, _with(sweep, filled[0][1]))) is not None:
        raise fault
    if check:
        _check(services, sweep, filled)
    good = [(answer, document) for answer, document in filled if not answer.faults]
    if sweep.as_experiments:
        _begin_one(services, sweep, good, check=check)
    else:
        _begin_each(services, sweep, good)
    return answers


def _check(services: Services, sweep: Sweep, filled: Sequence[tuple[RowAnswer, dict[str, Any]]]) -> None:
    documents = [document_bytes(of_experiments([each]) if sweep.as_experiments else each) for _, each in filled]
    verdicts = asyncio.run(_verdicts(services, sweep.job.backend, documents))
    for (answer, document), verdict in zip(filled, verdicts, strict=True):
        if isinstance(verdict, JobRejected):
            answer.faults = sweep.template.row_faults(_renamed(verdict, document, sweep), sweep.columns)
        elif isinstance(verdict, SandboxError):
            answer.why_unchecked = str(verdict)


def _renamed(rejected: JobRejected, document: dict[str, Any], sweep: Sweep) -> JobRejected:
    """Return faults in terms of the template, whose one experiment may have another name."""
    if not sweep.as_experiments:
        return rejected
    name = next(iter(document))
    faults = [each.model_copy(update={"experiment": each.experiment and name}) for each in rejected.faults]
    return JobRejected(*faults, more=rejected.more)


async def _verdicts(services: Services, backend: str, documents: Sequence[bytes]) -> list[Verdict]:
    async with Checker(services) as checker:
        return await checker.check_all([(backend, document) for document in documents])


def _begin_each(services: Services, sweep: Sweep, good: Sequence[tuple[RowAnswer, dict[str, Any]]]) -> None:
    keys = row_keys(sweep.job.group, [answer.row.cells for answer, _ in good])
    for start in range(0, len(good), CHUNK):
        part = good[start : start + CHUNK]
        wanted = [
            replace(_with(sweep, document), key=key, parameters=(answer.row.cells,))
            for (answer, document), key in zip(part, keys[start : start + CHUNK], strict=True)
        ]
        for (answer, _), begun in zip(part, submission.submit_all(services, wanted), strict=True):
            if isinstance(begun, InputError):
                answer.faults = [RowFault("", _why(begun))]
            else:
                answer.job, answer.is_new = begun.job, begun.is_new


def _begin_one(
    services: Services, sweep: Sweep, good: Sequence[tuple[RowAnswer, dict[str, Any]]], *, check: bool
) -> None:
    """Begin one job for all rows that no job of the group has yet; which jobs have the others is not said."""
    of_row = {answer.row.number: (answer, document) for answer, document in good}
    lacking = missing([answer.row for answer, _ in good], _present(services, sweep))
    if not lacking:
        return
    chosen = [of_row[row.number] for row in lacking]
    document = document_bytes(of_experiments([each for _, each in chosen]))
    rows = [row.cells for row in lacking]
    job = replace(sweep.job, document=document, key=key_of_rows(sweep.job.group, rows), parameters=tuple(rows))

    def checked() -> None:
        if check:
            submission.check_document(services, job.backend, document)

    begun = submission.submit_document(services, job, checked)
    for answer, _ in chosen:
        answer.job, answer.is_new = begun, True


def _present(services: Services, sweep: Sweep) -> Iterator[dict[str, Any]]:
    """Yield the parameters of all jobs of the group that are of the same user and project."""
    query, cursor = Query(everything=True, with_hidden=True, group=sweep.job.group), ""
    while True:
        jobs, following = page(services.log.engine, query, limit=1000, cursor=cursor)
        ours = [job.job_id for job in jobs if (job.user, job.project) == (sweep.job.user, sweep.job.project)]
        for _, fact in services.log.submissions(ours):
            yield from fact.parameters
        if following is None:
            return
        cursor = following


def _with(sweep: Sweep, document: dict[str, Any]) -> Submission:
    return replace(sweep.job, document=document_bytes(document))


def _why(error: InputError) -> str:
    if isinstance(error, IdempotencyConflict):
        return "the group has a job of this row with another document: the template was another one; name another group"
    return str(error)
