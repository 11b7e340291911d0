"""A machine that does to the event log whatever workers, users, reconcile and crashes may do, in any order.

Beside the log it keeps a small model of its own (`Expected`) and shares no rule with `models/job.py`: what the log
holds is compared with the model and judged event by event (`judge`) after every step.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Engine, event, text

from models.errors import AppendConflict, Fault, IdempotencyConflict, NotAllowed, StaleAttempt
from models.events import GENESIS, Event
from models.facts import (
    Cancelled,
    CancelRequested,
    Claimed,
    Compiled,
    Completed,
    Executed,
    Fact,
    LeaseExpired,
    Retried,
    Submitted,
    Uploaded,
    Validated,
    Withdrawn,
)
from models.job import Job, State, apply, fold
from models.retry import RetryPolicy, after_attempt, failure, given_back
from storage.documents.cursor import MirrorCursor, Position
from storage.documents.job_documents import history_document
from storage.log.database import open_database, reading
from storage.log.event_log import EventLog
from storage.log.rows import job_row
from tests.contract.log_fixture import events_in

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
RETRIES = RetryPolicy(max_attempts=3, first_pause=2.0)
BACKENDS = ("rydberg", "fermions")

RESULTS = frozenset({"executed", "uploaded", "completed"})
BY_HOLDER = frozenset({"validated", "compiled"}) | RESULTS
WHILE_HELD = BY_HOLDER | {"withdrawn", "failed", "lease_expired", "retried"}
RUNNING = frozenset({"CLAIMED", "VALIDATED", "COMPILED", "EXECUTED", "UPLOADED"})
ENDS = {"completed": "DONE", "failed": "ERROR", "cancelled": "CANCELLED", "withdrawn": "WITHDRAWN"}
LEADS_TO = {"validated": "VALIDATED", "compiled": "COMPILED", "executed": "EXECUTED", "uploaded": "UPLOADED"} | ENDS

_PICK = st.integers(0, 11)
"""Chooses among the things that are there, whose number changes with every step."""


_WORKER = st.integers(0, 2)


class Violation(AssertionError):
    """The log did what it must never do."""


class ZombieWrite(Violation):
    """An attempt that was over changed the job."""


class ZombieResult(ZombieWrite):
    """The result of an attempt that was over was accepted."""


class Impostor(ZombieWrite):
    """A second worker of an attempt changed the job."""


class StaleDecision(Violation):
    """A fact was appended by somebody who did not know the newest event."""


class WrongRefusal(Violation):
    """The holder of the current attempt was kept from writing."""


class Forgotten(Violation):
    """The log and the model tell different stories of a job."""


@dataclass
class Expected:
    """What a job must be.

    Attributes:
        shown: the job as the front end was told at its submission.
        story: kind and attempt of every event.
        lease: until when the holder of the attempt may be silent.
        mirrored: the position of the mirror's cursor.
    """

    shown: Job
    sha256: str
    user: str
    priority: int
    backend: str
    received_at: datetime
    story: list[tuple[str, int]] = field(default_factory=lambda: [("submitted", 0)])
    state: str = "QUEUED"
    attempt: int = 0
    worker: str | None = None
    lease: datetime = START
    failures: int = 0
    not_before: datetime = START
    executed: str | None = None
    uploaded: str | None = None
    cancel_requested: bool = False
    mirrored: int = -1

    @property
    def running(self) -> bool:
        """Whether a worker holds it."""
        return self.state in RUNNING

    @property
    def seq(self) -> int:
        """Of the last event."""
        return len(self.story) - 1

    def over(self, attempt: int, fact: Fact) -> bool:
        """Say whether an attempt may not write this any more."""
        if self.state in ENDS.values() or attempt != self.attempt:
            return True
        # Nobody holds a job that waits, so whoever names its attempt may cancel it.
        return not self.running and not isinstance(fact, Cancelled)

    def tell(self, fact: Fact, attempt: int) -> None:
        """Take in a fact that the log took in."""
        self.story.append((fact.kind, attempt))
        self.state = LEADS_TO.get(fact.kind, self.state)
        match fact:
            case Claimed():
                self.attempt, self.worker, self.lease = attempt, fact.worker, fact.lease_until
                self.state = "CLAIMED" if self.executed is None else "EXECUTED"
            case Executed():
                self.executed = fact.result_sha256
            case Uploaded():
                self.uploaded = fact.sha256
            case CancelRequested():
                self.cancel_requested = True
            case Retried():
                self.state, self.not_before = "QUEUED", fact.not_before
                self.failures += fact.counted
                if fact.run_again:
                    self.executed = None
        if not self.running:
            self.worker = None

    def refuse(self) -> None:
        """Take in that a late write was refused."""
        self.story.append(("refused", self.attempt))


@dataclass
class Worker:
    """A worker process: what it holds, by job and attempt, each as the job was when it last heard of it."""

    name: str
    holds: dict[tuple[str, int], Job] = field(default_factory=dict)
    paused: bool = False

    @property
    def token(self) -> str:
        """What it shows with every write; a worker that was started again has another one."""
        return f"token of {self.name} {id(self)}"


_DEEDS: list[st.SearchStrategy[tuple[str, dict[str, Any]]]] = []
_Method = TypeVar("_Method", bound=Callable[..., None])


def deed(weight: int = 1, /, **arguments: st.SearchStrategy[Any]) -> Callable[[_Method], _Method]:
    """Mark what the machine may do in a step; a deed of weight 2 is done twice as often."""

    def mark(method: _Method) -> _Method:
        # Made anew each time: `one_of` takes an object that comes twice for one.
        _DEEDS.extend(st.tuples(st.just(method.__name__), st.fixed_dictionaries(arguments)) for _ in range(weight))
        return method

    return mark


def judge(job_id: str, events: Sequence[Event]) -> Iterator[Violation]:  # noqa: C901, PLR0912 - one case per rule
    """Yield what is wrong with a history, read by itself."""
    previous, attempt, holder, final, executed, uploads = GENESIS, 0, "", False, "", 0
    for place, each in enumerate(events):
        here, fact = f"{job_id} {each.seq} {each.kind} of attempt {each.attempt} by {each.actor}", each.fact
        if each.seq != place:
            yield Violation(f"a gap before {here}")
        if each.prev_hash != previous or each.digest() != each.hash:
            yield Violation(f"the chain of hashes breaks at {here}")
        previous = each.hash
        if each.kind == "refused":
            continue
        late = (
            each.attempt != attempt + isinstance(fact, Claimed)
            or (each.kind in WHILE_HELD and not holder)
            or (each.kind in BY_HOLDER and each.actor != holder)
        )
        if late:
            yield (ZombieResult if each.kind in RESULTS else ZombieWrite)(
                f"attempt {attempt}, held by {holder}: {here}"
            )
        if final:
            yield Violation(f"a final job changed: {here}")
        match fact:
            case Claimed():
                if holder:
                    yield Violation(f"two workers hold the job: {here}")
                attempt, holder = each.attempt, fact.worker
            case Executed():
                if executed:
                    yield Violation(f"a staged result was computed again: {here}")
                executed = fact.result_sha256
            case Uploaded():
                uploads += 1
                if uploads > 1:
                    yield Violation(f"a second result: {here}")
                if fact.sha256 != executed:
                    yield ZombieResult(f"not the result that was executed: {here}")
            case Retried():
                holder = ""
                executed = "" if fact.run_again else executed
        if each.kind in ENDS:
            holder, final = "", True


class LogMachine(RuleBasedStateMachine):
    """Several users, jobs and workers on one log, with a clock that moves only by a rule.

    Attributes:
        log_class: the log under test; a mutant where the machine itself is tested.
        watched: violations of other classes are passed over, as a mutant has many.
    """

    log_class: ClassVar[type[EventLog]] = EventLog
    watched: ClassVar[type[Violation]] = Violation

    def __init__(self, empty: Path) -> None:
        """Begin with a copy of an empty database; making its tables anew would take most of the time."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=empty.parent))
        shutil.copy(empty, self.folder / "log.db")
        self.now = START
        self.jobs: dict[str, Expected] = {}
        self.workers = [Worker(f"w{number}") for number in range(3)]
        self.relays: list[tuple[str, int]] = []
        self.checked: dict[str, tuple[list[Any], Any]] = {}
        self._open()

    def teardown(self) -> None:
        self.engine.dispose()
        shutil.rmtree(self.folder)

    def _open(self) -> None:
        self.engine: Engine = open_database(f"sqlite:///{self.folder / 'log.db'}")
        # The power does not fail here, and waiting for the disk would take half of the time.
        event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        self.log = self.log_class(self.engine, lambda: self.now)
        self.cursor = MirrorCursor(self.engine)

    def _violated(self, violation: Violation) -> None:
        if isinstance(violation, self.watched):
            raise violation

    def _same(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self._violated(Forgotten(f"{what}: {found!r} instead of {wanted!r}"))

    # What users do.

    def _submission(self, number: int, content: bytes, **fields: object) -> Submitted:
        backend = BACKENDS[number % len(BACKENDS)]
        return Submitted.of(content, keep_up_to=100, backend=backend, source="cli", received_at=self.now, **fields)

    @deed(number=st.integers(0, 7), user=st.sampled_from(["ann", "bob"]), priority=st.integers(0, 1))
    def submit(self, number: int, user: str, priority: int) -> None:
        """Submit a job, or the same one again, which changes nothing."""
        job_id = f"j{number}"
        fact = self._submission(number, b'{"n": %d}' % number, user=user, priority=priority)
        job, begun = self.log.submit(job_id, fact, "cli")
        self._same(f"{job_id} was begun", begun, job_id not in self.jobs)
        if job_id not in self.jobs:
            backend = BACKENDS[number % len(BACKENDS)]
            self.jobs[job_id] = Expected(job, fact.document_sha256, user, priority, backend, self.now)

    @initialize(users=st.lists(st.sampled_from(["ann", "bob"]), min_size=1, max_size=4))
    def open_shop(self, users: list[str]) -> None:
        """Begin with some jobs, for without a job little can happen."""
        for number, user in enumerate(users):
            self.submit(number, user, 0)

    @deed(pick=_PICK)
    def submit_another(self, pick: int) -> None:
        """Submit another document under the id of a job, which is refused."""
        job_id = self._any_job(pick)
        try:
            self.log.submit(job_id, self._submission(int(job_id[1:]), b"another"), "cli")
        except IdempotencyConflict:
            return
        self._violated(Forgotten(f"{job_id} was taken for another document"))

    @deed(pick=_PICK, at_once=st.sampled_from([False, False, True]))
    def cancel(self, pick: int, *, at_once: bool) -> None:
        """Ask to end a job: first by what was shown at its submission, then by how it stands."""
        job_id = self._any_job(pick)
        expected = self.jobs[job_id]
        for knew in (expected.shown, self.log.get(job_id)):
            facts: list[Fact] = [CancelRequested(by=expected.user)]
            if at_once and knew.state is State.QUEUED:
                facts.append(Cancelled())
            try:
                self.log.append(knew, *facts, attempt=knew.attempt, actor=expected.user)
            except AppendConflict:
                self._same(f"{job_id} had moved on", expected.seq != knew.seq, wanted=True)
            except NotAllowed:
                self._same(f"{job_id} had ended", expected.state in ENDS.values(), wanted=True)
            else:
                if expected.seq != knew.seq:
                    self._violated(StaleDecision(f"{job_id} at {expected.seq} was cancelled by who knew {knew.seq}"))
                for fact in facts:
                    expected.tell(fact, knew.attempt)
                return

    # What workers do.

    @deed(number=_WORKER, backends=st.sampled_from([BACKENDS, BACKENDS[:1]]))
    def claim(self, number: int, backends: tuple[str, ...]) -> None:
        """Take the job whose turn it is: of the user with fewest running jobs, by priority, by submission."""
        worker = self.workers[number]
        if worker.paused:
            return
        running = [job.user for job in self.jobs.values() if job.running]
        turns = [
            (running.count(job.user), -job.priority, job.received_at, job_id)
            for job_id, job in self.jobs.items()
            if job.state == "QUEUED" and job.not_before <= self.now and job.backend in backends
        ]
        job = self.log.claim(backends, worker.name, self.now + LEASE, token=worker.token)
        self._same("the claimed job", job and job.job_id, min(turns)[-1] if turns else None)
        if job is not None:
            expected = self.jobs[job.job_id]
            expected.tell(Claimed(worker=worker.name, lease_until=self.now + LEASE), expected.attempt + 1)
            worker.holds[job.job_id, job.attempt] = job

    @deed(4, number=_WORKER, pick=_PICK, steps=st.integers(1, 4))
    def work(self, number: int, pick: int, steps: int) -> None:
        """Append the next facts of an attempt, as its worker knows it: perhaps it is over long since."""
        worker, key = self._occupied(number, pick)
        for _ in range(steps):
            if key in worker.holds:
                self._record(worker, key, *self._next(worker.holds[key], key[1], worker.name))

    @deed(2, number=_WORKER, pick=_PICK, steps=st.integers(0, 4), replaced=st.booleans())
    def oversleep(self, number: int, pick: int, steps: int, *, replaced: bool) -> None:
        """Let a worker's leases run out somewhere in its work; it wakes as a zombie, perhaps beside another worker."""
        self.work(number, pick, steps)
        self.workers[number].paused = True
        self.let_time_pass(61)
        self.expire(0.0)
        self.let_time_pass(30)
        if replaced:
            self.work((number + 1) % len(self.workers), pick, steps - 1)
        self.workers[number].paused = False

    @deed(number=_WORKER, pick=_PICK, how=st.sampled_from(["back", "again", "transient", "user", "cancel", "withdraw"]))
    def end_attempt(self, number: int, pick: int, how: str) -> None:
        """End an attempt otherwise than with a result."""
        worker, key = self._occupied(number, pick)
        if key not in worker.holds:
            return
        knew = worker.holds[key]
        fact: Fact = given_back("stopped", self.now)
        if how == "user":
            fact = failure("validation", "user", (Fault(message="wrong"),))
        elif how == "cancel":
            fact = Cancelled()
        elif how == "withdraw" and knew.state is State.CLAIMED:
            fact = Withdrawn()
        elif how in ("transient", "again"):
            again = how == "again"
            fact = after_attempt(knew, "storm", "execution", RETRIES, now=self.now, jitter=0.5, run_again=again)
        self._record(worker, key, fact)

    @deed(2, pick=_PICK, shown=st.sampled_from([None, "guessed"]))
    def pretend(self, pick: int, shown: str | None) -> None:
        """Begin the attempt of another worker a second time: what that one writes and prolongs counts for nothing."""
        running = sorted(job_id for job_id, job in self.jobs.items() if job.running)
        if not running:
            return
        job_id = running[pick % len(running)]
        expected, knew = self.jobs[job_id], self.log.get(job_id)
        tokens = None if shown is None else {job_id: shown}
        if self.log.heartbeat({job_id: expected.attempt}, self.now + 9 * LEASE, tokens):
            self._violated(Impostor(f"the lease of {job_id} was prolonged by somebody else"))
        facts = self._next(knew, expected.attempt, "impostor")
        try:
            self.log.append(knew, *facts, attempt=expected.attempt, actor="impostor", token=shown)
        except StaleAttempt:
            expected.refuse()
        else:
            self._violated(Impostor(f"{facts[0].kind} of {job_id} was written by somebody else"))

    @deed(pick=_PICK)
    def heartbeat(self, pick: int) -> None:
        """Prolong a lease, or learn that the attempt is over."""
        if held := self._held():
            self._beat(*held[pick % len(held)])

    @deed(number=_WORKER)
    def pause_or_wake(self, number: int) -> None:
        """Stop a worker in its tracks, or let it go on with what it knew then."""
        self.workers[number].paused = not self.workers[number].paused

    @deed(number=_WORKER)
    def crash(self, number: int) -> None:
        """Let a worker forget everything, and start it again."""
        self.workers[number] = Worker(f"w{number}")

    # What else happens.

    @deed(seconds=st.sampled_from([61, 1, 30, 200]))
    def let_time_pass(self, seconds: int) -> None:
        """Set the clock forward; workers that are awake keep their leases meanwhile."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now = min(end, self.now + LEASE / 3)
            for worker, key in self._held():
                self._beat(worker, key)

    @deed(jitter=st.sampled_from([0.0, 0.9]))
    def expire(self, jitter: float) -> None:
        """End the attempts whose workers fell silent, as `flows/reconcile.py` does."""
        told: dict[str, tuple[Fact, ...]] = {}

        def decide(job: Job) -> tuple[Fact, ...]:
            assert job.worker is not None
            assert job.lease_until is not None
            expired = LeaseExpired(worker=job.worker, lease_until=job.lease_until)
            told[job.job_id] = expired, after_attempt(job, "silent", "lease", RETRIES, now=self.now, jitter=jitter)
            return told[job.job_id]

        silent = {job_id for job_id, job in self.jobs.items() if job.running and job.lease < self.now}
        self.log.expire(decide, "reconcile")
        self._same("the jobs of silent workers", set(told), silent)
        for job_id, facts in told.items():
            for fact in facts:
                self.jobs[job_id].tell(fact, self.jobs[job_id].attempt)

    @deed()
    def reopen(self) -> None:
        """Close the database and open it again, as after a restart; everything is read anew."""
        self.engine.dispose()
        self._open()
        self.checked.clear()

    @deed()
    def rebuild(self) -> None:
        """Read every job from its mirrored history alone."""
        for job_id in self.jobs:
            job, events = self.log.get(job_id), self.log.history(job_id)
            mirrored = events_in(history_document(job, events), job_id)
            self._same(f"the mirrored history of {job_id}", mirrored, events)
            self._same(f"{job_id} rebuilt", fold(mirrored), job)

    @deed(pick=_PICK)
    def begin_relay(self, pick: int) -> None:
        """Begin to mirror what a job is now; relays may end in another order."""
        job_id = self._any_job(pick)
        self.relays.append((job_id, self.jobs[job_id].seq))

    @deed(pick=_PICK)
    def end_relay(self, pick: int) -> None:
        """Move the cursor after what was mirrored."""
        if not self.relays:
            return
        job_id, seq = self.relays.pop(pick % len(self.relays))
        self.cursor.advance(job_id, seq, f"place{seq}")
        self.jobs[job_id].mirrored = seq
        self._same(f"cursor of {job_id}", self.cursor.position(job_id), Position(seq, f"place{seq}"))

    @rule(deed=st.one_of(_DEEDS))
    def step(self, deed: tuple[str, dict[str, Any]]) -> None:
        """Do one of all that. One rule: of several, Hypothesis leaves out some, and then most examples find nothing."""
        name, arguments = deed
        getattr(self, name)(**arguments)

    # What must hold after every step.

    @invariant()
    def histories_are_sound(self) -> None:
        """Judge what the tables hold of every job that changed since the last step."""
        with reading(self.engine) as connection:
            views = {row.job_id: dict(row._mapping) for row in connection.execute(text("SELECT * FROM job"))}
            rows: dict[str, list[Any]] = {}
            for row in connection.execute(text("SELECT * FROM event ORDER BY job_id, seq")):
                rows.setdefault(row.job_id, []).append(dict(row._mapping))
        self._same("the jobs in the view", set(views), set(self.jobs))
        self._same("the jobs in the log", set(rows), set(self.jobs))
        for job_id, lines in rows.items():
            before, view = self.checked.get(job_id, ([], None))
            if lines[: len(before)] != before:
                self._violated(Violation(f"{job_id}: the past was changed"))
            if len(lines) > len(before) or view != views.get(job_id):
                self._check(job_id, [Event.model_validate(line) for line in lines], views.get(job_id))
                self.checked[job_id] = lines, views.get(job_id)

    def _check(self, job_id: str, events: list[Event], view: Any) -> None:
        for violation in judge(job_id, events):
            self._violated(violation)
        job: Job | None = None
        for each in events:
            after = apply(job, each)
            if each.kind == "refused" and job is not None:
                self._same(f"{job_id} after a refusal", *(_essence(this) for this in (after, job)))
            job = after
        assert job is not None
        self._same(f"the view of {job_id}", view, job_row(job))
        self._same(f"the fold of {job_id}", self.log.get(job_id), job)
        expected = self.jobs[job_id]
        self._same(f"the story of {job_id}", [(each.kind, each.attempt) for each in events], expected.story)
        for name in ("state", "seq", "attempt", "worker", "failures", "user", "priority", "cancel_requested"):
            self._same(f"{name} of {job_id}", getattr(job, name), getattr(expected, name))
        self._same(f"document of {job_id}", job.document_sha256, expected.sha256)
        self._same(f"staged result of {job_id}", job.executed and job.executed.result_sha256, expected.executed)
        self._same(f"result of {job_id}", job.uploaded and job.uploaded.sha256, expected.uploaded)

    @invariant()
    def mirror_knows_what_it_owes(self) -> None:
        """Compare the jobs that are behind with those whose newest event is beyond the cursor."""
        owed = {job_id for job_id, job in self.jobs.items() if job.seq > job.mirrored}
        self._same("the jobs that are behind", {job_id for job_id, _ in self.cursor.behind()}, owed)

    # Tools of the rules.

    def _any_job(self, pick: int) -> str:
        return sorted(self.jobs)[pick % len(self.jobs)]

    def _occupied(self, number: int, pick: int) -> tuple[Worker, tuple[str, int]]:
        """Return a worker and one of the attempts it holds; one that has nothing to do claims a job first."""
        worker = self.workers[number]
        if not worker.holds:
            self.claim(number, BACKENDS)
        held = [] if worker.paused else list(worker.holds)
        return worker, held[pick % len(held)] if held else ("", 0)

    def _held(self) -> list[tuple[Worker, tuple[str, int]]]:
        return [(worker, key) for worker in self.workers if not worker.paused for key in worker.holds]

    def _next(self, knew: Job, attempt: int, worker: str) -> tuple[Fact, ...]:
        """Return what a worker appends next, going by what it knows."""
        mine = f"{knew.job_id}-{attempt}-{worker}"
        match knew.state:
            case State.CLAIMED:
                return (Validated(experiments=1, shots=1),)
            case State.VALIDATED:
                return (Compiled(program_sha256=mine, program_bytes=1, seed=attempt),)
            case State.COMPILED:
                staged = f"staged/{mine}"
                about: dict[str, Any] = {
                    "versions": {},
                    "backend_config_sha256": "c",
                    "result_sha256": mine,
                    "staged": staged,
                }
                return (Executed(seconds=1, cpu_seconds=1, seed=attempt, result_bytes=1, **about),)
            case _:
                # As `upload` in tasks/steps.py does: one append, so that no attempt can end between the two.
                sha256 = knew.executed.result_sha256 if knew.executed else mine
                return Uploaded(path="results/x", bytes=1, sha256=sha256), Completed()

    def _record(self, worker: Worker, key: tuple[str, int], *facts: Fact) -> None:
        """Append as `tasks.jobs.attempt.Attempt.record` does; only an attempt that is over may be refused."""
        job_id, attempt = key
        expected, knew = self.jobs[job_id], worker.holds[key]
        over = expected.over(attempt, facts[0])
        run = f"run-{job_id}-{attempt}"
        try:
            try:
                knew = self.log.append(
                    knew, *facts, attempt=attempt, actor=worker.name, flow_run_id=run, token=worker.token
                )
            except AppendConflict:
                self._same(f"{job_id} had moved on", expected.seq != knew.seq, wanted=True)
                knew = self.log.get(job_id)
                knew = self.log.append(
                    knew, *facts, attempt=attempt, actor=worker.name, flow_run_id=run, token=worker.token
                )
        except StaleAttempt:
            if not over:
                self._violated(WrongRefusal(f"{facts[0].kind} of attempt {attempt} of {job_id} by {worker.name}"))
            expected.refuse()
            del worker.holds[key]
            return
        except (AppendConflict, NotAllowed) as error:
            self._violated(WrongRefusal(f"{facts[0].kind} of attempt {attempt} of {job_id} by {worker.name}: {error}"))
            del worker.holds[key]
            return
        if not over:
            # What an attempt that is over appended is not told to the model: the invariant is to find it in the log.
            for fact in facts:
                expected.tell(fact, attempt)
        worker.holds[key] = knew
        if knew.state.value not in RUNNING:
            del worker.holds[key]

    def _beat(self, worker: Worker, key: tuple[str, int]) -> None:
        job_id, attempt = key
        expected = self.jobs[job_id]
        mine = expected.running and expected.attempt == attempt
        held = self.log.heartbeat({job_id: attempt}, self.now + LEASE, {job_id: worker.token})
        self._same(f"{worker.name} holds {job_id}", job_id in held, mine)
        if mine:
            expected.lease = self.now + LEASE
        if job_id not in held:
            del worker.holds[key]


def _essence(job: Job) -> dict[str, Any]:
    """Return what a refusal must leave as it was."""
    return job.model_dump(exclude={"seq", "last_hash", "updated_at"})
