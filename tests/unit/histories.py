"""Facts of one job, and the events and the job that they make."""

from datetime import UTC, datetime, timedelta

from models.claims import holder_of
from models.errors import Fault
from models.events import GENESIS, Event, seal
from models.facts import (
    Adopted,
    AdoptedError,
    Cancelled,
    CancelRequested,
    Claimed,
    Compiled,
    Completed,
    Executed,
    Fact,
    Failed,
    HandedOver,
    Hidden,
    Labelled,
    LeaseExpired,
    Refused,
    Replaced,
    ResultRemoved,
    Retried,
    Revived,
    Submitted,
    Uploaded,
    Validated,
    Withdrawn,
)
from models.job import Job, fold

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=60)
MINE, OTHERS = holder_of("mine"), holder_of("another's")

SUBMITTED = Submitted.of(
    b"{}",
    keep_up_to=9,
    backend="rydberg",
    user="ann",
    project="qed",
    priority=3,
    source="cli",
    storage="lab",
    received_at=NOW - timedelta(seconds=5),
)
CLAIMED = Claimed(worker="w", lease_until=LATER, lease_seconds=60, holder=MINE)
CLAIMED_FOR_ANOTHER = Claimed(worker="w/pool", lease_until=LATER, lease_seconds=60, holder=MINE, handed_on=True)
CLAIMED_OF_OLD = Claimed(worker="w", lease_until=LATER)
"""As a claim of version 1, which has no holder, is read today."""

HANDED_OVER = HandedOver(worker="p", lease_until=LATER + timedelta(seconds=5), lease_seconds=65, holder=OTHERS)
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
    staged="staged/j/r.json",
)
UPLOADED = Uploaded(path="results/j", bytes=9, sha256="r")
WRONG = Fault(message="wrong", experiment="experiment_0")
FAILED = Failed(stage="validation", blame="user", faults=(WRONG,), fault_count=3)
GAVE_UP = Failed(stage="upload", blame="infrastructure", faults=(WRONG,), fault_count=1)
CANCEL_REQUESTED = CancelRequested(by="ann")
EXPIRED = LeaseExpired(worker="w", lease_until=LATER)
RETRIED = Retried(reason="storm", after_seconds=2, not_before=NOW + timedelta(seconds=2))
REVIVED = Revived(by="op")
REPLACED = Replaced.of(b'{"a": 1}')
HIDDEN = Hidden(by="ann")
ADOPTED = Adopted(detail="Got", error_message="None", path="results/j", bytes=9, sha256="r")
ADOPTED_ERROR = AdoptedError(detail="Got; bad", error_message="None; bad")
LABELLED = Labelled(by="ann", labels={"sample": "A7"}, removed=("old",))
REMOVED = ResultRemoved(kept_days=30)
REFUSED = Refused(refused_kind="executed", refused_attempt=1, worker="w", reason="late")
RUN = (VALIDATED, COMPILED, EXECUTED, UPLOADED)
DONE = (SUBMITTED, CLAIMED, *RUN, Completed())
BY_HOLDER: tuple[Fact, ...] = (*RUN, Completed(), FAILED, RETRIED, Cancelled(), Withdrawn())
"""What the holder of an attempt may write, and nobody else."""


def history(*facts: Fact, flow_run_id: str | None = None) -> list[Event]:
    """Return the events that hold the facts, a second apart; each claim begins an attempt."""
    events: list[Event] = []
    attempt = 0
    for seq, fact in enumerate(facts):
        attempt += fact.kind == "claimed"
        events.append(
            seal(
                fact,
                job_id="j",
                seq=seq,
                attempt=attempt,
                recorded_at=NOW + timedelta(seconds=seq),
                actor="w",
                flow_run_id=flow_run_id,
                prev_hash=events[-1].hash if events else GENESIS,
            )
        )
    return events


def job_after(*facts: Fact) -> Job:
    """Return the job that the facts fold to."""
    job = fold(history(*facts))
    assert job is not None
    return job
