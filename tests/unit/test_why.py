"""Why a job stands where it does, in sentences: holds, a place in line, an attempt, what is expected."""

from datetime import UTC, datetime, timedelta

import pytest

from models.job import FINAL, State
from models.why import Attempt, Expected, Hold, Queue, Why, turn

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LINE = Queue(place=7, is_exact=True, own_before=0, users_before=2, waiting=9, running=1, at_once=2)
WHY = Why(job_id="j", backend="rydberg", state=State.QUEUED, at=NOW, known_runs=3)


def after(*seconds: float) -> Expected:
    """Return what is expected so many seconds from now: the time, the earliest and the latest."""
    expected, earliest, latest = (NOW + timedelta(seconds=each) for each in seconds)
    return Expected(expected=expected, earliest=earliest, latest=latest)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"place": 1}, "it is next"),
        ({"place": 2, "users_before": 1}, "it is number 2 in line, behind 1 job of 1 other user"),
        ({}, "it is number 7 in line, behind 6 jobs of 2 other users"),
        ({"own_before": 6}, "it is number 7 in line, behind 6 jobs of the same user"),
        ({"place": 2, "own_before": 1}, "it is number 2 in line, behind 1 job of the same user"),
        (
            {"own_before": 5, "users_before": 1},
            "it is number 7 in line, behind 5 jobs of the same user and 1 job of 1 other user",
        ),
        (
            {"place": 12345, "is_exact": False, "own_before": 2},
            "it is about number 12,345 in line, behind 2 jobs of the same user and 12,342 jobs of 2 other users",
        ),
    ],
)
def test_a_place_in_line(line: dict[str, int], words: str):
    """Whose jobs are before it: the user's own, and how many of how many others."""
    assert turn(LINE.model_copy(update=line)) == Hold(kind="turn", text=words)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_job_that_has_ended_waits_for_nothing(state: State):
    """Nothing else is said of it."""
    ended = WHY.model_copy(update={"state": state, "holds": (Hold(kind="turn", text="it is next"),)})
    assert ended.sentences() == [f"the job has ended: it is {state}"]


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (
            Attempt(number=2, since=NOW, lease_until=NOW + timedelta(minutes=1), worker="w"),
            (
                "attempt 2 is under way since 2026-11-21 09:00:00 UTC, w has it; its lease lasts until"
                " 2026-11-21 09:01:00 UTC"
            ),
        ),
        (Attempt(number=1, since=NOW, lease_until=None), "attempt 1 is under way since 2026-11-21 09:00:00 UTC"),
    ],
)
def test_an_attempt_that_is_under_way(attempt: Attempt, words: str):
    """Since when, in whose hands, and how long its lease lasts."""
    running = WHY.model_copy(update={"state": State.CLAIMED, "attempt": attempt})
    assert running.sentences() == [words]


def test_who_is_before_it():
    """Those with the most jobs first, then by name; at most ten are named."""
    few = LINE.model_copy(update={"before": {"zoe": 2, "bob": 2, "": 1, "ann": 1200}})
    holds = (Hold(kind="pause", text="rydberg is paused"), turn(few))
    assert WHY.model_copy(update={"queue": few, "holds": holds}).sentences() == [
        "rydberg is paused",
        "it is number 7 in line, behind 6 jobs of 2 other users",
        "before it: ann 1,200, bob 2, zoe 2, (nobody) 1",
    ]
    ten = {f"u{nth}": 1 for nth in range(10)}
    for more, words in (({}, ""), ({"v": 1}, " and 1 other user"), ({"v": 1, "w": 1}, " and 2 other users")):
        line = LINE.model_copy(update={"before": ten | more})
        (said,) = WHY.model_copy(update={"queue": line}).sentences()
        assert said == f"before it: {', '.join(f'u{nth} 1' for nth in range(10))}{words}"
    assert WHY.model_copy(update={"queue": LINE}).sentences() == []


def test_what_is_expected():
    """When, in how long, between what; and how many jobs say so."""
    expected = WHY.model_copy(
        update={"start": after(0, -5, 119.4), "end": after(3600, 120, 86400 * 2), "known_runs": 1}
    )
    assert expected.sentences() == [
        "expected start: 2026-11-21 09:00:00 UTC, in 0 s (between 0 s and 119 s)",
        "expected end: 2026-11-21 10:00:00 UTC, in 60.0 min (between 2.0 min and 2.0 d)",
        "by 1 job that rydberg has run of late",
    ]
    only_end = WHY.model_copy(update={"end": after(7200, 7199, 86400 * 2 - 1)})
    assert only_end.sentences() == [
        "expected end: 2026-11-21 11:00:00 UTC, in 2.0 h (between 120.0 min and 48.0 h)",
        "by 3 jobs that rydberg has run of late",
    ]


def test_what_is_not_known_is_said():
    """Unless something of late is known, and only what holds the job keeps it from being served."""
    assert WHY.sentences() == []
    unknown = WHY.model_copy(update={"known_runs": 0})
    assert unknown.sentences() == ["when is not known: rydberg has not run any job of late"]


def test_users_read_no_names():
    """Who is before a job, and which worker has it, are for operators; all else is the same."""
    line = LINE.model_copy(update={"before": {"ann": 1}})
    attempt = Attempt(number=1, since=NOW, lease_until=None, worker="w")
    told = WHY.model_copy(update={"queue": line, "attempt": attempt}).for_users()
    assert told == WHY.model_copy(update={"queue": LINE, "attempt": attempt.model_copy(update={"worker": None})})
    assert WHY.for_users() == WHY
