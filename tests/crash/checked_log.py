"""A log under test beside its model (`tests/crash/log_model.py`): compared event by event after every step."""

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy import Engine, event, text

from models.events import Event
from models.job import Job, apply
from storage.log.database import open_database, reading
from storage.log.event_log import EventLog
from storage.log.mirror_cursor import MirrorCursor
from storage.log.rows import job_row
from tests.crash.log_model import START, Expected, Forgotten, Violation, judge


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


class CheckedLog(RuleBasedStateMachine):
    """A log, its model, and what must hold of them after every step.

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
        self.pauses: dict[str, datetime] = {}
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
        for name in (
            *("state", "seq", "attempt", "worker", "failures", "user", "priority", "cancel_requested"),
            *("labels", "is_hidden"),
        ):
            self._same(f"{name} of {job_id}", getattr(job, name), getattr(expected, name))
        self._same(f"document of {job_id}", job.document_sha256, expected.sha256)
        self._same(f"staged result of {job_id}", job.executed and job.executed.result_sha256, expected.executed)
        self._same(f"result of {job_id}", job.uploaded and job.uploaded.sha256, expected.uploaded)

    @invariant()
    def mirror_knows_what_it_owes(self) -> None:
        """Compare the jobs that are behind with those whose newest event is beyond the cursor."""
        owed = {job_id for job_id, job in self.jobs.items() if job.seq > job.mirrored}
        self._same("the jobs that are behind", {job_id for job_id, _ in self.cursor.behind()}, owed)


def _essence(job: Job) -> dict[str, Any]:
    """Return what a refusal must leave as it was."""
    return job.model_dump(exclude={"seq", "last_hash", "updated_at"})
