"""A pause of a backend: when it is over, and in which words it is told."""

from datetime import UTC, datetime, timedelta

import pytest

from models.pauses import Pause, Paused

SINCE = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=2, seconds=5)


@pytest.mark.parametrize(
    ("until", "now", "is_over"),
    [
        (None, SINCE + timedelta(days=999), False),
        (UNTIL, UNTIL - timedelta(microseconds=1), False),
        (UNTIL, UNTIL, True),
        (UNTIL, UNTIL + timedelta(seconds=1), True),
    ],
)
def test_a_pause_is_over_when_its_time_has_come(until: datetime | None, now: datetime, is_over: bool):  # noqa: FBT001 - a case
    """One without an end is never over by itself."""
    assert Pause(backend="rydberg", since=SINCE, until=until).is_over(now) is is_over


@pytest.mark.parametrize(
    ("until", "reason", "words"),
    [
        (None, "", "rydberg is paused"),
        (None, "laser off", "rydberg is paused: laser off"),
        (UNTIL, "", "rydberg is paused until 2026-11-21 11:00:05 UTC"),
        (UNTIL, "laser off", "rydberg is paused until 2026-11-21 11:00:05 UTC: laser off"),
    ],
)
def test_a_pause_in_words(until: datetime | None, reason: str, words: str):
    """As jobs that wait and jobs that are given back say it; who wanted it is not said."""
    pause = Pause(backend="rydberg", since=SINCE, until=until, reason=reason, by="olga")
    assert str(pause) == words
    assert str(Paused(pause)) == f"given back: {words}"
