"""A machine that does to the event log whatever workers, users, reconcile and crashes may do, in any order.

`CheckedLog` compares the log with its model after every step.
"""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from models.errors import AppendConflict, Fault, NotAllowed, StaleAttempt
from models.facts import Cancelled, Claimed, Fact, LeaseExpired, Withdrawn
from models.job import Job, State, fold
from models.retry import RetryPolicy, after_attempt, failure, given_back
from storage.documents.job_documents import history_document
from storage.log.mirror_cursor import Position
from tests.contract.log_fixture import events_in
from tests.crash.checked_log import Worker
from tests.crash.log_model import (
    LEASE,
    RUNNING,
    Impostor,
    WrongRefusal,
    next_facts,
)
from tests.crash.log_users import BACKENDS, DEEDS, PICK, LogUsers, deed

RETRIES = RetryPolicy(max_attempts=3, first_pause=2.0)
_WORKER = st.integers(0, 2)


class LogMachine(LogUsers):
    """Several users, jobs and workers on one log, with a clock that moves only by a rule."""

    # What workers do.

    @deed(number=_WORKER, backends=st.sampled_from([BACKENDS, BACKENDS[:1]]))
    def claim(self, number: int, backends: tuple[str, ...]) -> None:
        """Take the job whose turn it is: of the user with fewest running jobs, by submission; his own by priority."""
        worker = self.workers[number]
        if worker.paused:
            return
        running = [job.user for job in self.jobs.values() if job.running]
        waiting = [
            ((job.user, job.backend), -job.priority, job.received_at, job_id)
            for job_id, job in self.jobs.items()
            if job.state == "QUEUED" and job.not_before <= self.now and job.backend in {*backends} - self._paused()
        ]
        heads = [min(each for each in waiting if each[0] == whose) for whose in {each[0] for each in waiting}]
        turns = [(running.count(user), received_at, job_id) for (user, _), _, received_at, job_id in heads]
        job = self.log.claim(backends, worker.name, self.now + LEASE, token=worker.token)
        self._same("the claimed job", job and job.job_id, min(turns)[-1] if turns else None)
        if job is not None:
            expected = self.jobs[job.job_id]
            expected.tell(Claimed(worker=worker.name, lease_until=self.now + LEASE), expected.attempt + 1)
            worker.holds[job.job_id, job.attempt] = job

    @deed(4, number=_WORKER, pick=PICK, steps=st.integers(1, 4))
    def work(self, number: int, pick: int, steps: int) -> None:
        """Append the next facts of an attempt, as its worker knows it: perhaps it is over long since."""
        worker, key = self._occupied(number, pick)
        for _ in range(steps):
            if key in worker.holds:
                self._record(worker, key, *next_facts(worker.holds[key], key[1], worker.name))

    @deed(2, number=_WORKER, pick=PICK, steps=st.integers(0, 4), replaced=st.booleans())
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

    @deed(number=_WORKER, pick=PICK, how=st.sampled_from(["back", "again", "transient", "user", "cancel", "withdraw"]))
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

    @deed(2, pick=PICK, shown=st.sampled_from([None, "guessed"]))
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
        facts = next_facts(knew, expected.attempt, "impostor")
        try:
            self.log.append(knew, *facts, attempt=expected.attempt, actor="impostor", token=shown)
        except StaleAttempt:
            expected.refuse()
        else:
            self._violated(Impostor(f"{facts[0].kind} of {job_id} was written by somebody else"))

    @deed(pick=PICK)
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

    @deed(pick=PICK)
    def begin_relay(self, pick: int) -> None:
        """Begin to mirror what a job is now; relays may end in another order."""
        job_id = self._any_job(pick)
        self.relays.append((job_id, self.jobs[job_id].seq))

    @deed(pick=PICK)
    def end_relay(self, pick: int) -> None:
        """Move the cursor after what was mirrored."""
        if not self.relays:
            return
        job_id, seq = self.relays.pop(pick % len(self.relays))
        self.cursor.advance(job_id, seq, f"place{seq}")
        self.jobs[job_id].mirrored = seq
        self._same(f"cursor of {job_id}", self.cursor.position(job_id), Position(seq, f"place{seq}"))

    @rule(deed=st.one_of(DEEDS))
    def step(self, deed: tuple[str, dict[str, Any]]) -> None:
        """Do one of all that. One rule: of several, Hypothesis leaves out some, and then most examples find nothing."""
        name, arguments = deed
        getattr(self, name)(**arguments)

    # Tools of the rules.

    def _occupied(self, number: int, pick: int) -> tuple[Worker, tuple[str, int]]:
        """Return a worker and one of the attempts it holds; one that has nothing to do claims a job first."""
        worker = self.workers[number]
        if not worker.holds:
            self.claim(number, BACKENDS)
        held = [] if worker.paused else list(worker.holds)
        return worker, held[pick % len(held)] if held else ("", 0)

    def _held(self) -> list[tuple[Worker, tuple[str, int]]]:
        return [(worker, key) for worker in self.workers if not worker.paused for key in worker.holds]

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
