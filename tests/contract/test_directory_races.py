"""Processes append to control streams at once, or are killed in the midst of it: no chain and no view breaks."""

import time
from collections import Counter
from pathlib import Path

import pytest

from models.identity.facts import ProjectAdded, UserAdded
from models.identity.streams import project_stream, user_stream
from storage.audit.rebuild import rebuild
from storage.identity.audit import control_faults
from storage.identity.directory import Directory
from tests.contract.databases import Databases
from tests.contract.directory_racers import add_users, add_users_for_ever, change_one_user, use_tokens
from tests.processes import SECONDS, process, run_together

pytestmark = pytest.mark.slow

RACERS, NUMBER, LEAST = 3, 20, 10


def test_one_of_several_adds_a_user(tmp_path: Path, databases: Databases):
    """The others are told that there is one, and all go on."""
    url = databases.new(tmp_path)
    directory = Directory(databases.open(url))
    directory.append(project_stream("lab"), ProjectAdded(), actor="test")
    added = run_together(add_users, *((url, NUMBER) for _ in range(RACERS)))
    assert Counter(turn for each in added for turn in each) == dict.fromkeys(range(NUMBER), 1)
    assert directory.project("lab").members == {f"u{turn}": "viewer" for turn in range(NUMBER)}
    assert list(control_faults(directory.engine)) == []


def test_all_may_change_one_user(tmp_path: Path, databases: Databases):
    """Each change waits for the one before; none is lost."""
    url = databases.new(tmp_path)
    directory = Directory(databases.open(url))
    directory.append(user_stream("alice"), UserAdded(), actor="test")
    ids = run_together(change_one_user, *((url, NUMBER) for _ in range(RACERS)))
    alice = directory.user("alice")
    assert set(alice.tokens) == {token_id for each in ids for token_id in each}
    assert len(alice.tokens) == RACERS * NUMBER
    assert list(control_faults(directory.engine)) == []


def test_all_may_use_and_revoke_the_same_tokens(tmp_path: Path, databases: Databases):
    """Nobody waits for somebody who waits for him, nor for a rebuild."""
    url = databases.new(tmp_path)
    directory = Directory(databases.open(url))
    directory.append(user_stream("alice"), UserAdded(), actor="test")
    ids = [directory.issue(user_stream("alice"), actor="test").token_id for _ in range(NUMBER)]
    revoked = run_together(
        use_tokens, *((url, ids, NUMBER) for _ in range(RACERS)), meanwhile=lambda: rebuild(directory.engine)
    )
    assert revoked == [NUMBER] * RACERS
    assert all(listed.last_used_at for listed in directory.tokens())
    assert list(control_faults(directory.engine)) == []


def test_a_killed_process_leaves_whole_facts(tmp_path: Path, databases: Databases):
    """What it was just appending is there with its views, or is not there at all."""
    url = databases.new(tmp_path)
    directory = Directory(databases.open(url))
    child = process(add_users_for_ever, url)
    child.start()
    end = time.monotonic() + SECONDS
    while len(directory.tokens()) < LEAST:
        assert time.monotonic() < end
    child.kill()
    child.join()
    child.close()
    assert {len(user.tokens) for user in directory.users()} == {1}
    assert list(control_faults(directory.engine)) == []
    directory.append(user_stream("next"), UserAdded(), actor="test")
    assert directory.user("next").role == "member"
