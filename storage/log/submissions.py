"""Jobs that begin: all that are handed in together in one transaction, and each idempotency key is one job.

The id of a job follows from its key, so that of several who use it at once one begins the job. Front ends choose the
ids of their jobs themselves: where one of theirs has an id that a key leads to, the next id of that key is tried.

What is written is made before the transaction begins: nobody waits for the log while it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from models import clock
from models.errors import AppendConflict, IdempotencyConflict, InputError, JobHeld, LogBroken
from models.events import GENESIS, Event, seal
from models.facts import Fact, Submitted, fact_from_json
from models.job import Job, begin
from models.names import job_id_for, job_id_of_key, new_job_id
from models.submissions import Begun, owner_of
from models.usage import Bounds, counted_for
from storage import failpoints
from storage.log import holds, usage
from storage.log.database import LogDisturbed, writing
from storage.log.dialects import Turn, dialect_of
from storage.log.rows import add_jobs
from storage.log.tables import EventRow, JobRow

_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_BEGUN = select(_JOB.c.job_id, _JOB.c.fold, _EVENT.c.data).join(
    _EVENT, (_EVENT.c.job_id == _JOB.c.job_id) & (_EVENT.c.seq == 0)
)

NO_LIMITS: Mapping[str, Bounds] = {}

MAX_TAKEN = 100
"""So many jobs of others may bear the ids to which one key leads."""

TRIES = 5
"""So often others may begin one of the jobs, in the very moment between a look and the write."""


class Entry(NamedTuple):
    """A job that is to begin.

    Attributes:
        job_id: the id that it has to get; None where the key of the fact leads to one, or any new one will do.
    """

    fact: Submitted
    job_id: str | None = None
    flow_run_id: str | None = None


Answer = Begun | InputError
"""What became of an entry: its job, or why there is none."""


def begin_all(  # noqa: PLR0913 - what a submission is told with
    engine: Engine,
    entries: Sequence[Entry],
    actor: str,
    now: Callable[[], datetime] = clock.now,
    *,
    limits: Mapping[str, Bounds] = NO_LIMITS,
    refuse_held: bool = True,
) -> list[Answer]:
    """Begin jobs, each once: one that has begun with the same document before is the answer as it stands.

    Args:
        limits: `user/NAME` or `project/NAME` -> what their jobs may use together.
        refuse_held: nothing is begun of which the mirror knows more than the log.

    Returns:
        An answer for each entry: `IdempotencyConflict` where its key or id is another document's, `JobHeld` where
        the mirror knows its job and the log does not, `LimitReached` where it would exceed a limit.

    Raises:
        LogUnavailable: nothing was begun.
    """
    if not entries:
        return []
    times = clock.ascending(now)
    drafts = [_Draft(entry, next(times), actor) for entry in entries]
    for turn in range(TRIES):
        try:
            with writing(engine) as connection:
                answers = _begin(connection, drafts, limits, refuse_held=refuse_held)
                failpoints.point("submission.written")
            failpoints.point("submission.committed")
        except (AppendConflict, LogDisturbed):
            # Somebody else has begun one of them in the same moment, and is through with it now.
            if turn == TRIES - 1:
                raise
        else:
            return answers
    raise AssertionError  # the last turn returns or raises


def _begin(
    connection: Connection, drafts: Sequence["_Draft"], limits: Mapping[str, Bounds], *, refuse_held: bool
) -> list[Answer]:
    facts = [draft.entry.fact for draft in drafts]
    whose = {who for fact in facts for who in counted_for(owner_of(fact), fact.project)}
    if len(drafts) > 1 or whose:
        # They enter the queues of several users, as a claim looks at them; and hold what is counted before their jobs.
        dialect_of(connection).in_turn(connection, Turn.CLAIM)
    allowance = usage.Allowance(connection, limits, drafts[-1].recorded_at, whose)
    known = _Known(connection, refuse_held=refuse_held)
    known.look(job_id for draft in drafts for job_id in draft.first_ids())
    answers: list[Answer] = []
    new: list[tuple[Job, Event]] = []
    counted: list[tuple[str, str, datetime, Fact]] = []
    for draft in drafts:
        answer = known.answer(draft)
        if isinstance(answer, str):
            fact = draft.entry.fact
            if (refusal := allowance.take(fact)) is not None:
                answers.append(refusal)
                continue
            new.append(made := draft.made(answer))
            known.add(made[0], fact)
            counted.append((owner_of(fact), fact.project, draft.recorded_at, fact))
            answer = Begun(made[0], is_new=True)
        answers.append(answer)
    # In the order of their keys and ids, as everybody who holds several of them: no two wait for each other.
    usage.add(connection, usage.sum_up(counted))
    add_jobs(connection, sorted(new, key=lambda each: each[0].job_id))
    return answers


class _Draft:
    """A job as it begins if nobody has the id to which its key leads first."""

    def __init__(self, entry: Entry, recorded_at: datetime, actor: str) -> None:
        self.entry, self.recorded_at, self._actor = entry, recorded_at, actor
        self.is_of_key = entry.job_id is None and entry.fact.idempotency_key is not None
        self.is_of_new_id = entry.job_id is None and not self.is_of_key
        self._first = next(self.ids()) if self.is_of_key else entry.job_id or new_job_id()
        self._made = self._seal(self._first)

    def first_ids(self) -> Iterator[str]:
        """Yield the ids whose jobs have to be looked at: none where the id is new."""
        if self.is_of_key and (old := self.old_id) is not None:
            yield old
        if not self.is_of_new_id:
            yield self._first

    def ids(self) -> Iterator[str]:
        """Yield the ids that the job may get, in the order in which they are tried."""
        fact, key = self.entry.fact, self.entry.fact.idempotency_key
        if self.entry.job_id is not None or key is None:
            yield self._first
            return
        for nth in range(MAX_TAKEN):
            is_proven = owner_of(fact) != ""
            yield job_id_of_key(fact.backend, fact.user, fact.project, key, nth, is_proven=is_proven)

    @property
    def old_id(self) -> str | None:
        """The id to which the key led until release 0.1.0, when keys were everybody's and nobody proved who he was."""
        fact = self.entry.fact
        return None if owner_of(fact) else job_id_for(fact.backend, fact.idempotency_key or "")

    def made(self, job_id: str) -> tuple[Job, Event]:
        """Return the job under this id, and its first event."""
        return self._made if job_id == self._first else self._seal(job_id)

    def _seal(self, job_id: str) -> tuple[Job, Event]:
        event = seal(
            self.entry.fact,
            job_id=job_id,
            seq=0,
            attempt=0,
            recorded_at=self.recorded_at,
            actor=self._actor,
            flow_run_id=self.entry.flow_run_id,
            prev_hash=GENESIS,
        )
        return begin(event), event


class _Known:
    """The jobs that there are under the ids that were asked for, within a transaction."""

    def __init__(self, connection: Connection, *, refuse_held: bool) -> None:
        self._connection, self._refuse_held = connection, refuse_held
        self._jobs: dict[str, tuple[Job, Submitted] | None] = {}
        self._held: dict[str, str] = {}

    def look(self, job_ids: Iterable[str]) -> None:
        """Look at the jobs of these ids."""
        wanted = list(dict.fromkeys(job_ids))
        self._jobs |= dict.fromkeys(wanted)
        for start in range(0, len(wanted), holds.BATCH):
            part = wanted[start : start + holds.BATCH]
            for job_id, fold, data in self._connection.execute(_BEGUN.where(_JOB.c.job_id.in_(part))):
                self._jobs[job_id] = _read(job_id, fold, data)
        if self._refuse_held:
            self._held |= holds.reasons(self._connection, wanted)

    def add(self, job: Job, fact: Submitted) -> None:
        """Note a job that begins."""
        self._jobs[job.job_id] = job, fact

    def answer(self, draft: _Draft) -> Answer | str:
        """Return the job that this one is, or why it cannot be; the id of one that is to begin."""
        fact = draft.entry.fact
        if draft.is_of_key and (old := draft.old_id) is not None and self._is_of(old, fact):
            return self._refusal(old) or self._same(old, fact)
        for job_id in draft.ids():
            if job_id not in self._jobs and not draft.is_of_new_id:
                self.look([job_id])
            if (refusal := self._refusal(job_id)) is not None:
                return refusal
            if self._jobs.get(job_id) is None:
                return job_id
            if not draft.is_of_key or self._is_of(job_id, fact):
                return self._same(job_id, fact)
        msg = "the idempotency key cannot be used, since other jobs bear the ids to which it leads; use another key"
        return IdempotencyConflict(msg)

    def _refusal(self, job_id: str) -> JobHeld | None:
        why = self._held.get(job_id)
        return None if why is None else JobHeld(job_id, why)

    def _same(self, job_id: str, fact: Submitted) -> Answer:
        found = self._jobs[job_id]
        if found is not None and _is_same(found[0], fact):
            return Begun(found[0], is_new=False)
        return IdempotencyConflict(f"job {job_id} exists with another document; use another idempotency key")

    def _is_of(self, job_id: str, fact: Submitted) -> bool:
        """Say whether the job of this id was begun with the same key by the same user."""
        found = self._jobs.get(job_id)
        return found is not None and _whose(found[1]) == _whose(fact)


def _whose(fact: Submitted) -> tuple[str | None, ...]:
    return fact.backend, owner_of(fact), fact.user, fact.project, fact.idempotency_key


def _is_same(job: Job, fact: Submitted) -> bool:
    if job.document_sha256 != fact.document_sha256 or job.backend != fact.backend:
        return False
    # Who only bears the name of a user gets no job that is proven to be his, whatever id it asks for.
    return owner_of(job) == owner_of(fact) and (owner_of(fact) == "" or job.project == fact.project)


def _read(job_id: str, fold: str, data: str) -> tuple[Job, Submitted]:
    try:
        job, fact = Job.model_validate_json(fold), fact_from_json(data)
    except (ValueError, AttributeError, RecursionError):
        fact = None
    else:
        if isinstance(fact, Submitted):
            return job, fact
    msg = f"the view or the first event of job {job_id} is damaged; run `quledger verify`"
    raise LogBroken(msg)
