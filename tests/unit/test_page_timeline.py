"""The timeline of a job: what happened, in plain words, with the time between."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.api.pages.timeline import duration, size_of, steps, timeline, tone
from deployments.api.views import EventView
from models.job import TRANSITIONS, State

BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)


def view(seq: int, kind: str, after: float, **data: Any) -> EventView:
    """Return an event as users see it."""
    return EventView(seq=seq, kind=kind, attempt=1, recorded_at=BEGIN + timedelta(seconds=after), data=data)


def test_each_event_is_a_line():
    """With what counts of it, and the time since the one before."""
    events = [
        view(0, "submitted", 0, document_bytes=1234, document_sha256="ab" * 32),
        view(1, "claimed", 0.25),
        view(2, "validated", 0.3, experiments=1, shots=1000),
        view(3, "compiled", 1, program_sha256="cd" * 32, seed=7),
        view(4, "executed", 65.3, seconds=12.3, versions={"numpy": "2.1"}),
        view(5, "failed", 4000, stage="upload", blame="infrastructure"),
    ]
    assert [(each.title, each.text, each.since, each.tone) for each in timeline(events)] == [
        ("Handed in", "1.23 kB, SHA-256 abababababab…", "", ""),
        ("Taken by a worker", "", "250 ms", ""),
        ("Checked", "1 experiment, 1,000 shots, no faults", "50 ms", ""),
        ("Compiled", "program cdcdcdcdcdcd…, job's seed 7", "700 ms", ""),
        ("Executed", "in 12.3 s, with numpy 2.1", "1 min 4 s", ""),
        ("Failed", "in upload: the laboratory's fault, and not the document's", "1 h 5 min", "bad"),
    ]


def test_every_kind_has_a_title_and_needs_no_data():
    """Users see nothing of some kinds but that they happened; a kind that nobody knows yet is shown by its name."""
    for kind in TRANSITIONS:
        (entry,) = timeline([view(0, kind, 0)])
        assert entry.title != kind.replace("_", " ")
        assert entry.text == ""
    assert timeline([view(0, "some_day", 0)])[0].title == "some day"
    assert timeline([]) == []


def test_a_later_attempt_says_which():
    """The first needs no number."""
    again = view(4, "claimed", 9).model_copy(update={"attempt": 2})
    assert [each.text for each in timeline([view(1, "claimed", 0), again])] == ["", "attempt 2"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0123, "12 ms"), (1.5, "1.50 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (90000, "1 d 1 h")],
)
def test_durations(seconds: float, text: str):
    """Short ones to the millisecond, long ones to the hour."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2e6, "2 MB"), (3e12, "3e+03 GB")]
)
def test_sizes(size: float, text: str):
    """In powers of ten."""
    assert size_of(size) == text


def test_steps_say_how_far_a_job_is():
    """What is done, what is under way, what is to come; a job that went astray has none."""
    assert [each.progress for each in steps(State.COMPILED)] == ["done", "done", "done", "now", "", "", ""]
    assert [each.progress for each in steps(State.DONE)] == ["done"] * 7
    assert steps(State.ERROR) == steps(State.CANCELLED) == []
    assert [tone(each) for each in (State.QUEUED, State.EXECUTED, State.DONE, State.ERROR, State.WITHDRAWN)] == [
        "wait",
        "run",
        "good",
        "bad",
        "off",
    ]
