"""The facts of what comes between a job and its result: it is cancelled, tried again, taken over, hidden, labelled.

`models/facts.py` has those of its own course, and lists all of them.
"""

from typing import Literal

from models.clock import UtcDatetime
from models.fact_model import FactModel


class CancelRequested(FactModel):
    """Somebody asked to end the job."""

    kind: Literal["cancel_requested"] = "cancel_requested"
    version: Literal[1] = 1
    by: str
    reason: str = ""


class Cancelled(FactModel):
    """The job was ended on request."""

    kind: Literal["cancelled"] = "cancelled"
    version: Literal[1] = 1


class LeaseExpired(FactModel):
    """The worker was not heard of in time: its attempt is over."""

    kind: Literal["lease_expired"] = "lease_expired"
    version: Literal[1] = 1
    worker: str
    lease_until: UtcDatetime


class Retried(FactModel):
    """The attempt is given up and the job waits for the next one, not before `not_before` (UTC).

    Attributes:
        counted: False if the attempt was given back in good order, which uses up none of the job's attempts.
        run_again: a staged result is of no use; the next attempt begins at the beginning.
    """

    kind: Literal["retried"] = "retried"
    version: Literal[1] = 1
    reason: str
    after_seconds: float
    not_before: UtcDatetime
    counted: bool = True
    run_again: bool = False


class Revived(FactModel):
    """An operator gave a job that had ended in ERROR another chance: it waits again, its failures forgiven."""

    kind: Literal["revived"] = "revived"
    version: Literal[1] = 1
    by: str


class Withdrawn(FactModel):
    """The job document was gone from its queue before we took it: another spooler has it, or its owner."""

    kind: Literal["withdrawn"] = "withdrawn"
    version: Literal[1] = 1


class Adopted(FactModel):
    """Another spooler ran the job, and its result is taken over as it lies there.

    Attributes:
        detail, error_message: of its status, to the letter.
        path: of the result below the storage's root.
        sha256: of its bytes.
        kid: of the key with which it says to be signed; None where it is not.
    """

    kind: Literal["adopted"] = "adopted"
    version: Literal[1] = 1
    detail: str
    error_message: str
    path: str
    bytes: int
    sha256: str
    kid: str | None = None


class AdoptedError(FactModel):
    """Another spooler ended the job in ERROR; `detail` and `error_message` are those of its status."""

    kind: Literal["adopted_error"] = "adopted_error"
    version: Literal[1] = 1
    detail: str
    error_message: str


class Hidden(FactModel):
    """Its owner does not want to see the job any more; it had ended."""

    kind: Literal["hidden"] = "hidden"
    version: Literal[1] = 1
    by: str


class Labelled(FactModel):
    """Somebody has set labels of the job, or taken some away; nothing else changed."""

    kind: Literal["labelled"] = "labelled"
    version: Literal[1] = 1
    by: str
    labels: dict[str, str]
    removed: tuple[str, ...] = ()


class ResultRemoved(FactModel):
    """The result was older than results are kept: its document is taken away. Its hash stays in `uploaded`."""

    kind: Literal["result_removed"] = "result_removed"
    version: Literal[1] = 1
    kept_days: float


class Refused(FactModel):
    """A late write of an attempt that was over; nothing else changed."""

    kind: Literal["refused"] = "refused"
    version: Literal[1] = 1
    refused_kind: str
    refused_attempt: int
    worker: str
    reason: str
