"""What each event changes in the job, and what it leaves alone."""

from datetime import timedelta

import pytest

from models.cancelling import why_cancelled
from models.events import GENESIS, seal, uploaded_at
from models.facts import Cancelled, CancelRequested, Completed, Fact, Failed, Labelled, Withdrawn
from models.job import Job, Phase, State, apply, fold
from tests.unit.histories import (
    CANCEL_REQUESTED,
    CLAIMED,
    CLAIMED_FOR_ANOTHER,
    CLAIMED_OF_OLD,
    COMPILED,
    DONE,
    EXECUTED,
    EXPIRED,
    FAILED,
    GAVE_UP,
    HANDED_OVER,
    HIDDEN,
    LABELLED,
    LATER,
    MINE,
    NOW,
    OTHERS,
    REFUSED,
    REMOVED,
    RETRIED,
    REVIVED,
    SUBMITTED,
    UPLOADED,
    VALIDATED,
    WRONG,
    history,
    job_after,
)


def at(seconds: int) -> str:
    """Return a time of the history as a job's dump has it."""
    return f"2026-11-21T09:00:{seconds:02}.000000+00:00"


def dumped(job: Job) -> dict[str, object]:
    """Return the job as it is stored, without what every event changes."""
    return job.model_dump(mode="json", exclude={"seq", "last_hash", "updated_at"})


def changed(before: tuple[Fact, ...], fact: Fact) -> dict[str, object]:
    """Return the fields that a fact changes, and to what; None for those that it takes away."""
    old, new = dumped(job_after(*before)), dumped(job_after(*before, fact))
    return {name: new.get(name) for name in old | new if old.get(name) != new.get(name)}


def test_a_job_begins_as_it_was_submitted():
    """The first event gives who, what, where and when; nothing has happened yet."""
    events = history(SUBMITTED, flow_run_id="run-1")
    job = fold(events)
    assert job is not None
    assert job.model_dump(mode="json") == {
        "job_id": "j",
        "backend": "rydberg",
        "user": "ann",
        "project": "qed",
        "priority": 3,
        "source": "cli",
        "storage": "lab",
        "document_sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "document_bytes": 2,
        "received_at": "2026-11-21T08:59:55.000000+00:00",
        "submitted_at": at(0),
        "updated_at": at(0),
        "state": "QUEUED",
        "seq": 0,
        "last_hash": events[0].hash,
        "attempt": 0,
        "failures": 0,
        "not_before": None,
        "worker": None,
        "lease_until": None,
        "flow_run_id": "run-1",
        "executed": None,
        "uploaded": None,
        "stage": None,
        "blame": None,
        "faults": [],
        "fault_count": 0,
        "cancel_requested": False,
    }


LEASED = {"worker": "w", "lease_until": "2026-11-21T09:01:00.000000+00:00", "lease_seconds": 60.0, "holder": MINE}
REVIVAL = {"state": "QUEUED", "stage": None, "blame": None, "faults": [], "fault_count": 0}
RELEASED = dict.fromkeys(LEASED)


@pytest.mark.parametrize(
    ("before", "fact", "changes"),
    [
        ((SUBMITTED,), CLAIMED, {"state": "CLAIMED", "attempt": 1, **LEASED}),
        (
            (SUBMITTED,),
            CLAIMED_FOR_ANOTHER,
            {"state": "CLAIMED", "attempt": 1, **LEASED, "worker": "w/pool", "handed_on": True},
        ),
        ((SUBMITTED, CLAIMED, RETRIED), CLAIMED, {"state": "CLAIMED", "attempt": 2, "not_before": None, **LEASED}),
        (
            (SUBMITTED, CLAIMED, VALIDATED, COMPILED, EXECUTED, RETRIED),
            CLAIMED,
            {"state": "EXECUTED", "attempt": 2, "not_before": None, **LEASED},
        ),
        (
            (SUBMITTED, CLAIMED_FOR_ANOTHER),
            HANDED_OVER,
            {
                "worker": "p",
                "lease_until": "2026-11-21T09:01:05.000000+00:00",
                "lease_seconds": 65.0,
                "holder": OTHERS,
                "handed_on": None,
            },
        ),
        (DONE[:2], VALIDATED, {"state": "VALIDATED"}),
        (DONE[:3], COMPILED, {"state": "COMPILED"}),
        (DONE[:4], EXECUTED, {"state": "EXECUTED", "executed": EXECUTED.model_dump(mode="json")}),
        (DONE[:5], UPLOADED, {"state": "UPLOADED", "uploaded": UPLOADED.model_dump(mode="json")}),
        (DONE[:6], Completed(), {"state": "DONE", **RELEASED}),
        (
            DONE[:2],
            FAILED,
            {
                "state": "ERROR",
                "stage": "validation",
                "blame": "user",
                "faults": [WRONG.model_dump()],
                "fault_count": 3,
                **RELEASED,
            },
        ),
        ((SUBMITTED,), CANCEL_REQUESTED, {"cancel_requested": True}),
        (DONE[:4], CANCEL_REQUESTED, {"cancel_requested": True}),
        ((SUBMITTED, CLAIMED_FOR_ANOTHER), Cancelled(), {"state": "CANCELLED", "handed_on": None, **RELEASED}),
        (DONE[:2], Withdrawn(), {"state": "WITHDRAWN", **RELEASED}),
        (DONE[:2], EXPIRED, {"holder": ""}),
        ((SUBMITTED, CLAIMED_OF_OLD), EXPIRED, {}),
        (DONE[:3], RETRIED, {"state": "QUEUED", "failures": 1, "not_before": at(2), **RELEASED}),
        (DONE[:3], RETRIED.model_copy(update={"counted": False}), {"state": "QUEUED", "not_before": at(2), **RELEASED}),
        (
            (*DONE[:2], RETRIED, CLAIMED, VALIDATED, COMPILED, EXECUTED),
            RETRIED.model_copy(update={"run_again": True}),
            {"state": "QUEUED", "failures": 2, "not_before": at(2), "executed": None, **RELEASED},
        ),
        (
            (*DONE[:2], RETRIED, CLAIMED, CANCEL_REQUESTED, GAVE_UP),
            REVIVED,
            {**REVIVAL, "failures": 0, "cancel_requested": False},
        ),
        ((*DONE[:2], Withdrawn()), REVIVED, {"state": "QUEUED"}),
        (DONE, HIDDEN, {"is_hidden": True}),
        (DONE, REMOVED, {"is_result_removed": True}),
        ((SUBMITTED, CLAIMED, GAVE_UP, HIDDEN), REVIVED, {**REVIVAL, "is_hidden": None}),
        (DONE[:3], LABELLED, {"labels": {"sample": "A7"}}),
        ((*DONE, LABELLED), Labelled(by="ann", labels={"n": "2"}, removed=("sample",)), {"labels": {"n": "2"}}),
        (DONE[:3], REFUSED, {}),
    ],
)
def test_a_fact_changes_what_it_tells_and_nothing_else(
    before: tuple[Fact, ...], fact: Fact, changes: dict[str, object]
):
    """Fact by fact: the fields of the job that change, and their new values."""
    assert changed(before, fact) == changes


def test_a_revived_job_waits_for_no_time():
    """The pause of an attempt long ago is over for a job that an operator gives another chance."""
    failed = job_after(SUBMITTED, CLAIMED, RETRIED, Cancelled())
    assert failed.not_before == NOW + timedelta(seconds=2)
    assert job_after(SUBMITTED, CLAIMED, RETRIED, GAVE_UP, REVIVED).not_before is None


def test_every_event_moves_the_job_on():
    """Place, hash and time of a job are those of its last event."""
    for facts in (DONE, (SUBMITTED, CLAIMED_FOR_ANOTHER, HANDED_OVER), (SUBMITTED, CLAIMED, EXPIRED, GAVE_UP, REVIVED)):
        events = history(*facts)
        for length in range(1, len(facts) + 1):
            job, last = fold(events[:length]), events[length - 1]
            assert job is not None
            assert (job.seq, job.last_hash) == (length - 1, last.hash)
            assert (job.submitted_at, job.updated_at) == (NOW, NOW + timedelta(seconds=length - 1))


def test_a_job_that_is_hidden_ended_when_it_did():
    """The wish, or a label, is an event like others, but no part of the job's run."""
    ended, hidden = job_after(*DONE), job_after(*DONE, HIDDEN, LABELLED, REMOVED)
    assert (hidden.seq, hidden.updated_at) == (ended.seq + 3, ended.updated_at)


def test_the_last_run_that_wrote_is_the_jobs():
    """A flow run becomes the job's with its first event, unless it is refused; an event without one changes nothing."""
    job = fold(history(SUBMITTED, CLAIMED, flow_run_id="run-1"))
    assert job is not None
    for fact, run, right in ((VALIDATED, None, "run-1"), (VALIDATED, "run-2", "run-2"), (REFUSED, "run-2", "run-1")):
        event = seal(
            fact,
            job_id="j",
            seq=2,
            attempt=1,
            recorded_at=LATER,
            actor="w",
            flow_run_id=run,
            prev_hash=job.last_hash,
        )
        assert apply(job, event).flow_run_id == right


def test_only_the_first_event_begins_a_history():
    """A history that begins with something else, or elsewhere, is none."""
    for fact, seq, said in ((CLAIMED, 0, "claimed at 0"), (SUBMITTED, 1, "submitted at 1")):
        event = seal(
            fact, job_id="j", seq=seq, attempt=0, recorded_at=NOW, actor="w", flow_run_id=None, prev_hash=GENESIS
        )
        with pytest.raises(ValueError, match=rf"^a history begins with submitted at 0, not with {said}$"):
            apply(None, event)


def test_an_event_follows_the_one_before_it():
    """Neither a gap nor another chain is folded."""
    events = history(*DONE)
    job = fold(events[:2])
    for event, said in ((events[3], 3), (events[1], 1), (events[2].model_copy(update={"prev_hash": GENESIS}), 2)):
        with pytest.raises(ValueError, match=rf"^event {said} does not follow event 1$"):
            apply(job, event)
    assert fold([]) is None


def test_the_time_of_the_upload_is_that_of_the_last_one():
    """A result that was uploaded twice counts from the second time; without an upload there is no time."""
    again = (*DONE[:6], RETRIED, CLAIMED, UPLOADED)
    assert uploaded_at(history(*again)) == NOW + timedelta(seconds=8)
    assert uploaded_at(history(*again[:7])) == NOW + timedelta(seconds=5)
    assert uploaded_at(history(*DONE[:5])) is None


def test_who_cancelled_a_job_and_why():
    """The last request counts."""
    asked = (CancelRequested(by="bob"), CancelRequested(by="ann", reason="wrong sample"))
    assert why_cancelled(history(SUBMITTED)) == ""
    assert why_cancelled(history(SUBMITTED, asked[0])) == "by bob"
    assert why_cancelled(history(SUBMITTED, *asked, Cancelled())) == "wrong sample (by ann)"


@pytest.mark.parametrize(
    ("facts", "state", "phase"),
    [
        ((SUBMITTED,), State.QUEUED, Phase.WAITING),
        (DONE[:2], State.CLAIMED, Phase.RUNNING),
        (DONE[:3], State.VALIDATED, Phase.RUNNING),
        (DONE[:4], State.COMPILED, Phase.RUNNING),
        (DONE[:5], State.EXECUTED, Phase.RUNNING),
        (DONE[:6], State.UPLOADED, Phase.RUNNING),
        (DONE, State.DONE, Phase.FINAL),
        ((*DONE[:2], FAILED), State.ERROR, Phase.FINAL),
        ((SUBMITTED, Cancelled()), State.CANCELLED, Phase.FINAL),
        ((*DONE[:2], Withdrawn()), State.WITHDRAWN, Phase.FINAL),
    ],
)
def test_each_state_belongs_to_one_phase(facts: tuple[Fact, ...], state: State, phase: Phase):
    """A queue asks only whether a job waits, runs or is over."""
    job = job_after(*facts)
    assert (job.state, job.phase) == (state, phase)


def test_the_reason_tells_the_faults_and_counts_the_rest():
    """The faults that the event keeps are spelt out; a job without any has no reason."""
    one = Failed(stage="execution", blame="user", faults=(WRONG,), fault_count=1)
    assert job_after(*DONE[:2], one).reason == "experiment_0: wrong"
    assert job_after(*DONE[:2], one.model_copy(update={"fault_count": 2})).reason == "experiment_0: wrong; and 1 more"
    assert job_after(*DONE).reason == ""
