"""The two facts that bring a document: a job is submitted, and a whole document takes the place of half of one."""

import base64
import hashlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from models.clock import UtcDatetime

Source = Literal["inbox", "cli", "prefect", "api"]
Parameters = dict[str, bool | int | float | str]


class FactModel(BaseModel):
    """A fact: frozen, and nothing in it that its class does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
