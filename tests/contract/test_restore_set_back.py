"""A log that was set back takes over what its mirror knows: forks, events that are set aside, and holds that end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from models.facts import Cancelled, CancelRequested
from models.job import State
from storage.audit.restore import Fork, LogNotEmpty, restore
from storage.audit.verify import Verifier
from storage.log.database import reading, writing
from storage.log.holds import Held, Holds
from tests.contract.conftest import Houses
from tests.contract.log_fixture import LogFixture
from tests.contract.set_back import AHEAD, anew, contents, finished, set_back


@pytest.fixture
def log_fixture(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """An empty log_fixture."""
    return log_fixtures(tmp_path)


def test_restore_brings_a_log_that_is_behind_up_to_its_mirror(log_fixture: LogFixture):
    """Jobs that are behind get the events that they lack, unknown ones come back, all others stay as they are."""
    finished(log_fixture)
    finished(log_fixture, "k")
    finished(log_fixture, "same")
    log_fixture.submit("ours-alone")
    histories = {job_id: log_fixture.log.history(job_id) for job_id in ("j", "k", "same", "ours-alone")}
    before = contents(log_fixture)
    set_back(log_fixture, "j", 2)
    set_back(log_fixture, "k", -1)
    with writing(log_fixture.log.engine) as connection:
        connection.execute(text("DELETE FROM mirror WHERE job_id = 'k'"))
    _, rollback, _ = anew(log_fixture)
    rollback._compare_histories("", log_fixture.storage, None)
    assert Holds(log_fixture.log.engine).count() == 2
    assert restore(log_fixture.log.engine, log_fixture.storage, ours=True) == {"jobs": 2, "events": 4 + 7}
    assert {job_id: log_fixture.log.history(job_id) for job_id in histories} == histories
    assert Holds(log_fixture.log.engine).count() == 0
    assert log_fixture.log.get("j").state is State.DONE
    relay, _, _ = anew(log_fixture)
    relay.update_all()
    assert {path: before.get(path) for path in before} == {path: contents(log_fixture).get(path) for path in before}
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []
    assert restore(log_fixture.log.engine, log_fixture.storage, ours=True) == {"jobs": 0, "events": 0}


def claim_again(log_fixture: LogFixture) -> None:
    """Go on with a log that was set back, in a way that nobody was told of."""
    log_fixture.claim()


def cancel(log_fixture: LogFixture) -> None:
    """Go on with it in a way that ends the job."""
    job = log_fixture.log.get("j")
    log_fixture.log.append(job, CancelRequested(by="u"), Cancelled(), attempt=job.attempt, actor="w")


@pytest.mark.parametrize(
    ("go_on", "kinds", "needs_word"),
    [(claim_again, ["claimed"], False), (cancel, ["cancel_requested", "cancelled"], True)],
)
def test_a_fork_is_settled_for_what_was_published(
    log_fixture: LogFixture,
    go_on: Callable[[LogFixture], None],
    kinds: list[str],
    needs_word: bool,  # noqa: FBT001 - a parameter of the test
):
    """What the log did alone is set aside and kept: unasked where it decided nothing, else only on somebody's word."""
    finished(log_fixture)
    published = log_fixture.log.history("j")
    set_back(log_fixture, "j", 0)
    go_on(log_fixture)
    alone = log_fixture.log.history("j")[1:]
    forks: list[Fork] = []
    restore(log_fixture.log.engine, log_fixture.storage, forks=forks)
    assert [fork.settled for fork in forks] == [not needs_word]
    assert f"from event 1 on the log holds {', '.join(kinds)}" in forks[0].message
    if needs_word:
        assert log_fixture.log.history("j")[1:] == alone
        assert "different stories from event 1 on" in Holds(log_fixture.log.engine).why("j")
        restore(log_fixture.log.engine, log_fixture.storage, forks=forks, mirror_wins=True)
    assert log_fixture.log.history("j") == published
    assert Holds(log_fixture.log.engine).count() == 0
    with reading(log_fixture.log.engine) as connection:
        kept = connection.execute(text("SELECT seq, kind, hash FROM set_aside ORDER BY seq")).all()
    assert [tuple(row) for row in kept] == [(event.seq, event.kind, event.hash) for event in alone]
    anew(log_fixture)[0].update_all()
    assert list(Verifier(log_fixture.log.engine, log_fixture.stores).all()) == []


def test_an_event_goes_only_where_it_was_set_aside(log_fixture: LogFixture):
    """The database itself refuses to delete any other event, and anything that was set aside."""
    log_fixture.submit()
    for statement in ("DELETE FROM event", "UPDATE event SET kind = 'x'", "DELETE FROM event WHERE job_id = 'none'"):
        if log_fixture.log.engine.dialect.name == "sqlite" and "none" in statement:
            continue  # it looks at rows, and there are none
        with pytest.raises(Exception, match="append-only"), writing(log_fixture.log.engine) as connection:
            connection.execute(text(statement))
    with writing(log_fixture.log.engine) as connection:
        columns = "job_id, seq, attempt, kind, data, recorded_at, actor, flow_run_id, prev_hash, hash"
        connection.execute(text(f"INSERT INTO set_aside ({columns}, set_aside_at) SELECT {columns}, 'now' FROM event"))
        connection.execute(text("DELETE FROM event"))
    for statement in ("DELETE FROM set_aside", "UPDATE set_aside SET kind = 'x'"):
        with pytest.raises(Exception, match="append-only"), writing(log_fixture.log.engine) as connection:
            connection.execute(text(statement))


def test_the_mirror_of_another_laboratory_is_not_mixed_in(
    log_fixture: LogFixture, tmp_path: Path, log_fixtures: Houses
):
    """A log that holds jobs takes nothing from a mirror that shares no job with it."""
    log_fixture.submit("ours")
    other = log_fixtures(tmp_path / "second")
    finished(other, "theirs")
    with pytest.raises(LogNotEmpty):
        restore(log_fixture.log.engine, other.storage)
    assert log_fixture.log.history("theirs") == []


def test_a_job_is_let_go_when_the_mirror_is_a_part_of_the_log_again(log_fixture: LogFixture):
    """A hold lasts for as long as the mirror knows more, and no longer: an operator may also put the mirror right."""
    finished(log_fixture)
    history = log_fixture.storage.get("events/rydberg/j.json")
    longer = json.loads(history)
    longer["events"].append(longer["events"][-1] | {"hash": "f" * 64})
    log_fixture.storage.put("events/rydberg/j.json", json.dumps(longer).encode())
    job = log_fixture.log.get("j")
    Holds(log_fixture.log.engine).put(Held("j", "", AHEAD))
    rollback = anew(log_fixture)[1]
    rollback.look_again("")
    assert Holds(log_fixture.log.engine).count() == 1
    log_fixture.storage.put("events/rydberg/j.json", history)
    rollback.look_again("")
    assert Holds(log_fixture.log.engine).count() == 0
    assert log_fixture.log.get("j") == job
