"""What facts add to what was used, and which limit is reached; the counting itself is the log's."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from models.facts import Fact
from models.identity.limits import NO_LIMITS, Limits
from models.usage import Amount, Used, amount_of, counted_for, day_of, why_too_much
from tests.unit.histories import CLAIMED, EXECUTED, SUBMITTED, VALIDATED

EVENING = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
LATER_ZONE = timezone(timedelta(hours=3))


def test_who_is_counted():
    """A project only together with an owner: other jobs say of themselves whose they are."""
    assert [*counted_for("ann", "qed")] == ["user/ann", "project/qed"]
    assert [*counted_for("ann", "")] == ["user/ann"]
    assert [*counted_for("", "qed")] == []


@pytest.mark.parametrize(
    ("fact", "amount"),
    [
        (SUBMITTED, Amount(jobs=1, shots=0, bytes=2)),
        (SUBMITTED.model_copy(update={"shots": 70}), Amount(jobs=1, shots=70, bytes=2)),
        (EXECUTED, Amount(microseconds=100_000)),
        (EXECUTED.model_copy(update={"seconds": 2.5e-6}), Amount(microseconds=2)),
        (EXECUTED.model_copy(update={"seconds": -1.0}), Amount()),
        (CLAIMED, None),
        (VALIDATED, None),
    ],
)
def test_what_a_fact_adds(fact: Fact, amount: Amount | None):
    """Jobs, shots and bytes when it is handed in, time when it has run; never less than nothing."""
    assert amount_of(fact) == amount


def test_amounts_are_added_each_by_itself():
    """Jobs to jobs, shots to shots."""
    assert Amount(1, 20, 300, 4000).plus(Amount(5, 60, 700, 8000)) == Amount(6, 80, 1000, 12000)


def test_a_day_is_one_in_utc():
    """Whatever zone a moment is told in."""
    assert day_of(EVENING) == "2026-11-21"
    assert day_of(datetime(2026, 11, 22, 1, 0, tzinfo=LATER_ZONE)) == "2026-11-21"


ONE = Amount(jobs=1, shots=10, bytes=5)


@pytest.mark.parametrize(
    ("limits", "used", "reached"),
    [
        (NO_LIMITS, Used(10**9, 10**9, 1e9, 10**9), None),
        (Limits(jobs_queued=3), Used(jobs_queued=2), None),
        (Limits(jobs_queued=3), Used(jobs_queued=3), "jobs_queued"),
        (Limits(jobs_queued=0), Used(), "jobs_queued"),
        (Limits(shots_a_day=100), Used(shots_today=90), None),
        (Limits(shots_a_day=100), Used(shots_today=91), "shots_a_day"),
        (Limits(seconds_a_day=60), Used(seconds_today=59.9), None),
        (Limits(seconds_a_day=60), Used(seconds_today=60.0), "seconds_a_day"),
        (Limits(bytes=50), Used(bytes=45), None),
        (Limits(bytes=50), Used(bytes=46), "bytes"),
        (Limits(jobs_queued=9, shots_a_day=9, bytes=4), Used(), "shots_a_day"),
    ],
)
def test_which_limit_is_reached(limits: Limits, used: Used, reached: str | None):
    """What is used and what is asked for may fill it, and not more; the last job may run longer than is left."""
    answer = why_too_much("user/ann", limits, used, ONE, EVENING)
    assert (answer and answer.limit) == reached


def test_what_is_not_asked_for_meets_no_limit():
    """A payload is no job and has no shots: nothing else than its bytes counts, though other limits are exceeded."""
    full = Limits(jobs_queued=0, shots_a_day=0, seconds_a_day=0, bytes=50)
    used = Used(jobs_queued=5, shots_today=5, seconds_today=5.0, bytes=0)
    assert why_too_much("user/ann", full, used, Amount(bytes=50), EVENING) is None
    assert why_too_much("user/ann", full, used, Amount(), EVENING) is None


@pytest.mark.parametrize(
    ("limits", "used", "words", "free_at"),
    [
        (
            Limits(jobs_queued=3),
            Used(jobs_queued=3),
            "the user 'ann' may have 3 jobs that wait, and has used 3; less has to wait or be kept first",
            None,
        ),
        (
            Limits(shots_a_day=100),
            Used(shots_today=95),
            "the user 'ann' may have 100 shots a day, and has used 95; free again at 2026-11-22T00:00 UTC",
            MIDNIGHT,
        ),
        (
            Limits(seconds_a_day=60),
            Used(seconds_today=60.25),
            (
                "the user 'ann' may have 60 seconds of run time a day, and has used 60.25;"
                " free again at 2026-11-22T00:00 UTC"
            ),
            MIDNIGHT,
        ),
        (
            Limits(bytes=50),
            Used(bytes=48),
            (
                "the user 'ann' may have 50 bytes of documents and payloads, and has used 48;"
                " less has to wait or be kept first"
            ),
            None,
        ),
    ],
)
def test_a_limit_says_what_was_used_and_when_some_is_free(
    limits: Limits, used: Used, words: str, free_at: datetime | None
):
    """What counts by the day is free at midnight in UTC, wherever it is asked; all else when the user makes room."""
    for now in (EVENING, EVENING.astimezone(LATER_ZONE)):
        reached = why_too_much("user/ann", limits, used, ONE, now)
        assert reached is not None
        assert str(reached) == words
        assert reached.free_at == free_at


def test_midnight_is_that_of_utc(monkeypatch: pytest.MonkeyPatch):
    """Also on a machine with the time of Tokyo, where it is tomorrow already."""
    try:
        with monkeypatch.context() as here:
            here.setenv("TZ", "JST-9")
            time.tzset()
            reached = why_too_much("user/ann", Limits(shots_a_day=0), Used(), ONE, EVENING)
    finally:
        time.tzset()
    assert reached is not None
    assert reached.free_at == MIDNIGHT


def test_a_limit_says_all_of_it_by_itself():
    """So that an API can tell it in fields."""
    reached = why_too_much("project/qed", Limits(shots_a_day=100), Used(shots_today=95), ONE, EVENING)
    assert reached is not None
    assert (reached.whose, reached.limit, reached.used, reached.most) == ("project/qed", "shots_a_day", 95, 100)
    assert str(reached).startswith("the project 'qed' may have 100 shots a day")
