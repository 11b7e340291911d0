"""What users and projects have used: counted with the events, once; and limits that no two exceed together."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from models import clock
from models.facts import Cancelled, Compiled, Retried, Submitted, Validated
from models.job import Job
from models.submissions import Begun
from models.usage import LimitReached, Used
from storage.audit.rebuild import rebuild
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.log.event_log import EventLog
from storage.log.payloads import PayloadInUse, Payloads, UnknownPayload
from storage.log.submissions import Answer, Entry, begin_all
from storage.log.usage import used
from tests.contract.children import Most, submit_up_to_a_limit
from tests.contract.conftest import Houses
from tests.contract.databases import Databases
from tests.contract.log_fixture import LogFixture
from tests.processes import run_together

DAY = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
NEXT = DAY + timedelta(hours=2)


@pytest.fixture
def house(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """An empty log and a folder."""
    return log_fixtures(tmp_path)


def entry(nth: int = 0, user: str = "alice", **said: object) -> Entry:
    """Return a job of ten shots and eight bytes."""
    about = {"backend": "rydberg", "source": "api", "received_at": DAY, "shots": 10} | said
    return Entry(Submitted.of(b'{"n":%2d}' % nth, keep_up_to=99, user=user, **about))


def submit(log: EventLog, *entries: Entry, at: datetime = DAY, limits: dict[str, Most] | None = None) -> list[Answer]:
    """Hand in jobs."""
    return begin_all(log.engine, entries, "w", lambda: at, limits=limits or {})


def rows(log: EventLog) -> list[tuple[object, ...]]:
    """Return the whole view."""
    with log.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM usage ORDER BY who, day"))]


def execute(house: LogFixture, job: Job, seconds: float, at: datetime) -> Job:
    """Run a job."""
    log = house.log
    log._now = lambda: at  # type: ignore[method-assign]
    claimed = log.claim_job(job.job_id, "w", at + timedelta(hours=1))
    assert claimed is not None
    executed = house.executed(claimed).model_copy(update={"seconds": seconds})
    facts = Validated(experiments=1, shots=1), Compiled(program_sha256="p", program_bytes=1, seed=5), executed
    return log.append(claimed, *facts, attempt=claimed.attempt, actor="w")


def fill(house: LogFixture) -> list[Job]:
    """Hand in jobs of two users on two days, and run some of them."""
    first = submit(house.log, entry(1), entry(2, project="qed"), entry(3, "bob", project="qed"), entry(4, source="cli"))
    second = submit(house.log, entry(5, shots=None), at=NEXT)
    jobs = [answer.job for answer in [*first, *second] if isinstance(answer, Begun)]
    execute(house, jobs[0], 1.25, DAY)
    ran = execute(house, jobs[1], 0.1, DAY)
    # What ran in vain was used all the same.
    retried = Retried(reason="lost", after_seconds=0, not_before=DAY, run_again=True)
    house.log.append(ran, retried, attempt=1, actor="w")
    execute(house, jobs[1], 0.2, NEXT)
    execute(house, jobs[3], 5, NEXT)
    return jobs


USED = [
    ("project/qed", "", 2, 20, 300_000, 16),
    ("project/qed", "2026-11-21", 2, 20, 100_000, 16),
    ("project/qed", "2026-11-22", 0, 0, 200_000, 0),
    ("user/alice", "", 3, 20, 1_550_000, 24),
    ("user/alice", "2026-11-21", 2, 20, 1_350_000, 16),
    ("user/alice", "2026-11-22", 1, 0, 200_000, 8),
    ("user/bob", "", 1, 10, 0, 8),
    ("user/bob", "2026-11-21", 1, 10, 0, 8),
]


def test_what_is_used_is_counted_by_day_and_in_all(house: LogFixture):
    """Of jobs that have an owner alone; for the user, and for the project that a job names."""
    fill(house)
    assert rows(house.log) == USED
    alice, qed = used(house.log.engine, "alice", "qed", NEXT)
    assert alice == Used(jobs_queued=1, shots_today=0, seconds_today=0.2, bytes=24)
    assert qed == Used(jobs_queued=1, shots_today=0, seconds_today=0.2, bytes=16)
    assert used(house.log.engine, "alice", "", DAY)[0].seconds_today == 1.35
    assert used(house.log.engine, "nobody", "", DAY) == (Used(), Used())


def test_it_is_made_anew_and_compared(house: LogFixture, tmp_path: Path, log_fixtures: Houses):
    """A rebuild and a restore give the same rows; verify names one that was changed, is missing or too many."""
    fill(house)
    assert [each for each in Verifier(house.log.engine, house.stores).all() if "usage" in each.message] == []
    house.tamper(
        "UPDATE usage SET shots = 0 WHERE who = 'user/alice' AND day = ''",
        "DELETE FROM usage WHERE who = 'user/bob' AND day = ''",
    )
    house.tamper("INSERT INTO usage VALUES ('user/eve', '2026-11-21', 1, 1, 1, 1)")
    found = [each.message for each in Verifier(house.log.engine, house.stores).all() if "usage" in each.message]
    assert found == [
        "`usage` differs from the events for user/alice",
        "`usage` differs from the events for user/bob",
        "`usage` differs from the events for user/eve on 2026-11-21",
    ]
    rebuild(house.log.engine)
    assert rows(house.log) == USED
    house.relay.update_all()
    other = log_fixtures(tmp_path / "second")
    restore(other.log.engine, house.storage)
    assert rows(other.log) == USED


@pytest.mark.parametrize(
    ("limits", "whose", "limit", "free_at"),
    [
        ({"user/alice": Most(jobs_queued=2)}, "user/alice", "jobs_queued", None),
        ({"user/alice": Most(shots_a_day=29)}, "user/alice", "shots_a_day", datetime(2026, 11, 22, tzinfo=UTC)),
        ({"project/qed": Most(bytes=23)}, "project/qed", "bytes", None),
        ({"user/alice": Most(jobs_queued=3), "project/qed": Most(jobs_queued=2)}, "project/qed", "jobs_queued", None),
    ],
)
def test_a_job_beyond_a_limit_is_refused(
    house: LogFixture, limits: dict[str, Most], whose: str, limit: str, free_at: datetime | None
):
    """It is said which, how much is used and when it is free; the rest of the group comes through."""
    group = [entry(nth, project="qed") for nth in range(4)]
    answers = submit(house.log, *group, entry(9, "bob"), limits=limits)
    assert [type(answer) for answer in answers] == [Begun, Begun, LimitReached, LimitReached, Begun]
    refusal = answers[2]
    assert isinstance(refusal, LimitReached)
    assert (refusal.whose, refusal.limit, refusal.free_at) == (whose, limit, free_at)
    assert refusal.used == {"jobs_queued": 2, "shots_a_day": 20, "bytes": 16}[limit]
    assert whose.partition("/")[2] in str(refusal)
    assert len(house.log.jobs()) == 3


def test_a_limit_is_free_again(house: LogFixture):
    """Another day, or once a job waits no longer; what is handed in again is no new job, whatever the limit says."""
    limits = {"user/alice": Most(jobs_queued=1)}
    key = entry(1, idempotency_key="k")
    (first,) = submit(house.log, key, limits=limits)
    assert isinstance(first, Begun)
    (again, refused) = submit(house.log, key, entry(2), limits=limits)
    assert again == Begun(first.job, is_new=False)
    assert isinstance(refused, LimitReached)
    house.log.append(first.job, Cancelled(), attempt=0, actor="w")
    (second,) = submit(house.log, entry(2), limits=limits)
    assert isinstance(second, Begun)
    shots = {"user/alice": Most(shots_a_day=20)}
    assert isinstance(submit(house.log, entry(3), limits=shots)[0], LimitReached)
    assert isinstance(submit(house.log, entry(3), at=NEXT, limits=shots)[0], Begun)
    execute(house, second.job, 3.5, NEXT)
    seconds = {"user/alice": Most(seconds_a_day=3)}
    assert isinstance(submit(house.log, entry(4), at=NEXT, limits=seconds)[0], LimitReached)
    assert isinstance(submit(house.log, entry(4), at=DAY, limits=seconds)[0], Begun)
    nothing = {"user/alice": Most(jobs_queued=0, shots_a_day=0)}
    assert isinstance(submit(house.log, entry(5), limits=nothing)[0], LimitReached)
    assert isinstance(submit(house.log, entry(5, source="cli"), limits=nothing)[0], Begun)


def test_processes_together_do_not_exceed_a_limit(tmp_path: Path, databases: Databases):
    """Four hand in jobs one by one and in groups at the same time: as many as may come through, not one more."""
    url = databases.new(tmp_path)
    log = EventLog(databases.open(url))
    said = run_together(submit_up_to_a_limit, *((url, size, 40, 50) for size in (1, 1, 5, 5)))
    assert sum(said) == 50 == len(log.jobs(limit=1000))


@pytest.fixture
def payloads(house: LogFixture) -> Iterator[Payloads]:
    """The payloads in the log."""
    return Payloads(house.log.engine)


def test_a_payload_is_its_owners_alone(payloads: Payloads):
    """By the hash of its bytes; another user's is unknown, and has no effect on what he keeps himself."""
    kept = payloads.put("alice", b"\x00\xffdata")
    assert payloads.put("alice", b"\x00\xffdata") == kept
    assert payloads.get("alice", kept.sha256) == b"\x00\xffdata"
    more = payloads.put("alice", b"more")
    first, second = sorted([kept, more])
    assert payloads.all("alice") == [first, second]
    assert payloads.all("alice", after=first.sha256) == [second]
    assert payloads.all("bob") == []
    for use in (payloads.get, payloads.delete):
        with pytest.raises(UnknownPayload, match="no payload has"):
            use("bob", kept.sha256)
    theirs = payloads.put("bob", b"more")
    payloads.delete("alice", more.sha256)
    assert payloads.get("bob", theirs.sha256) == b"more"
    with pytest.raises(UnknownPayload):
        payloads.get("alice", more.sha256)


def test_a_payload_that_a_job_was_made_from_is_kept(house: LogFixture, payloads: Payloads):
    """The job is the same as if its document had come with it."""
    content = b'{"n": 1}'
    kept = payloads.put("alice", content)
    payloads.put("bob", content)
    (begun,) = submit(house.log, entry(1))
    assert isinstance(begun, Begun)
    assert begun.job.document_sha256 == kept.sha256
    with pytest.raises(PayloadInUse, match=begun.job.job_id):
        payloads.delete("alice", kept.sha256)
    payloads.delete("bob", kept.sha256)
    assert house.log.document(begun.job.job_id) == payloads.get("alice", kept.sha256)


def test_payloads_count_against_the_limit_of_bytes(house: LogFixture, payloads: Payloads):
    """Together with the documents of jobs; what is there already needs no more room."""
    limits = {"user/alice": Most(bytes=20)}
    submit(house.log, entry(1), limits=limits)
    kept = payloads.put("alice", 10 * b"x", limits)
    with pytest.raises(LimitReached, match="bytes of documents and payloads"):
        payloads.put("alice", b"yyy", limits)
    assert payloads.put("alice", 10 * b"x", limits) == kept
    assert isinstance(submit(house.log, entry(2), limits=limits)[0], LimitReached)
    assert used(house.log.engine, "alice", "", clock.now())[0].bytes == 18
    payloads.delete("alice", kept.sha256)
    assert isinstance(submit(house.log, entry(2), limits=limits)[0], Begun)
    payloads.put("bob", 50 * b"x", limits)
