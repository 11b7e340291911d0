"""The state machine: what may follow what, and what a history folds to."""

from datetime import UTC, datetime, timedelta

import pytest

from models.errors import Fault
from models.events import GENESIS, Event, seal
from models.facts import (
    Cancelled,
    CancelRequested,
    Claimed,
    Compiled,
    Completed,
    Executed,
    Fact,
    Failed,
    HandedOver,
    LeaseExpired,
    Refused,
    Retried,
    Revived,
    Submitted,
    Uploaded,
    Validated,
    Withdrawn,
)
from models.job import Job, Phase, State, Waiting, apply, fairest, fold, why_not
from models.retry import KEPT_FAULTS, RetryPolicy, after_attempt, failure, given_back
from models.status import status_document

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SUBMITTED = Submitted.of(b"{}", keep_up_to=100, backend="singlequdit", user="ann", source="cli", received_at=NOW)
CLAIMED = Claimed(worker="w1", lease_until=NOW + timedelta(seconds=60))
VALIDATED = Validated(experiments=1, shots=10)
COMPILED = Compiled(program_sha256="p", program_bytes=3, seed=5)
EXECUTED = Executed(
    seconds=0.1,
    cpu_seconds=0.1,
    seed=5,
    versions={"python": "3.11"},
    backend_config_sha256="c",
    result_sha256="r",
    result_bytes=9,
    staged="staged/x/r.json",
)
UPLOADED = Uploaded(path="results/x", bytes=9, sha256="r")
FAILED = Failed(
    stage="validation", blame="user", faults=(Fault(message="wrong", experiment="experiment_0"),), fault_count=1
)
RETRIED = Retried(reason="storm", after_seconds=1, not_before=NOW)
ALL: tuple[Fact, ...] = (
    SUBMITTED,
    CLAIMED,
    VALIDATED,
    COMPILED,
    EXECUTED,
    UPLOADED,
    Completed(),
    FAILED,
    CancelRequested(by="ann"),
    Cancelled(),
    LeaseExpired(worker="w1", lease_until=NOW),
    RETRIED,
    Refused(refused_kind="executed", refused_attempt=1, worker="w1", reason="late"),
)


def history(*facts: Fact) -> list[Event]:
    """Return the events that hold the facts, one after the other; each claim begins an attempt."""
    events: list[Event] = []
    attempt = 0
    for seq, fact in enumerate(facts):
        attempt += fact.kind == "claimed"
        prev_hash = events[-1].hash if events else GENESIS
        events.append(
            seal(
                fact,
                job_id="j",
                seq=seq,
                attempt=attempt,
                recorded_at=NOW + timedelta(seconds=seq),
                actor="w1",
                flow_run_id=None,
                prev_hash=prev_hash,
            )
        )
    return events


def job_after(*facts: Fact) -> Job:
    """Return the job that the facts, one after the other, fold to."""
    job = fold(history(*facts))
    assert job is not None
    return job


DONE = (SUBMITTED, CLAIMED, VALIDATED, COMPILED, EXECUTED, UPLOADED, Completed())


@pytest.mark.parametrize(
    ("length", "state"),
    [
        (1, State.QUEUED),
        (2, State.CLAIMED),
        (3, State.VALIDATED),
        (4, State.COMPILED),
        (5, State.EXECUTED),
        (6, State.UPLOADED),
        (7, State.DONE),
    ],
)
def test_a_good_job_passes_every_state_in_order(length: int, state: State):
    """Each event of a good job leads to the next state."""
    assert job_after(*DONE[:length]).state is state


HANDED_OVER = HandedOver(worker="w2", lease_until=NOW, lease_seconds=60, holder="h")
HISTORIES: dict[str, tuple[Fact, ...]] = {
    "QUEUED": DONE[:1],
    "CLAIMED": DONE[:2],
    "VALIDATED": DONE[:3],
    "COMPILED": DONE[:4],
    "EXECUTED": DONE[:5],
    "UPLOADED": DONE[:6],
    "DONE": DONE,
    "ERROR": (SUBMITTED, CLAIMED, FAILED.model_copy(update={"blame": "infrastructure"})),
    "CANCELLED": (SUBMITTED, Cancelled()),
    "WITHDRAWN": (SUBMITTED, CLAIMED, Withdrawn()),
    "CLAIMED for the pool": (SUBMITTED, CLAIMED.model_copy(update={"handed_on": True, "holder": "h"})),
}
ENDS_OF_AN_ATTEMPT = {"failed", "cancelled", "lease_expired", "retried"}
MAY_FOLLOW = {
    "QUEUED": {"claimed", "cancel_requested", "cancelled", "refused"},
    "CLAIMED": {"validated", "withdrawn", "cancel_requested", "refused"} | ENDS_OF_AN_ATTEMPT,
    "VALIDATED": {"compiled", "cancel_requested", "refused"} | ENDS_OF_AN_ATTEMPT,
    "COMPILED": {"executed", "cancel_requested", "refused"} | ENDS_OF_AN_ATTEMPT,
    "EXECUTED": {"uploaded", "cancel_requested", "refused"} | ENDS_OF_AN_ATTEMPT,
    "UPLOADED": {"completed", "cancel_requested", "refused"} | ENDS_OF_AN_ATTEMPT,
    "DONE": {"refused"},
    "ERROR": {"revived", "refused"},
    "CANCELLED": {"refused"},
    "WITHDRAWN": {"revived", "refused"},
    "CLAIMED for the pool": {"handed_over", "validated", "withdrawn", "cancel_requested", "refused"}
    | ENDS_OF_AN_ATTEMPT,
}


@pytest.mark.parametrize("state", MAY_FOLLOW)
def test_only_these_facts_may_follow_in_each_state(state: str):
    """A job in each state, and the facts that its holder, or anybody, may write next."""
    job = job_after(*HISTORIES[state])
    assert job.state == state.split(maxsplit=1)[0]
    facts = (*ALL, Revived(by="op"), Withdrawn(), HANDED_OVER)
    attempts = {"claimed": job.attempt + 1}
    allowed = {fact.kind for fact in facts if why_not(job, fact, attempts.get(fact.kind, job.attempt)) is None}
    assert allowed == MAY_FOLLOW[state]


def test_every_fact_has_its_turn():
    """No kind of fact but the first, and no state, is left out of the test above."""
    assert {kind for kinds in MAY_FOLLOW.values() for kind in kinds} == {
        *("claimed", "handed_over", "validated", "compiled", "executed", "uploaded", "completed", "failed"),
        *("cancel_requested", "cancelled", "lease_expired", "retried", "revived", "withdrawn", "refused"),
    }
    assert {state for state in MAY_FOLLOW if " " not in state} == set(State)


def test_only_a_job_that_failed_without_guilt_is_revived():
    """A dead letter waits again with its failures forgiven; a job with a bad document does not."""
    guilty = job_after(SUBMITTED, CLAIMED, FAILED)
    assert "fault of its document" in (why_not(guilty, Revived(by="op"), 1) or "")
    facts = (SUBMITTED, CLAIMED, RETRIED, CLAIMED, FAILED.model_copy(update={"blame": "infrastructure"}))
    assert why_not(job_after(*facts), Revived(by="op"), 2) is None
    job = job_after(*facts, Revived(by="op"))
    assert (job.state, job.failures, job.reason, job.attempt) == (State.QUEUED, 0, "", 2)


def test_nothing_but_a_refusal_follows_the_end():
    """A final job stays as it is, whoever writes."""
    for end in (DONE, (SUBMITTED, CLAIMED, FAILED), (SUBMITTED, Cancelled())):
        job = job_after(*end)
        assert {fact.kind for fact in ALL if why_not(job, fact, job.attempt) is None} == {"refused"}


def test_an_old_attempt_may_not_write():
    """A worker of attempt 1 is refused once attempt 2 is under way."""
    job = job_after(SUBMITTED, CLAIMED, RETRIED, CLAIMED, VALIDATED, COMPILED)
    assert why_not(job, EXECUTED, 1) == "attempt 1 is over; the job is in attempt 2"
    assert why_not(job, EXECUTED, 2) is None


def test_a_staged_result_is_not_computed_again():
    """A claim after an attempt that had executed goes on with the upload."""
    job = job_after(SUBMITTED, CLAIMED, VALIDATED, COMPILED, EXECUTED, RETRIED, CLAIMED)
    assert (job.state, job.executed) == (State.EXECUTED, EXECUTED)


def test_a_lost_staged_result_is_computed_again():
    """A retry that says so drops the staged result."""
    lost = RETRIED.model_copy(update={"run_again": True})
    job = job_after(SUBMITTED, CLAIMED, VALIDATED, COMPILED, EXECUTED, lost, CLAIMED)
    assert (job.state, job.executed) == (State.CLAIMED, None)


def test_an_event_that_does_not_follow_is_not_folded():
    """A gap or a foreign event in a history is an error."""
    events = history(*DONE)
    job = fold(events[:2])
    with pytest.raises(ValueError, match="does not follow"):
        apply(job, events[3])
    with pytest.raises(ValueError, match="does not follow"):
        apply(job, events[2].model_copy(update={"prev_hash": "0" * 64}))
    with pytest.raises(ValueError, match="begins with submitted"):
        apply(None, events[1])


def test_events_survive_their_own_json():
    """An event read back from its JSON is the same event with the same hash."""
    for event in history(*DONE):
        again = Event.model_validate_json(event.model_dump_json())
        assert again == event
        assert again.digest() == event.hash


def test_any_change_of_an_event_changes_its_hash():
    """The hash covers every field."""
    event = history(*DONE)[3]
    changes = {
        "job_id": "k",
        "seq": 9,
        "attempt": 9,
        "data": event.data.replace("5", "6"),
        "recorded_at": NOW - timedelta(days=1),
        "actor": "w2",
        "flow_run_id": "f",
        "prev_hash": "1" * 64,
    }
    for name, value in changes.items():
        assert event.model_copy(update={name: value}).digest() != event.hash, name


def test_binary_documents_are_kept_as_they_came():
    """Bytes that are not UTF-8 come out of the log as they went in."""
    raw = bytes(range(256))
    fact = Submitted.of(raw, keep_up_to=1000, backend="b", source="inbox", received_at=NOW)
    assert Submitted.model_validate_json(fact.model_dump_json()).raw == raw


def test_a_document_over_the_limit_is_not_kept():
    """Only hash and size of a document over the limit go into the log."""
    fact = Submitted.of(b"12345", keep_up_to=4, backend="b", source="inbox", received_at=NOW)
    assert (fact.document, fact.document_bytes, fact.raw) == (None, 5, None)


def test_front_ends_see_only_the_contracts_words():
    """Until a job is final its status is INITIALIZING, whatever we know of it."""
    for length in range(1, 7):
        document = status_document(job_after(*DONE[:length]))
        assert (document.status, document.detail, document.error_message) == ("INITIALIZING", "Got your json.", "None")


def test_the_status_of_a_done_job_is_the_peers_literal():
    """DONE carries the peer's detail with its 21 blanks."""
    document = status_document(job_after(*DONE))
    assert document.status == "DONE"
    assert document.detail == (
        "Got your json.; Passed json sanity check; Compilation done.                     Shots sent to solver."
    )


@pytest.mark.parametrize(
    ("stage", "code", "text"),
    [
        ("validation", "schema", "; Failed json sanity check. File will be deleted. Error message : e: bad..worse"),
        (
            "validation",
            "cost",
            "; Failed dimensionality test. Too many atoms. File will be deleted. Error message :  e: bad..worse",
        ),
        ("execution", "runtime", "; e: bad..worse"),
    ],
)
def test_the_status_of_a_failed_job_says_why(stage: str, code: str, text: str):
    """ERROR carries the contract's sentence for its stage, and no line break."""
    fault = Fault.model_validate({"experiment": "e", "message": "bad\nworse", "code": code})
    failed = Failed.model_validate({"stage": stage, "blame": "user", "faults": (fault,), "fault_count": 1})
    document = status_document(job_after(SUBMITTED, CLAIMED, failed))
    assert document.status == "ERROR"
    assert (document.detail, document.error_message) == ("Got your json." + text, "None" + text)


def test_many_faults_are_counted_not_kept():
    """An event keeps a bounded number of faults and says how many there were."""
    faults = tuple(Fault(message=f"m{number}") for number in range(KEPT_FAULTS + 7))
    fact = failure("validation", "user", faults)
    job = job_after(SUBMITTED, CLAIMED, fact)
    assert (len(fact.faults), fact.fault_count) == (KEPT_FAULTS, KEPT_FAULTS + 7)
    assert job.reason.endswith("; and 7 more")


def test_retries_wait_longer_each_time_and_end():
    """The pause doubles with each failed attempt; after the last one the job ends in ERROR."""
    policy = RetryPolicy(max_attempts=4, first_pause=2.0)
    facts: list[Fact] = [SUBMITTED]
    pauses = []
    for _ in range(3):
        facts.append(CLAIMED)
        fact = after_attempt(job_after(*facts), "storm", "upload", policy, now=NOW, jitter=1.0)
        assert isinstance(fact, Retried)
        pauses.append(fact.after_seconds)
        facts.append(fact)
    facts.append(CLAIMED)
    last = after_attempt(job_after(*facts), "storm", "upload", policy, now=NOW, jitter=1.0)
    assert pauses == [2.0, 4.0, 8.0]
    assert isinstance(last, Failed)
    assert last.blame == "infrastructure"
    assert "4 failed attempts" in str(last.faults[0])


def test_an_attempt_given_back_is_not_counted():
    """A worker that stops in good order uses up none of the job's attempts."""
    facts: list[Fact] = [SUBMITTED]
    for _ in range(20):
        facts += [CLAIMED, given_back("the run was interrupted", NOW)]
    job = job_after(*facts)
    assert (job.attempt, job.failures, job.phase) == (20, 0, Phase.WAITING)


def test_the_fairest_job_is_served_first():
    """Fewest running jobs of the user count first, then priority, then submission, then the id."""
    heads = [
        Waiting("busy", 9, "2026-01-01", "a"),
        Waiting("idle", 0, "2026-01-03", "b"),
        Waiting("other", 0, "2026-01-02", "d"),
        Waiting("third", 0, "2026-01-02", "c"),
    ]
    order = []
    while heads:
        head = fairest(heads, {"busy": 2})
        assert head is not None
        order.append(head.job_id)
        heads.remove(head)
    assert order == ["c", "d", "b", "a"]
    assert fairest([], {}) is None
