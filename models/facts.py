"""The facts of a job's life, one frozen class each; `models/events.py` gives them their place in its history.

A fact is past tense and never changes. Each class carries a schema `version`; when a class changes shape, its
version is raised and `UPCASTS` in `models/stored_facts.py` gets a function that brings the stored JSON of the old
version up to date.
`docs/adding-storages-and-events.md` says where else a new kind has to be named.
"""

import base64
import hashlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from models.clock import UtcDatetime
from models.errors import Blame, Fault

Source = Literal["inbox", "cli", "prefect", "api"]
Stage = Literal["submission", "validation", "compilation", "execution", "upload", "lease"]
Parameters = dict[str, bool | int | float | str]
_Data = dict[str, Any]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _about(document: bytes) -> _Data:
    return {"document_sha256": hashlib.sha256(document).hexdigest(), "document_bytes": len(document)}


class Submitted(_Fact):
    """Somebody handed in a job.

    Attributes:
        document: the job document as it came: UTF-8 text, or base64 if the bytes are not UTF-8; None if it was larger
            than the limit, so that only its hash is kept.
        received_at: when the front end stored it (UTC); it decides the order of service.
        source: `inbox` if a front end put it into the storage, else how it was handed in; by `api` alone has the user
            proven who he is.
        storage: name of the storage that holds its documents; empty for the first one of the settings.
        derived_from: id of the job that this one was made from.
        shots: of all experiments, where somebody had counted them by then.
        labels: name -> value, as `models/labels.py` allows.
        group: name of the group that it belongs to; empty for none.
        parameters: what was swept, by the columns of the sweep: one row for the whole job, or one for each experiment.
    """

    kind: Literal["submitted"] = "submitted"
    version: Literal[1] = 1
    backend: str
    user: str = ""
    project: str = ""
    priority: int = 0
    document: str | None
    encoding: Literal["utf-8", "base64"] = "utf-8"
    document_sha256: str
    document_bytes: int
    source: Source
    storage: str = ""
    idempotency_key: str | None = None
    received_at: UtcDatetime
    # Not dumped at their defaults: who says nothing of them writes what was always written.
    derived_from: Annotated[str, Field(exclude_if=lambda value: not value)] = ""
    shots: Annotated[int | None, Field(exclude_if=lambda value: value is None)] = None
    labels: Annotated[dict[str, str], Field(exclude_if=lambda value: not value)] = {}
    group: Annotated[str, Field(exclude_if=lambda value: not value)] = ""
    parameters: Annotated[tuple[Parameters, ...], Field(exclude_if=lambda value: not value)] = ()

    @classmethod
    def of(cls, document: bytes, *, keep_up_to: int, **fields: Any) -> Self:
        """Make the fact from the document's bytes; a document of more than `keep_up_to` bytes is not kept."""
        about = _about(document)
        if len(document) > keep_up_to:
            return cls(document=None, **about, **fields)
        try:
            return cls(document=document.decode("utf-8"), **about, **fields)
        except UnicodeDecodeError:
            return cls(document=base64.b64encode(document).decode("ascii"), encoding="base64", **about, **fields)

    @property
    def raw(self) -> bytes | None:
        """The document's bytes; None if they were too many to keep."""
        if self.document is None:
            return None
        return base64.b64decode(self.document) if self.encoding == "base64" else self.document.encode("utf-8")


class Claimed(_Fact):
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


class HandedOver(_Fact):
    """The process that the job was claimed for has begun, and alone may write from now on; see `Claimed`."""

    kind: Literal["handed_over"] = "handed_over"
    version: Literal[1] = 1
    worker: str
    lease_until: UtcDatetime
    lease_seconds: float
    holder: str


class Validated(_Fact):
    """The document has no fault. `cost` is the backend's prediction in its own published unit."""

    kind: Literal["validated"] = "validated"
    version: Literal[1] = 1
    experiments: int
    shots: int
    cost: float | None = None


class Compiled(_Fact):
    """What will really run: hash of the program and the options that were resolved.

    Attributes:
        seed: entropy of every random choice that the user did not seed; with it the run can be repeated.
    """

    kind: Literal["compiled"] = "compiled"
    version: Literal[1] = 1
    program_sha256: str
    program_bytes: int
    seed: int


class Executed(_Fact):
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


class Uploaded(_Fact):
    """The result lies where front ends read it, and was read back unchanged."""

    kind: Literal["uploaded"] = "uploaded"
    version: Literal[1] = 1
    path: str
    bytes: int
    sha256: str
    kid: str | None = None


class Completed(_Fact):
    """The job is DONE."""

    kind: Literal["completed"] = "completed"
    version: Literal[1] = 1


class Failed(_Fact):
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


class CancelRequested(_Fact):
    """Somebody asked to end the job."""

    kind: Literal["cancel_requested"] = "cancel_requested"
    version: Literal[1] = 1
    by: str
    reason: str = ""


class Cancelled(_Fact):
    """The job was ended on request."""

    kind: Literal["cancelled"] = "cancelled"
    version: Literal[1] = 1


class LeaseExpired(_Fact):
    """The worker was not heard of in time: its attempt is over."""

    kind: Literal["lease_expired"] = "lease_expired"
    version: Literal[1] = 1
    worker: str
    lease_until: UtcDatetime


class Retried(_Fact):
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


class Revived(_Fact):
    """An operator gave a job that had ended in ERROR another chance: it waits again, its failures forgiven."""

    kind: Literal["revived"] = "revived"
    version: Literal[1] = 1
    by: str


class Replaced(_Fact):
    """A whole document came under the id of a job that ended because its own was half written; it waits again."""

    kind: Literal["replaced"] = "replaced"
    version: Literal[1] = 1
    document: str
    document_sha256: str
    document_bytes: int

    @classmethod
    def of(cls, document: bytes) -> Self:
        """Make the fact from the bytes of a JSON document."""
        return cls(document=document.decode("utf-8"), **_about(document))

    @property
    def raw(self) -> bytes:
        """The document's bytes."""
        return self.document.encode("utf-8")


class Withdrawn(_Fact):
    """The job document was gone from its queue before we took it: another spooler has it, or its owner."""

    kind: Literal["withdrawn"] = "withdrawn"
    version: Literal[1] = 1


class Hidden(_Fact):
    """Its owner does not want to see the job any more; it had ended."""

    kind: Literal["hidden"] = "hidden"
    version: Literal[1] = 1
    by: str


class Labelled(_Fact):
    """Somebody has set labels of the job, or taken some away; nothing else changed."""

    kind: Literal["labelled"] = "labelled"
    version: Literal[1] = 1
    by: str
    labels: dict[str, str]
    removed: tuple[str, ...] = ()


class ResultRemoved(_Fact):
    """The result was older than results are kept: its document is taken away. Its hash stays in `uploaded`."""

    kind: Literal["result_removed"] = "result_removed"
    version: Literal[1] = 1
    kept_days: float


class Refused(_Fact):
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
    | Labelled
    | ResultRemoved
    | Refused,
    Field(discriminator="kind"),
]
