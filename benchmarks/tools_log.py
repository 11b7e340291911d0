"""A large log, as a laboratory has it after years, made quickly: templates of lives, of which each job is a copy.

`fill` writes it into the home of `services`: four backends, 200 users, labels, sweeps, calibrations that change, a
paused backend; 1 job in 50 waits, four run, 1 in 20 has failed. The histories are whole: each event has its hash, and
the view of some jobs is compared with the fold of their events.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import event, insert
from sqlmodel import SQLModel

from models import clock
from models.calibrations import version_of
from models.clock import to_text
from models.errors import Fault
from models.events import GENESIS, Event, event_hash, seal
from models.facts import (
    Cancelled,
    CancelRequested,
    Claimed,
    Compiled,
    Completed,
    Executed,
    Fact,
    Failed,
    LeaseExpired,
    Retried,
    Submitted,
    Uploaded,
    Validated,
)
from models.identity.facts import UserAdded
from models.identity.streams import user_stream
from models.job import Job, apply
from storage import layout
from storage.identity.pauses import pause
from storage.log.database import writing
from storage.log.rows import job_row
from storage.log.tables import EventRow, JobRow, MirrorRow
from tasks.backends import registry
from tasks.services import Services

BACKENDS = ("rydberg", "singlequdit", "multiqudit", "fermions")
PAUSED = "multiqudit"
CALIBRATIONS = 50
USERS = 200
SWEEP = 100
SPAN = timedelta(days=3 * 365)
BATCH = 10_000
ACTOR = "host:1:abc"
RUN = "0198c5a2-1111-7222-8333-0123456789ab"
DOCUMENT = (
    b'{"experiment_0": {"instructions": [["rydberg_full", [0, 1, 2, 3, 4], [2.2, 0, 0]], ["measure", [0], []],'
    b' ["measure", [1], []]], "num_wires": 2, "shots": 100}}'
)
EVENT, JOB, MIRROR = (SQLModel.metadata.tables[row.__tablename__] for row in (EventRow, JobRow, MirrorRow))
ENDED = ("done",) * 16 + ("retried", "failed", "cancelled", "done")
ZERO = datetime.fromisoformat("2001-01-01T00:00:00+00:00")


class Sort(NamedTuple):
    """What tells one template from another."""

    backend: str
    is_proven: bool
    is_labelled: bool
    is_in_group: bool
    life: str


class Template(NamedTuple):
    """A life whose texts are to be replaced: attempt, kind and data of each event, and the row of the job."""

    events: list[tuple[int, str, str]]
    row: dict[str, Any]


def sort_of(number: int, jobs: int) -> Sort:
    """Return of which sort a job is; the newest wait, and of two backends there are few jobs."""
    backend = "fermions" if number < jobs // 1000 else BACKENDS[(0, 0, 0, 0, 0, 0, 0, 1, 1, 2)[number % 10]]
    life = ENDED[number % len(ENDED)]
    if number >= jobs - jobs // 50:
        life = "waiting"
    elif number >= jobs - jobs // 50 - 4:
        life = "running"
    return Sort(backend, number % 2 == 1, number % 11 == 0, number % (5 * SWEEP) < SWEEP, life)


def job_id(number: int) -> str:
    """Return an id that is as scattered as a random one."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**96:024x}"


def user(number: int) -> str:
    """Return the user of a job; one has three jobs alone, the oldest ones."""
    return "carol" if number < 3 else f"user{number // 7 % USERS}"


def facts_of(sort: Sort) -> Iterator[tuple[int, Fact]]:
    """Yield the facts of a life with their attempts; what is replaced later is called `the-NAME-of-it`."""
    more: dict[str, Any] = {"labels": {"sample": "the-label-of-it"}} if sort.is_labelled else {}
    more |= {"group": "the-group-of-it", "parameters": ({"theta": 0.5},)} if sort.is_in_group else {}
    source = "api" if sort.is_proven else "inbox"
    about = {"backend": sort.backend, "user": "the-user-of-it", "source": source, "received_at": ZERO}
    yield 0, Submitted.of(DOCUMENT, keep_up_to=10**6, **about, **more)
    attempt = 1
    claimed = Claimed(worker="w", lease_until=ZERO + timedelta(minutes=1), lease_seconds=60.0, holder="5" * 64)
    if sort.life == "waiting":
        return
    if sort.life == "retried":
        yield 1, claimed
        yield 1, LeaseExpired(worker="w", lease_until=ZERO)
        yield 1, Retried(reason="lost", after_seconds=2, not_before=ZERO)
        attempt = 2
    if sort.life == "cancelled":
        yield 0, CancelRequested(by="the-user-of-it")
        yield 0, Cancelled()
        return
    yield attempt, claimed
    yield attempt, Validated(experiments=1, shots=100, cost=3.0)
    if sort.life == "running":
        return
    if sort.life == "failed":
        fault = Fault(experiment="experiment_0", message="the angle of rlx is too large")
        yield attempt, Failed(stage="compilation", blame="user", faults=(fault,), fault_count=1)
        return
    yield attempt, Compiled(program_sha256="7" * 64, program_bytes=300, seed=7)
    yield (
        attempt,
        Executed(
            seconds=0.5,
            cpu_seconds=0.4,
            seed=7,
            versions={"python": "3.11.2", "numpy": "2.4.0", "scipy": "1.17.0", "quledger": "0.1.0"},
            backend_config_sha256="6" * 64,
            result_sha256="8" * 64,
            result_bytes=2000,
            staged=layout.staged("the-id-of-it", attempt),
            calibration_sha256="9" * 64,
        ),
    )
    yield attempt, Uploaded(path=layout.result(sort.backend, "the-id-of-it"), bytes=2000, sha256="8" * 64)
    yield attempt, Completed()


def template_of(sort: Sort) -> Template:
    """Return the template of a sort."""
    job: Job | None = None
    events = []
    for seq, (attempt, fact) in enumerate(facts_of(sort)):
        sealed = seal(
            fact,
            job_id="the-id-of-it",
            seq=seq,
            attempt=attempt,
            recorded_at=ZERO + timedelta(milliseconds=300 * seq),
            actor=ACTOR,
            flow_run_id=RUN if attempt else None,
            prev_hash=job.last_hash if job else GENESIS,
        )
        job = apply(job, sealed)
        events.append((attempt, sealed.kind, sealed.data))
    assert job is not None  # noqa: S101 - for the type checker
    fold = job.model_dump_json().replace(job.last_hash, "the-hash-of-it")
    return Template(events, job_row(job) | {"fold": fold})


class Maker:
    """Makes the rows of jobs.

    Args:
        jobs: how many there will be.
        calibrations: hashes of the versions that each backend had, the oldest first.
    """

    def __init__(self, jobs: int, calibrations: dict[str, Sequence[str]], now: datetime) -> None:
        self._jobs, self._calibrations = jobs, calibrations
        self._began, self._step = now - SPAN, SPAN / (jobs + 1)
        self._templates: dict[Sort, Template] = {}

    def rows(self, number: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the events of a job, and the job."""
        sort = sort_of(number, self._jobs)
        template = self._templates.get(sort) or self._templates.setdefault(sort, template_of(sort))
        at, held = self._began + number * self._step, self._calibrations[sort.backend]
        times = [at + timedelta(milliseconds=300 * seq) for seq in range(len(template.events))]
        swaps = [
            ("the-id-of-it", job_id(number)),
            ("the-user-of-it", user(number)),
            ("the-label-of-it", f"A{number // 11 % 50}"),
            ("the-group-of-it", f"sweep{number // (5 * SWEEP)}"),
            ("9" * 64, held[number * len(held) // self._jobs]),
            # As they stand in the texts of a template: received, last changed, leased.
            *((to_text(ZERO + timedelta(milliseconds=300 * seq)), to_text(each)) for seq, each in enumerate(times)),
            (to_text(ZERO + timedelta(minutes=1)), to_text(at + timedelta(minutes=1))),
        ]
        before, events = GENESIS, []
        for seq, (attempt, kind, data) in enumerate(template.events):
            text, run = _swapped(data, swaps), RUN if attempt else None
            envelope = (swaps[0][1], seq, attempt, text, times[seq], ACTOR, run, before)
            row = dict(zip(_FIELDS, envelope, strict=True))
            before = event_hash(*envelope)
            events.append(row | {"recorded_at": to_text(times[seq]), "kind": kind, "hash": before})
        swaps.append(("the-hash-of-it", before))
        row = {name: _swapped(each, swaps) if isinstance(each, str) else each for name, each in template.row.items()}
        row |= {"received_at": to_text(at), "submitted_at": to_text(at)}
        return events, row


_FIELDS = ("job_id", "seq", "attempt", "data", "recorded_at", "actor", "flow_run_id", "prev_hash")


def _swapped(text: str, swaps: list[tuple[str, str]]) -> str:
    for old, new in swaps:
        if old in text:
            text = text.replace(old, new)
    return text


def check(events: list[dict[str, Any]], row: dict[str, Any]) -> None:
    """Make sure that a made job is what its events tell."""
    job: Job | None = None
    for each in events:
        made = Event.model_validate(each)
        assert made.digest() == made.hash, "a hash is wrong"  # noqa: S101 - of what this file makes
        job = apply(job, made)
    assert job is not None and job_row(job) == row, (job and job_row(job), row)  # noqa: S101, PT018 - as above


def fill(services: Services, jobs: int) -> None:
    """Write so many jobs into the log, and what stands beside them."""
    now = clock.now()
    maker = Maker(jobs, {name: _calibrations(services, name) for name in BACKENDS}, now)
    for number in range(0, jobs, max(1, jobs // 97)):
        check(*maker.rows(number))
    check(*maker.rows(jobs - jobs // 50 - 1))
    if services.log.engine.dialect.name == "sqlite":
        event.listen(services.log.engine, "checkout", _hurry)
    for start in range(0, jobs, BATCH):
        made = [maker.rows(number) for number in range(start, min(jobs, start + BATCH))]
        with writing(services.log.engine) as connection:
            connection.execute(insert(JOB), [row for _, row in made])
            connection.execute(insert(EVENT), [each for events, _ in made for each in events])
            cursors = [{"job_id": row["job_id"], "seq": row["seq"], "place": "", "behind": False} for _, row in made]
            connection.execute(insert(MIRROR), cursors)
    services.directory.append(user_stream("user3"), UserAdded(role="member"), actor="bench")
    services.directory.append(user_stream("boss"), UserAdded(role="operator"), actor="bench")
    pause(services.directory, PAUSED, reason="laser alignment", actor="bench")


def finish(services: Services, *job_ids: str) -> None:
    """Run new jobs as a worker does, but for the flow: their results and histories lie in the storage."""
    for nth, name in enumerate(job_ids):
        received_at = clock.now()
        fact = Submitted.of(DOCUMENT, keep_up_to=10**6, backend="rydberg", source="cli", received_at=received_at)
        services.log.submit(name, fact, "bench")
        job = services.log.claim_job(name, "w", received_at + timedelta(hours=1))
        assert job is not None  # noqa: S101 - nobody else is there
        memory = [f"{(shot * (nth + 3)) % 2}" for shot in range(100)]
        one = {"header": {"name": "experiment_0"}, "shots": 100, "success": True, "data": {"memory": memory}}
        result = {"job_id": name, "display_name": "rydberg", "backend_version": "1", "results": [one]}
        content = json.dumps(result).encode()
        digest, path = hashlib.sha256(content).hexdigest(), layout.result("rydberg", name)
        services.stores.of("").put(path, content)
        executed = Executed(
            seconds=0.5,
            cpu_seconds=0.4,
            seed=nth,
            versions={"python": "3.11.2"},
            backend_config_sha256="6" * 64,
            result_sha256=digest,
            result_bytes=len(content),
            staged=layout.staged(name, 1),
            calibration_sha256=services.calibrations.ledger("rydberg").current,
        )
        facts = (
            Validated(experiments=1, shots=100, cost=3.0),
            Compiled(program_sha256="7" * 64, program_bytes=300, seed=nth),
            executed,
            Uploaded(path=path, bytes=len(content), sha256=digest),
            Completed(),
        )
        services.log.append(job, *facts, attempt=job.attempt, actor="w")
        services.relay.update(name)


def _hurry(connection: Any, *_: object) -> None:
    """Let a connection not wait for the disk; a log that is not whole is thrown away."""
    for pragma in ("synchronous = OFF", "cache_size = -2000000", "wal_autocheckpoint = 100000"):
        connection.execute(f"PRAGMA {pragma}")


def _calibrations(services: Services, name: str) -> list[str]:
    """Record the calibrations of a backend, of which the first one is withdrawn; return their hashes."""
    config = registry.load(name).config
    versions = [version_of(config, {"lifetime_ms": nth}) for nth in range(CALIBRATIONS)]
    for version in versions:
        services.calibrations.publish(name, version)
    services.calibrations.withdraw(versions[0].sha256, "a mirror was loose", by="bench")
    return [version.sha256 for version in versions]
