"""The streams of backends are mirrored, so that a pause outlives the database; those of people never are."""

import json
from pathlib import Path

import pytest

from models.errors import MirrorBroken
from models.identity.facts import UserAdded
from models.identity.streams import user_stream
from storage.audit.restore import Fork, restore
from storage.identity.audit import control_faults
from storage.identity.directory import Directory
from storage.identity.pauses import pause, resume
from storage.identity.stream_mirror import Written, mirror
from storage.log.pauses import pauses
from tests.contract.conftest import Houses
from tests.contract.databases import Databases
from tests.contract.log_fixture import LogFixture

PATH = "control/backend/rydberg.json"


class Lab:
    """A log with a job, and a paused backend, both mirrored."""

    def __init__(self, log_fixture: LogFixture, databases: Databases, folder: Path) -> None:
        self.storage, self.engine = log_fixture.storage, log_fixture.log.engine
        self._databases, self._folder = databases, folder
        self.directory, self.written = Directory(self.engine), Written()
        log_fixture.submit()
        log_fixture.relay.update_all()
        self.directory.append(user_stream("alice"), UserAdded(), actor="op")
        pause(self.directory, "rydberg", reason="laser", actor="op")
        self.mirror()

    def mirror(self) -> None:
        mirror(self.engine, self.storage, self.written)

    def empty(self) -> Directory:
        """Return another log, with nothing in it."""
        return Directory(self._databases.open(self._databases.new(self._folder / "other")))

    def events(self) -> list[str]:
        return [event["kind"] for event in json.loads(self.storage.get(PATH))["events"]]


@pytest.fixture
def lab(tmp_path: Path, log_fixtures: Houses, databases: Databases) -> Lab:
    """A laboratory with a pause."""
    return Lab(log_fixtures(tmp_path), databases, tmp_path)


def test_a_pause_outlives_the_database(lab: Lab):
    """A log that is made from nothing has it; of users nothing lies in the storage."""
    other = lab.empty()
    restore(other.engine, lab.storage)
    assert pauses(other.engine) == pauses(lab.engine)
    assert list(control_faults(other.engine)) == []
    assert [entry.name for entry in lab.storage.entries("control/backend")] == ["rydberg.json"]
    assert not list(lab.storage.entries("control/user"))
    assert resume(other, "rydberg", actor="op") is not None


def test_the_mirror_follows_and_a_log_that_is_behind_catches_up(lab: Lab):
    """What the mirror knows more is taken over, and never written over."""
    other = lab.empty()
    restore(other.engine, lab.storage)
    resume(lab.directory, "rydberg", actor="op")
    lab.mirror()
    assert lab.events() == ["backend_paused", "backend_resumed"]
    mirror(other.engine, lab.storage, {})
    assert lab.events() == ["backend_paused", "backend_resumed"]
    restore(other.engine, lab.storage)
    assert pauses(other.engine) == {}
    assert list(control_faults(other.engine)) == []


def test_two_ways_are_named_and_the_logs_stays(lab: Lab):
    """A log that was set back and went on in another way; a document that is not what was written."""
    other = lab.empty()
    restore(other.engine, lab.storage)
    pause(other, "rydberg", reason="vacuum", actor="op")
    resume(lab.directory, "rydberg", actor="op")
    lab.mirror()
    forks: list[Fork] = []
    restore(other.engine, lab.storage, forks=forks)
    said = "log and mirror of backend/rydberg each hold events that the other does not; the log's stay"
    assert [(fork.job_id, fork.settled, fork.message) for fork in forks] == [("backend/rydberg", False, said)]
    assert pauses(other.engine)["rydberg"].reason == "vacuum"
    mirror(other.engine, lab.storage, {})
    assert lab.events() == ["backend_paused", "backend_resumed"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("laser", "magic"), "event 0 is not what was written"),
        (lambda text: text.replace("backend/rydberg", "backend/fermions"), "it is no stream of this backend"),
        (lambda text: text.replace('"version": 1, "stream"', '"version": 2, "stream"'), "a stream of version 2"),
        (lambda _text: '{"version": 1, "stream": "backend/rydberg", "events": [5]}', "no list of events"),
        (lambda _text: "[" * 100_000, "it is not JSON"),
    ],
)
def test_a_damaged_one_is_named(lab: Lab, change: object, said: str):
    """And nothing is restored; nor is it written over."""
    assert callable(change)
    text = change(lab.storage.get(PATH).decode())
    lab.storage.put(PATH, text.encode())
    with pytest.raises(MirrorBroken, match=said):
        restore(lab.empty().engine, lab.storage)
    mirror(lab.engine, lab.storage, {})
    assert lab.storage.get(PATH).decode() == text
