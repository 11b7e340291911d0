"""Lists of jobs: whose, which, in what order, page by page, and without ever reading the whole table."""

import base64
import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from models.errors import InputError
from models.facts import Cancelled, Hidden, Submitted
from models.job import RUNNING, Job, State
from storage.log import job_lists
from storage.log.event_log import EventLog
from storage.log.job_lists import BadCursor, GroupRow, Query, count, count_by_state, groups, page
from storage.log.submissions import Entry, begin_all
from tests.contract.databases import Databases, on
from tests.contract.log_fixture import LATER, LOST, START

OPEN = RUNNING | {State.QUEUED}
OWNERS = ("alice", "bob", "eve")
NUMBER = 60


@pytest.fixture
def log(tmp_path: Path, databases: Databases) -> EventLog:
    """A log with jobs of three users, a second apart: of each five, three are proven; every fourth is of a project."""
    log = EventLog(databases.open(databases.new(tmp_path)))
    entries = [
        Entry(
            Submitted.of(
                b"{}",
                keep_up_to=9,
                backend=("rydberg", "fermions")[nth % 2],
                user=OWNERS[nth % 3],
                project="qed" if nth % 4 == 0 else "",
                source="api" if nth % 5 < 3 else "cli",
                group="g" if nth % 6 == 0 else "",
                labels={"sample": f"A{nth % 9}"} if nth % 2 else {},
                received_at=START,
            ),
            f"{nth % 7}-{nth:03}",
        )
        for nth in range(NUMBER)
    ]
    ticks = ticking()
    begin_all(log.engine, entries, "w", lambda: next(ticks))
    return log


def ticking() -> Iterator[datetime]:
    """Yield times a second apart."""
    moment = START
    while True:
        yield moment
        moment += timedelta(seconds=1)


def numbers(jobs: list[Job]) -> list[int]:
    """Return which jobs these are."""
    return [int(job.job_id[2:]) for job in jobs]


def walked(log: EventLog, query: Query, limit: int = 4) -> list[int]:
    """Go through a list page by page; each page but the last is full."""
    found: list[int] = []
    cursor = ""
    while True:
        shown, following = page(log.engine, query, limit=limit, cursor=cursor)
        found += numbers(shown)
        if following is None:
            assert len(shown) <= limit
            return found
        assert len(shown) == limit
        cursor = following


def proven(nth: int) -> bool:
    """Say whether the user of job number so has proven that it is his."""
    return nth % 5 < 3


def end(log: EventLog) -> None:
    """Bring the first ten of bob's proven jobs to an end of each kind; hide two of them."""
    mine = [nth for nth in range(NUMBER) if nth % 3 == 1 and proven(nth)][:10]
    for place, nth in enumerate(mine):
        job = log.get(f"{nth % 7}-{nth:03}")
        if place % 2:
            claimed = log.claim_job(job.job_id, "w", LATER)
            assert claimed is not None
            job = log.append(claimed, LOST, attempt=1, actor="w") if place != 9 else claimed
        else:
            job = log.append(job, Cancelled(), attempt=0, actor="w")
        if place in (2, 3):
            log.append(job, Hidden(by="bob"), attempt=job.attempt, actor="w")


@pytest.mark.parametrize("newest_first", [True, False])
def test_whose_jobs_are_listed(log: EventLog, newest_first: bool):  # noqa: FBT001 - a case
    """Own ones, those of projects, those under names that were linked, each job once; or all there are."""
    wanted = {
        Query(owner="alice"): lambda n: n % 3 == 0 and proven(n),
        Query(names=("alice",)): lambda n: n % 3 == 0 and not proven(n),
        Query(projects=("qed", "none")): lambda n: n % 4 == 0 and proven(n),
        Query(owner="alice", projects=("qed",)): lambda n: proven(n) and (n % 3 == 0 or n % 4 == 0),
        Query(owner="alice", names=("bob", "eve"), projects=("qed",)): lambda n: (
            (proven(n) and (n % 3 == 0 or n % 4 == 0)) or (not proven(n) and n % 3 > 0)
        ),
        Query(owner="nobody"): lambda _: False,
        Query(): lambda _: False,
        Query(everything=True): lambda _: True,
        Query(everything=True, user="bob"): lambda n: n % 3 == 1,
        Query(everything=True, project="qed"): lambda n: n % 4 == 0,
        Query(owner="alice", project="qed"): lambda n: n % 12 == 0 and proven(n),
        Query(projects=("qed",), user="eve"): lambda n: n % 4 == 0 and n % 3 == 2 and proven(n),
    }
    for query, right in wanted.items():
        asked = Query(**{name: getattr(query, name) for name in query.__slots__} | {"newest_first": newest_first})
        expected = [nth for nth in range(NUMBER) if right(nth)]
        assert walked(log, asked) == (expected[::-1] if newest_first else expected), query
        assert count(log.engine, asked) == len(expected), query


def test_which_of_them_are_listed(log: EventLog):
    """By backend, time, and how their ids begin."""
    start, end = START + timedelta(seconds=10), START + timedelta(seconds=30)
    wanted = {
        Query(everything=True, backend="fermions"): lambda n: n % 2 == 1,
        Query(everything=True, since=start, until=end): lambda n: 10 <= n < 30,
        Query(owner="bob", since=start): lambda n: n >= 10 and n % 3 == 1 and proven(n),
        Query(everything=True, since=start, until=end, newest_first=False): lambda n: 10 <= n < 30,
        Query(everything=True, prefix="3-"): lambda n: n % 7 == 3,
        Query(owner="bob", prefix="3-0"): lambda n: n % 7 == 3 and n % 3 == 1 and proven(n),
        Query(everything=True, group="g"): lambda n: n % 6 == 0,
        Query(owner="alice", group="g", since=start): lambda n: n >= 10 and n % 6 == 0 and proven(n),
        Query(everything=True, group="G"): lambda _: False,
        Query(everything=True, labels=(("sample", "A7"),)): lambda n: n % 2 and n % 9 == 7,
        Query(everything=True, labels=(("sample", "a7"),)): lambda _: False,
        Query(owner="bob", labels=(("sample", "A7"),)): lambda n: n % 2 and n % 9 == 7 and n % 3 == 1 and proven(n),
        Query(everything=True, prefix="nosuch"): lambda _: False,
        Query(everything=True, prefix="../%"): lambda _: False,
    }
    for query, right in wanted.items():
        expected = [nth for nth in range(NUMBER) if right(nth)]
        assert walked(log, query, 3) == (expected[::-1] if query.newest_first else expected), query
        assert count(log.engine, query) == len(expected), query
        assert sum(count_by_state(log.engine, query).values()) == len(expected), query


def test_many_ids_that_begin_alike_are_listed_too(log: EventLog, monkeypatch: pytest.MonkeyPatch):
    """Where more of them begin so than are looked at one by one."""
    monkeypatch.setattr("storage.log.job_lists.FEW", 3)
    expected = [nth for nth in range(NUMBER) if nth % 7 == 3]
    assert walked(log, Query(everything=True, prefix="3-", newest_first=False), 2) == expected


def test_jobs_in_some_states(log: EventLog):
    """One state or several, of one owner or of all; what is hidden is left out unless it is asked for."""
    end(log)
    mine = [nth for nth in range(NUMBER) if nth % 3 == 1 and proven(nth)]
    cancelled, failed, running, rest = mine[0:10:2], mine[1:8:2], [mine[9]], mine[10:]
    wanted = [
        ({State.CANCELLED}, [cancelled[0], *cancelled[2:]]),
        ({State.ERROR}, [failed[0], *failed[2:]]),
        ({State.ERROR, State.CANCELLED}, sorted([cancelled[0], *cancelled[2:], failed[0], *failed[2:]])),
        (RUNNING, running),
        ({State.CLAIMED}, running),
        ({State.VALIDATED}, []),
        (OPEN, running + rest),
        ({State.DONE}, []),
        (set(State), [nth for nth in mine if nth not in (mine[2], mine[3])]),
    ]
    for states, expected in wanted:
        query = Query(owner="bob", states=frozenset(states), newest_first=False)
        assert walked(log, query) == expected, states
        assert count(log.engine, query) == len(expected), states
    hidden = Query(owner="bob", newest_first=False, with_hidden=True)
    assert walked(log, hidden) == mine
    assert count(log.engine, hidden) == len(mine)
    assert walked(log, Query(everything=True, states=frozenset({State.ERROR}), with_hidden=True)) == failed[::-1]
    assert (count(log.engine, Query(everything=True)), len(walked(log, Query(everything=True)))) == (58, 58)


def test_a_page_stays_where_it_is_while_jobs_come_and_end(log: EventLog):
    """New jobs come before the first page, and no page behind it moves."""
    query = Query(owner="bob")
    shown, cursor = page(log.engine, query, limit=4)
    end(log)
    fact = Submitted.of(b"{}", keep_up_to=9, backend="rydberg", user="bob", source="api", received_at=START)
    begin_all(log.engine, [Entry(fact)], "w")
    assert cursor is not None
    mine = [nth for nth in range(NUMBER) if nth % 3 == 1 and proven(nth)]
    visible = [nth for nth in mine if nth not in (mine[2], mine[3])]
    following = page(log.engine, query, limit=1000, cursor=cursor)
    assert numbers(shown) + numbers(following.jobs) == visible[::-1]
    assert following.next_cursor is None


def forged(*said: object) -> str:
    """Return a cursor that says this."""
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode()


def test_a_cursor_that_was_not_given_is_refused(log: EventLog):
    """Nonsense, one of another list, and one that was changed."""
    query = Query(owner="bob")
    cursor = page(log.engine, query, limit=4).next_cursor
    assert cursor is not None
    assert cursor.replace("-", "").replace("_", "").isalnum()
    other = page(log.engine, Query(owner="alice"), limit=4).next_cursor
    moment, job_id, name = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    lists = [
        *("x", "ä", "===", "a" * 5000, "[" * 900, other, cursor[:-4], f"{cursor}x"),
        *(forged(), forged(moment, job_id), forged(moment, "../x", name), forged(moment, 7, name)),
        *(forged("yesterday", job_id, name), forged(None, job_id, name), forged("2026-11-21", job_id, name)),
        *(forged({"a": moment}, job_id, name), forged(moment, job_id, "other")),
        forged("0001-01-01T00:00:00+23:00", job_id, name),
    ]
    for wrong in lists:
        with pytest.raises(BadCursor, match="begin without one"):
            page(log.engine, query, cursor=wrong or "none")
    for limit in (0, -1, 1001):
        with pytest.raises(InputError, match="from 1 to 1000"):
            page(log.engine, query, limit=limit)


def test_many_jobs_are_looked_at_in_one_statement(log: EventLog):
    """Who waits for changes asks for the states of all jobs, and for the events behind the last that it knows."""
    ids = [f"{nth % 7}-{nth:03}" for nth in range(NUMBER)]
    found = log.states([*ids, "unknown"])
    assert found == dict.fromkeys(ids, (State.QUEUED, 0))
    end(log)
    changed = [job_id for job_id, known in log.states(ids).items() if known != found[job_id]]
    assert len(changed) == 10
    history = log.history(changed[0])
    assert log.history_after(changed[0], 0) == history[1:]
    assert log.history_after(changed[0], history[-1].seq) == []
    assert log.states([]) == {}


USUAL = [
    *(Query(owner="bob"), Query(owner="bob", with_hidden=True), Query(owner="bob", newest_first=False)),
    *(Query(owner="bob", states=frozenset({state})) for state in State),
    *(Query(owner="bob", states=OPEN), Query(names=("bob",)), Query(owner="bob", projects=("qed",), names=("eve",))),
    *(Query(owner="bob", since=START), Query(owner="bob", until=START), Query(owner="bob", backend="rydberg")),
    *(Query(everything=True), Query(everything=True, user="bob"), Query(everything=True, project="qed")),
    *(Query(everything=True, states=frozenset({state})) for state in State if state is not State.DONE),
    *(Query(everything=True, group="g"), Query(owner="bob", group="g")),
]


def plans_of(log: EventLog, query: Query) -> list[str]:
    """Return the plans of all statements that ask for the first page and for the one behind it."""
    asked: list[tuple[str, object]] = []
    event.listen(log.engine, "before_cursor_execute", lambda _c, _k, said, values, *_: asked.append((said, values)))
    cursor = page(log.engine, query, limit=1).next_cursor
    page(log.engine, query, limit=1, cursor=cursor or "")
    with log.engine.connect() as connection:
        return [
            row[3]
            for said, values in asked
            if said.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values)
        ]


@on("sqlite")
@pytest.mark.parametrize("query", USUAL)
def test_no_usual_list_reads_or_sorts_the_table(log: EventLog, query: Query):
    """On the first page and behind a cursor each lane is read through an index, in its order."""
    end(log)
    plans = plans_of(log, query)
    assert plans
    for line in plans:
        assert "TEMP B-TREE" not in line, plans
        assert "SCAN job" not in line or line == "SCAN job USING INDEX ix_job_recent", plans


@on("sqlite")
def test_the_few_jobs_of_a_backend_are_not_looked_for_among_all(log: EventLog, monkeypatch: pytest.MonkeyPatch):
    """They may be the oldest ones. Of a backend that has many the newest are soon met."""
    query = Query(everything=True, backend="rydberg")
    plans = plans_of(log, query)
    assert plans
    assert all("ix_job_recent" not in line and "SCAN job" not in line for line in plans), plans
    jobs = page(log.engine, query).jobs
    monkeypatch.setattr(job_lists, "MANY", len(jobs) - 1)
    assert "SCAN job USING INDEX ix_job_recent" in plans_of(log, query)
    assert page(log.engine, query).jobs == jobs


@on("sqlite")
def test_of_jobs_with_labels_those_without_are_not_read(log: EventLog):
    """Whoever looks for a label goes through an index that holds the labels."""
    asked: list[tuple[str, object]] = []
    event.listen(log.engine, "before_cursor_execute", lambda _c, _k, said, values, *_: asked.append((said, values)))
    page(log.engine, Query(everything=True, labels=(("sample", "A7"),)), limit=1)
    with log.engine.connect() as connection:
        (said, values) = next(each for each in asked if each[0].startswith("SELECT"))
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values).all()]
    assert plan == ["SCAN job USING INDEX ix_job_labelled"]


@pytest.mark.parametrize("query", [Query(backend="\0"), Query(user="a\0"), Query(project="\0"), Query(prefix="a\0")])
def test_no_job_has_a_zero_in_a_name(log: EventLog, query: Query) -> None:
    """That is an empty list, and not a database that cannot be used."""
    everything = dataclasses.replace(query, everything=True)
    assert (page(log.engine, everything).jobs, count(log.engine, everything)) == ([], 0)


def test_groups_are_listed_with_the_jobs_of_a_list(log: EventLog) -> None:
    """The one that was last used first, and only those to which such a job belongs."""
    last = START + timedelta(seconds=54)
    assert groups(log.engine, Query(everything=True), 9) == [GroupRow("g", 10, last)]
    mine = [nth for nth in range(0, NUMBER, 6) if proven(nth)]
    assert groups(log.engine, Query(owner="alice"), 9) == [
        GroupRow("g", len(mine), START + timedelta(seconds=max(mine)))
    ]
    assert groups(log.engine, Query(owner="bob"), 9) == []
    assert count_by_state(log.engine, Query(everything=True, prefix="a\0")) == {}
