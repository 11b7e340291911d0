"""The facts of a job's life, one frozen class each; `models/events.py` gives them their place in its history.

Here are those of its own course, from `submitted` to `completed` or `failed`; `models/interventions.py` has what may
come between. A fact is past tense and never changes. Each class carries a schema `version`; when a class changes
shape, its version is raised and `UPCASTS` gets a function that brings the stored JSON of the old version up to date.
`docs/adding-storages-and-events.md` says where else a new kind has to be named.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter

from models.clock import UtcDatetime
from models.errors import Blame, Fault
from models.fact_model import FactModel
from models.interventions import (
    Adopted,
    AdoptedError,
    Cancelled,
    CancelRequested,
    Hidden,
    Labelled,
    LeaseExpired,
    Refused,
    ResultRemoved,
    Retried,
    Revived,
    Withdrawn,
)

__all__ = [
    "Adopted",
    "AdoptedError",
    "CancelRequested",
    "Cancelled",
    "Hidden",
    "Labelled",
    "LeaseExpired",
    "Refused",
    "ResultRemoved",
    "Retried",
    "Revived",
    "Withdrawn",
]

Source = Literal["inbox", "cli", "prefect", "api"]
Parameters = dict[str, bool | int | float | str]
Stage = Literal["submission", "validation", "compilation", "execution", "upload", "lease"]


def _about(document: bytes) -> dict[str, Any]:
    return {"document_sha256": hashlib.sha256(document).hexdigest(), "document_bytes": len(document)}


class Submitted(FactModel):
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
        seed: of another job, taken over for the compilation; None leaves it to chance.
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
    seed: Annotated[int | None, Field(exclude_if=lambda value: value is None)] = None
    labels: Annotated[dict[str, str], Field(exclude_if=lambda value: not value)] = {}  # noqa: RUF012 - pydantic copies it
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


class Replaced(FactModel):
    """A whole document came under the id of a job that ended because its own was half written; the job waits again.

    Attributes:
        document: as in `Submitted`.
    """

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
