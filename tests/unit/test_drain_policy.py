"""What a drain does next, and how long it pauses: no clock, no server, no sleep."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.policy import Do, DrainState, Rest, back_off, claim_pause, next_action, poll_pause, room


@pytest.mark.parametrize(
    ("first", "failures", "longest", "seconds"),
    [
        (0.5, 0, 30, 0.5),
        (0.5, 1, 30, 1),
        (0.5, 5, 30, 16),
        (0.5, 6, 30, 30),
        (0.5, 10_000, 1e10, 2.0**29),
        (0, 9, 30, 0),
    ],
)
def test_pauses_double_up_to_the_longest(first: float, failures: int, longest: float, seconds: float):
    """However often it has failed, there is a pause that a float can hold."""
    assert back_off(first, failures, longest) == seconds


def test_a_pause_is_half_a_minute_at_most_unless_it_is_said_otherwise():
    """And claims pause for a moment only after a first failure, and not at all after none."""
    assert back_off(1.0, 20) == 30
    assert [claim_pause(failures, 2.0) for failures in (0, 1, 2, 5, 6, 7)] == [0, 1, 2, 16, 30, 30]


@pytest.mark.parametrize(
    ("took", "found", "is_down", "seconds"),
    [
        (0.01, False, False, 0.2),
        (0.5, False, False, 5),
        (0.5, True, False, 0.5),
        (0.5, True, True, 0.5),
        (0.6, False, True, 5),
        (9.0, False, False, 30),
        (9.0, True, True, 5),
        (40.0, True, False, 30),
    ],
)
def test_a_slow_storage_is_looked_at_less_often(took: float, found: bool, is_down: bool, seconds: float):  # noqa: FBT001 - a case
    """Unless there is something to take; and one that is down is soon looked at again."""
    assert poll_pause(took, found=found, is_down=is_down, least=0.2) == seconds


BUSY = DrainState(running=1, room=1, poll_at=200.0, rest_seconds=2.0, until_empty=False, has_polled=True)
DONE = replace(BUSY, running=0, until_empty=True, may_claim=False)
OVER = replace(BUSY, is_over=True)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        # Looks come first, and once before each rest.
        (replace(BUSY, has_polled=False, poll_at=100.0, may_hand_on=True), Do.POLL),
        (replace(BUSY, has_polled=False, poll_at=100.5), Do.CLAIM),
        (replace(BUSY, has_polled=True, poll_at=100.0), Do.CLAIM),
        # Jobs for other workers need no room here.
        (replace(BUSY, may_hand_on=True, room=0), Do.HAND_ON),
        (replace(BUSY, may_hand_on=True, may_claim=False), Do.HAND_ON),
        (replace(BUSY, claim_at=100.0), Do.CLAIM),
        (replace(BUSY, claim_at=100.5), Rest(100.5)),
        (replace(BUSY, claim_at=100.5, may_hand_on=True, room=0), Rest(100.5)),
        (replace(BUSY, claim_at=100.5, room=0), Rest(200.0)),
        (replace(BUSY, claim_at=100.5, may_claim=False), Rest(200.0)),
        (replace(BUSY, claim_at=300.0), Rest(200.0)),
        (replace(BUSY, claim_at=300.0, end_at=150.0), Rest(150.0)),
        (replace(BUSY, room=0), Rest(200.0)),
        (replace(BUSY, room=-1), Rest(200.0)),
        (replace(BUSY, may_claim=False), Rest(200.0)),
        (replace(BUSY, may_claim=False, end_at=150.0), Rest(150.0)),
        # Nothing is left only after a look, with nothing running and nothing half written.
        (DONE, Do.VERIFY),
        (replace(DONE, is_empty=True), Do.FINISH),
        (replace(DONE, is_empty=True, has_polled=False), Do.POLL),
        (replace(DONE, is_empty=False), Rest(200.0)),
        (replace(DONE, running=1), Rest(200.0)),
        (replace(DONE, unsettled=1), Rest(200.0)),
        (replace(DONE, until_empty=False), Rest(200.0)),
        (replace(DONE, until_empty=False, is_empty=True), Rest(200.0)),
        (replace(DONE, may_claim=True, claim_at=150.0), Do.VERIFY),
        # When it is over nothing is begun, and jobs come to their end, or go on without it.
        (replace(BUSY, end_at=100.0, has_polled=False, poll_at=0.0), Rest(102.0)),
        (replace(BUSY, end_at=100.5), Do.CLAIM),
        (replace(BUSY, end_at=100.0, running=0), Do.FINISH),
        (replace(BUSY, end_at=100.0, leaves_jobs=True), Do.FINISH),
        (replace(OVER, has_polled=False, poll_at=0.0), Rest(102.0)),
        (replace(OVER, running=0), Do.FINISH),
        (replace(OVER, leaves_jobs=True), Do.FINISH),
        (replace(OVER, stopping_since=100.0), Rest(102.0)),
        (replace(OVER, stopping_since=96.0), Rest(101.0)),
        (replace(OVER, stopping_since=95.0), Do.FINISH),
        (replace(OVER, stopping_since=90.0), Do.FINISH),
    ],
)
def test_what_a_drain_does_next(state: DrainState, action: Do | Rest):
    """It is 100 by the steady clock; the next look is due at 200 unless the case says otherwise."""
    assert next_action(state, 100.0) == action


def test_a_drain_begins_with_a_look_and_knows_of_no_end():
    """So it is where nothing else is said."""
    fresh = DrainState(room=2, rest_seconds=0.2, until_empty=True)
    assert next_action(fresh, 1e9) is Do.POLL
    assert next_action(replace(fresh, has_polled=True), 1e9) is Do.CLAIM
    assert fresh == DrainState(
        running=0, room=2, poll_at=0.0, claim_at=0.0, end_at=float("inf"), rest_seconds=0.2, unsettled=0,
        until_empty=True, has_polled=False, may_hand_on=False, may_claim=True, is_empty=None, is_over=False,
        stopping_since=None, leaves_jobs=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("concurrency", "running", "at_work", "more"),
    [
        (4, 0, 0, 4),
        (4, 3, 3, 1),
        (4, 4, 4, 0),
        # One that has ended makes room, unless there are too many of those.
        (4, 4, 3, 1),
        (4, 5, 4, 0),
        (4, 7, 3, 1),
        (4, 8, 2, 0),
        (4, 7, 1, 1),
        (1, 1, 0, 1),
        (1, 2, 0, 0),
        (2, 5, 5, -3),
    ],
)
def test_a_job_that_has_ended_makes_room_for_another(concurrency: int, running: int, at_work: int, more: int):
    """Twice as many run at most."""
    assert room(concurrency, running=running, at_work=at_work) == more


@settings(deadline=None)
@given(
    arrivals=st.lists(st.integers(0, 30), max_size=12),
    lasting=st.lists(st.integers(1, 20), min_size=12, max_size=12),
    concurrency=st.integers(1, 3),
    end_at=st.integers(0, 120),
)
def test_a_drain_runs_all_it_can_and_ends(arrivals: list[int], lasting: list[int], concurrency: int, end_at: int):
    """Whenever jobs come and however long they last: no more at once than there is room, all, and none past the end."""
    queued, ends, now = sorted(arrivals), list[float](), 0.0
    begun = 0
    state = DrainState(room=concurrency, end_at=end_at, rest_seconds=1.0, until_empty=True)
    for _ in range(2000):
        state = replace(state, running=len(ends), room=concurrency - len(ends))
        action = next_action(state, now)
        if action is Do.FINISH:
            break
        if action is Do.POLL:
            state = replace(state, has_polled=True, poll_at=now + 3, may_claim=True, is_empty=None)
        elif action is Do.VERIFY:
            state = replace(state, is_empty=begun == len(queued))
        elif action is Do.CLAIM:
            assert len(ends) < concurrency
            assert now < end_at
            if begun < len(queued) and queued[begun] <= now:
                ends.append(now + lasting[begun])
                begun += 1
            else:
                state = replace(state, may_claim=False)
        else:
            assert isinstance(action, Rest)
            assert action.until > now
            now = min([action.until, *ends])
            ends = [end for end in ends if end > now]
            state = replace(state, has_polled=False, may_claim=True, is_empty=None)
    else:
        pytest.fail("it does not end")
    assert ends == []
    assert begun == len(queued) or now >= end_at
