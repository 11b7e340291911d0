"""The facts of a job's life, one frozen class each; `models/events.py` gives them their place in its history.

A fact is past tense and never changes. Each class carries a schema `version`; when a class changes shape, its
version is raised and `UPCASTS` gets a function that brings the stored JSON of the old version up to date.
`docs/adding-storages-and-events.md` says where else a new kind has to be named.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from models.adopted import Adopted, AdoptedError
from models.clock import UtcDatetime
from models.errors import Blame, Fault
from models.submitted import FactModel, Parameters, Replaced, Source, Submitted

__all__ = ["Parameters", "Replaced", "Source", "Submitted"]

Stage = Literal["submission", "validation", "compilation", "execution", "upload", "lease"]


class Claimed(FactModel):
    """A worker took the job for one attempt; until `lease_until` (UTC) it alone may write.

    Attributes:
        lease_seconds: how long the lease was when it was given; None in a claim of version 1.
        holder: SHA-256 of the token that the worker shows with every write of the attempt (`models/claims.py`);
            None in a claim of version 1, whose worker shows the number of the attempt alone.
        handed_on: the claim was made for another process; the first one that begins the job takes it over.
    """

    kind: Literal["claimed"] = "claimed"
    version: Literal[2] = 2
    worker: str
    lease_until: UtcDatetime
    lease_seconds: float | None = None
    holder: str | None = None
    handed_on: bool = False


class HandedOver(FactModel):
    """The process that the job was claimed for has begun, and alone may write from now on; see `Claimed`."""

    kind: Literal["handed_over"] = "handed_over"
    version: Literal[1] = 1
    worker: str
    lease_until: UtcDatetime
    lease_seconds: float
    holder: str


class Validated(FactModel):
    """The document has no fault. `cost` is the backend's prediction in its own published unit."""

    kind: Literal["validated"] = "validated"
    version: Literal[1] = 1
    experiments: int
    shots: int
    cost: float | None = None


class Compiled(FactModel):
    """What will really run: hash of the program and the options that were resolved.

    Attributes:
        seed: entropy of every random choice that the user did not seed; with it the run can be repeated.
    """

    kind: Literal["compiled"] = "compiled"
    version: Literal[1] = 1
    program_sha256: str
    program_bytes: int
    seed: int


class Executed(FactModel):
    """The backend ran the program; the result document lies staged in the storage.

    Attributes:
        seconds: wall time of the execution in the child process.
        cpu_seconds: CPU time of the same.
        versions: of Python and the libraries that computed it.
        calibration_sha256: of configuration and calibration together (`models/calibrations.py`).
        staged: path of the staged result below the storage's root.
    """

    kind: Literal["executed"] = "executed"
    version: Literal[1] = 1
    seconds: float
    cpu_seconds: float
    seed: int
    versions: dict[str, str]
    backend_config_sha256: str
    result_sha256: str
    result_bytes: int
    staged: str
    calibration_sha256: Annotated[str, Field(exclude_if=lambda value: not value)] = ""

    @property
    def stands_on(self) -> str:
        """The hash of what the result stands on; of an old one that of the configuration alone."""
        return self.calibration_sha256 or self.backend_config_sha256


class Uploaded(FactModel):
    """The result lies where front ends read it, and was read back unchanged."""

    kind: Literal["uploaded"] = "uploaded"
    version: Literal[1] = 1
    path: str
    bytes: int
    sha256: str
    kid: str | None = None


class Completed(FactModel):
    """The job is DONE."""

    kind: Literal["completed"] = "completed"
    version: Literal[1] = 1


class Failed(FactModel):
    """The job ended in ERROR.

    Attributes:
        faults: at most the first 50.
        fault_count: how many there were.
    """

    kind: Literal["failed"] = "failed"
    version: Literal[1] = 1
    stage: Stage
    blame: Blame
    faults: tuple[Fault, ...]
    fault_count: int


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


Fact = Annotated[
    Submitted
    | Claimed
    | HandedOver
    | Validated
    | Compiled
    | Executed
    | Uploaded
    | Completed
    | Failed
    | CancelRequested
    | Cancelled
    | LeaseExpired
    | Retried
    | Revived
    | Replaced
    | Withdrawn
    | Hidden
    | Adopted
    | AdoptedError
    | Labelled
    | ResultRemoved
    | Refused,
    Field(discriminator="kind"),
]
_FACT: TypeAdapter[Fact] = TypeAdapter(Fact)

UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("claimed", 1): lambda data: data | {"version": 2}
}
"""(kind, old version) -> function from the stored data to the data of the next version."""


def fact_from_json(text: str) -> Fact:
    """Return the fact in stored JSON, upcast to the version that this code knows.

    Raises:
        pydantic.ValidationError: the JSON is no fact.
    """
    data = json.loads(text)
    while (upcast := UPCASTS.get((data.get("kind"), data.get("version")))) is not None:
        data = upcast(data)
    return _FACT.validate_python(data, strict=False)
