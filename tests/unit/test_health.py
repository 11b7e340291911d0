"""How what was found of each part is judged, and that whatever hangs is named in time."""

import os
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from models.health import (
    Health,
    Part,
    Room,
    Sign,
    judge_backends,
    judge_clocks,
    judge_disk,
    judge_drains,
    judge_logs,
    judge_mirror,
    judge_notices,
)
from models.health_of_prefect import Schedule, judge_schedules
from models.words import span_of
from tasks.health.presence import seen_here
from tasks.health.side_by_side import Answer, Question, SideBySide

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
WELL = Part(name="fine", status="ok", says="works")


def sign(worker: str, began: timedelta, seen: timedelta, process: str = "") -> Sign:
    """Return the sign of a drain that began and was seen so long ago."""
    return Sign(worker, NOW - began, NOW - seen, 10.0, process=process)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signs", "status", "says"),
    [
        ([], "down", "nobody serves the queues"),
        ([sign("a", HOUR, 35 * SECOND)], "ok", "a serves, last sign of life 35 seconds ago"),
        ([sign("a", HOUR, 36 * SECOND)], "down", "the drain a gave its last sign of life 36 seconds ago"),
        (
            [sign("a", HOUR, SECOND, "stopped")],
            "down",
            "the drain a gave its last sign of life 1 second ago, and its process is stopped",
        ),
        (
            [sign("a", HOUR, SECOND, "gone"), sign("b", HOUR, SECOND)],
            "down",
            (
                "the drain a gave its last sign of life 1 second ago, and its process is gone;"
                " b serves, last sign of life 1 second ago"
            ),
        ),
        (
            [sign("a", HOUR, 9 * MINUTE, "gone"), sign("b", MINUTE, SECOND)],
            "ok",
            "b serves, last sign of life 1 second ago",
        ),
        (
            [sign("a", 9 * HOUR, 2 * HOUR), sign("b", 9 * HOUR, SECOND)],
            "ok",
            "b serves, last sign of life 1 second ago",
        ),
        ([sign("a", 9 * HOUR, 2 * HOUR)], "down", "the drain a gave its last sign of life 2 hours ago"),
    ],
    ids=["none", "alive", "late", "stopped", "one is gone", "replaced", "long ago", "long ago, alone"],
)
def test_drains(signs: list[Sign], status: str, says: str) -> None:
    """Who serves is told, and who has ended without a word, until another one has begun after it."""
    found = judge_drains(signs, NOW)
    assert (found.status, found.says) == (status, says)
    assert bool(found.do) == (status != "ok")


def test_where_engines_serve_no_drain_is_asked_for() -> None:
    """Unless jobs wait that no engine takes, or a drain has ended without a word."""
    engines = judge_drains([], NOW, ["kawasaki"])
    assert (engines.status, engines.do) == ("ok", "")
    assert engines.says == "no drain, and nothing waits for one: engines serve kawasaki"
    assert judge_drains([], NOW, ["kawasaki"], ["rydberg"]).status == "down"
    assert judge_drains([sign("a", 9 * HOUR, 2 * HOUR)], NOW, ["kawasaki"]).status == "down"


@pytest.mark.parametrize(
    ("behind", "lag", "status"),
    [(0, None, "ok"), (3, MINUTE, "ok"), (3, MINUTE + SECOND, "odd"), (3, 10 * MINUTE + SECOND, "down")],
)
def test_the_mirror(behind: int, lag: timedelta | None, status: str) -> None:
    """It may be behind for a minute."""
    assert judge_mirror(behind, None if lag is None else NOW - lag, NOW).status == status


@pytest.mark.parametrize(
    ("room", "status"),
    [
        (Room("home", 100, 5), "ok"),
        (Room("home", 39), "odd"),
        (Room("home", 10), "odd"),
        (Room("home", 9), "down"),
        (Room("home", 100, 0), "down"),
    ],
)
def test_the_disk(room: Room, status: str) -> None:
    """Bytes have to be free, and files have to find a place."""
    assert judge_disk([Room("storage", 1000), room], 10).status == status


def test_clocks() -> None:
    """Five seconds are nothing to worry about; more are named, with their direction."""
    assert judge_clocks({}).says == "there is no other clock to compare with"
    assert judge_clocks({"Prefect": 5.0, "storage": -5.0}).status == "ok"
    wrong = judge_clocks({"Prefect": 5.1, "storage": -61.0, "the database": 0.0})
    assert wrong.status == "down"
    assert wrong.says == (
        "against this machine's clock that of Prefect is 5 seconds ahead, that of storage is 1 minute behind"
    )


def test_backends_and_logs() -> None:
    """A queue that nobody has looked at, and errors, are worth a look and no more."""
    assert judge_backends({"a": NOW - 5 * MINUTE}, NOW).status == "ok"
    late = judge_backends({"a": NOW, "b": None, "c": NOW - 6 * MINUTE}, NOW)
    assert (late.status, late.says) == ("odd", "queues last looked at: b (never), c (6 minutes ago)")
    assert late.do == "start a drain that serves them"
    late = judge_backends({"a": None, "k": None}, NOW, {"k"})
    assert late.do == "start the engine of k; start a drain that serves the others"
    assert judge_backends({"k": None, "l": None}, NOW, {"k", "l"}).do == "start the engines of k, l"
    assert judge_backends({"a": NOW}, NOW, unusable={"a"}).status == "ok"  # a drain has loaded it before
    hangs = judge_backends({"a": NOW, "b": None, "c": None}, NOW, unusable={"b"})
    assert hangs.do == "`quledger backends check b` says why b is not loaded; start a drain that serves the others"
    assert judge_logs({}).status == "ok"
    assert judge_logs({"worker.log": 2}).says == "2 errors in worker.log within a day"


@pytest.mark.parametrize(
    ("schedule", "enabled", "status", "says"),
    [
        (Schedule("r", NOW + 55 * MINUTE, None, 60.0), True, "ok", "runs are planned of r"),
        (Schedule("r", NOW + 48 * MINUTE, None, 60.0), True, "down", "Prefect's scheduler makes no more runs of r"),
        (Schedule("r", None, None, 60.0), True, "down", "Prefect's scheduler makes no more runs of r"),
        (Schedule("r", NOW + SECOND, None), True, "ok", "runs are planned of r"),
        (
            Schedule("r", NOW + 2 * HOUR, None, 3600.0),
            False,
            "down",
            "Prefect's scheduler is switched off, so no schedule fires",
        ),
        (Schedule("r", NOW + HOUR, NOW - 2 * MINUTE, 60.0), True, "ok", "runs are planned of r"),
        (
            Schedule("r", NOW + HOUR, NOW - 3 * MINUTE, 60.0),
            True,
            "down",
            "nobody runs what Prefect schedules: r has been due for 3 minutes",
        ),
    ],
    ids=["planned", "the plan ends", "no plan", "by calendar", "switched off", "just due", "late"],
)
def test_schedules(schedule: Schedule, enabled: bool, status: str, says: str) -> None:  # noqa: FBT001 - a column
    """Runs are planned for an hour; one that is due is taken within two minutes."""
    found = judge_schedules([schedule], NOW, 50 * MINUTE, enabled=enabled)
    assert (found.status, found.says) == (status, says)


def test_open_is_who_can_hand_in_and_read() -> None:
    """The log and one storage of several have to answer; nothing else."""

    def is_open(**status: str) -> bool:
        parts = [Part(name=name, status=each, says="") for name, each in status.items()]  # type: ignore[arg-type]
        return Health(asked_at=NOW, seconds=0.1, parts=tuple(parts)).is_open

    assert is_open(database="ok", storage="odd", drains="down", prefect="down")
    assert is_open(**{"database": "ok", "storage a": "down", "storage b": "ok"})
    assert not is_open(database="ok", storage="down")
    assert not is_open(database="down", storage="ok")


def test_what_hangs_is_named_and_not_asked_twice() -> None:
    """What depends on it is unknown, on one that is well down itself; a question that breaks is an answer too."""
    asked, over = [], threading.Event()

    def hang() -> Answer:
        asked.append(1)
        over.wait(60)
        return Answer([WELL])

    questions = [
        Question(("fine",), lambda: Answer([WELL], {"fine": 1.0})),
        Question(("slow", "behind it"), hang, do="look at it"),
        Question(("broken",), lambda: 1 / 0),  # type: ignore[arg-type,return-value]
        Question(("dependent",), lambda: over.wait(60), whose="slow"),  # type: ignore[arg-type,return-value]
        Question(("silent",), lambda: over.wait(60), whose=WELL.name, do="look"),  # type: ignore[arg-type,return-value]
    ]
    asking = SideBySide(deadline=0.2)
    began = time.monotonic()
    for _ in range(2):
        fine, slow, broken, dependent, silent = (answer.parts for answer in asking.ask(questions))
        assert [part.status for part in (*fine, *slow, *broken, *dependent, *silent)] == [
            *("ok", "down", "unknown", "down", "unknown", "down"),
        ]
        assert (silent[0].do, "has not answered for" in silent[0].says) == ("look", True)
        assert (slow[0].name, slow[0].do) == ("slow", "look at it")
        assert "has not answered for" in slow[0].says
        assert broken[0].says == "it could not be asked (ZeroDivisionError)"
    assert time.monotonic() - began < 20
    assert asked == [1]
    over.set()


def test_a_process_is_seen_by_the_name_of_its_worker() -> None:
    """On this machine alone; a number that nobody has is gone."""
    assert seen_here(f"{socket.gethostname()}:{os.getpid()}:0") == "there"
    assert seen_here(f"{socket.gethostname()}:{2**22 + 1}:0") == "gone"
    assert seen_here(f"elsewhere:{os.getpid()}:0") == ""
    assert seen_here("nonsense") == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 seconds"), (0.9, "0 seconds"), (59, "59 seconds"), (60, "1 minute"), (7199, "1 hour"), (172800, "2 days")],
)
def test_spans_in_words(seconds: float, said: str) -> None:
    """In the largest unit."""
    assert span_of(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("waiting", "status", "says"),
    [
        ({}, "ok", "nobody waits to be told"),
        ({"mail": (1, NOW - MINUTE), "webhook": (2, NOW)}, "ok", "3 notices to be told, for less than 10 minutes"),
        ({"mail": (1, NOW - HOUR), "webhook": (2, NOW)}, "odd", "the mail has not taken 1 notice"),
    ],
)
def test_notices_that_wait_are_counted(waiting: dict[str, tuple[int, datetime]], status: str, says: str):
    """A receiver that has not taken any for long is named."""
    found = judge_notices(waiting, NOW)
    assert (found.status, found.says) == (status, says)
