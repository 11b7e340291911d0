"""What users and operators do to the event log, beside the workers of `tests/crash/log_machine.py`."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from models.errors import AppendConflict, IdempotencyConflict, NotAllowed
from models.facts import Cancelled, CancelRequested, Fact, Hidden, Labelled, Submitted
from models.identity.facts import BackendPaused
from models.job import Job, State
from storage.identity.directory import Directory
from storage.identity.pauses import resume
from storage.log.pauses import pauses
from tests.crash.checked_log import CheckedLog
from tests.crash.log_model import ENDS, Expected, Forgotten, StaleDecision

BACKENDS = ("rydberg", "fermions")

PICK = st.integers(0, 11)
"""Chooses among the things that are there, whose number changes with every step."""

DEEDS: list[st.SearchStrategy[tuple[str, dict[str, Any]]]] = []
_Method = TypeVar("_Method", bound=Callable[..., None])


def deed(weight: int = 1, /, **arguments: st.SearchStrategy[Any]) -> Callable[[_Method], _Method]:
    """Mark what the machine may do in a step; a deed of weight 2 is done twice as often."""

    def mark(method: _Method) -> _Method:
        # Made anew each time: `one_of` takes an object that comes twice for one.
        DEEDS.extend(st.tuples(st.just(method.__name__), st.fixed_dictionaries(arguments)) for _ in range(weight))
        return method

    return mark


class LogUsers(CheckedLog):
    """Users who hand in jobs, label, cancel and hide them, and operators who pause backends."""

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

    @deed(pick=PICK)
    def submit_another(self, pick: int) -> None:
        """Submit another document under the id of a job, which is refused."""
        job_id = self._any_job(pick)
        try:
            self.log.submit(job_id, self._submission(int(job_id[1:]), b"another"), "cli")
        except IdempotencyConflict:
            return
        self._violated(Forgotten(f"{job_id} was taken for another document"))

    @deed(pick=PICK, at_once=st.sampled_from([False, False, True]))
    def cancel(self, pick: int, *, at_once: bool) -> None:
        """Ask to end a job, which one that has ended refuses."""
        job_id = self._any_job(pick)

        def decide(knew: Job) -> Sequence[Fact]:
            asked = CancelRequested(by=self.jobs[job_id].user)
            return (asked, Cancelled()) if at_once and knew.state is State.QUEUED else (asked,)

        self._say(job_id, decide, may=self.jobs[job_id].state not in ENDS.values())

    @deed(pick=PICK, value=st.sampled_from(["A7", "B2", None]))
    def label(self, pick: int, value: str | None) -> None:
        """Set the label of a job or take it away, whatever becomes of the job meanwhile."""
        job_id = self._any_job(pick)
        labels, removed = ({}, ("sample",)) if value is None else ({"sample": value}, ())
        fact = Labelled(by=self.jobs[job_id].user, labels=labels, removed=removed)
        self._say(job_id, lambda _knew: (fact,), may=True)

    @deed(pick=PICK)
    def hide(self, pick: int) -> None:
        """Put a job away that has ended, once."""
        job_id = self._any_job(pick)
        expected = self.jobs[job_id]
        may = expected.state in ENDS.values() and not expected.is_hidden
        self._say(job_id, lambda _knew: (Hidden(by=expected.user),), may=may)

    @deed(number=st.integers(0, 1), seconds=st.sampled_from([None, 100]))
    def pause_backend(self, number: int, seconds: int | None) -> None:
        """Let nothing of a backend begin, for a time or until somebody resumes it; resume it if it is paused."""
        backend, directory = BACKENDS[number], Directory(self.engine, lambda: self.now)
        if backend in self._paused():
            resume(directory, backend, actor="op")
            del self.pauses[backend]
        else:
            until = None if seconds is None else self.now + timedelta(seconds=seconds)
            directory.append(f"backend/{backend}", BackendPaused(until=until), actor="op")
            self.pauses[backend] = until or datetime.max.replace(tzinfo=self.now.tzinfo)
        self._same("what is paused", set(pauses(self.engine, self.now)), self._paused())

    def _paused(self) -> set[str]:
        return {backend for backend, until in self.pauses.items() if until > self.now}

    def _say(self, job_id: str, decide: Callable[[Job], Sequence[Fact]], *, may: bool) -> None:
        """Append what somebody wants who holds nothing: first by what was shown at its submission, then as it stands.

        Args:
            may: whether it may follow now.
        """
        expected = self.jobs[job_id]
        for knew in (expected.shown, self.log.get(job_id)):
            facts = decide(knew)
            said = f"{facts[0].kind} of {job_id}"
            try:
                self.log.append(knew, *facts, attempt=knew.attempt, actor=expected.user)
            except AppendConflict:
                self._same(f"{said}: it had moved on", expected.seq != knew.seq, wanted=True)
            except NotAllowed:
                self._same(f"{said}: it was not allowed", may, wanted=False)
            else:
                if expected.seq != knew.seq:
                    self._violated(StaleDecision(f"{said} at {expected.seq}, by who knew {knew.seq}"))
                self._same(f"{said}: it was allowed", may, wanted=True)
                for fact in facts:
                    expected.tell(fact, knew.attempt)
                return

    def _any_job(self, pick: int) -> str:
        return sorted(self.jobs)[pick % len(self.jobs)]
