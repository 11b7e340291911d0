"""OQTOPUS, provider side: what is asked for, and jobs as an engine reads them. Nothing here does I/O."""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from deployments.api.dialects.oqtopus_brought import Asked, plain_object
from deployments.api.dialects.oqtopus_documents import Sent
from deployments.api.dialects.oqtopus_views import Status, job_view, known_fields, times_of
from deployments.api.engines import config_of
from deployments.api.v1.bodies import Body
from models.clock import in_utc
from models.documents import parse_document
from models.errors import JobRejected
from models.events import Event
from models.identity.facts import MAX_DEVICE_INFO, DeviceStatus
from models.job import Job
from models.job_language.qubits import QubitExperiment, read_document

MAX_LISTED = 1000

FIELDS = (
    "job_id",
    "name",
    "description",
    "job_type",
    "device_id",
    "shots",
    "input",
    "transpiler_info",
    "simulator_info",
    "mitigation_info",
    "status",
    "execution_time",
    "submitted_at",
    "ready_at",
    "running_at",
    "ended_at",
)
"""What a job may be asked for."""


def _in_utc(moment: datetime) -> datetime:
    return in_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time; one without a zone is in UTC."""


class Listing(BaseModel):
    """Which jobs are listed."""

    model_config = ConfigDict(extra="forbid")

    device_id: str = Field(max_length=100)
    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED)] = 100
    timestamp: Moment | None = None
    fields: str = Field(default="", max_length=1024)

    @field_validator("fields")
    @classmethod
    def _are_known(cls, value: str) -> str:
        return known_fields(value, FIELDS)


class StatusUpdate(Body):
    """What an engine says of a job."""

    status: Literal["ready", "running", "succeeded", "failed", "cancelled"]
    output_files: list[Annotated[str, Field(max_length=300)]] | None = Field(default=None, max_length=20)
    message: str | None = None
    execution_time: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None = None


class DeviceUpdate(Body):
    """How many qubits a device has now."""

    n_qubits: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class DeviceStatusUpdate(Body):
    """Whether a device takes jobs."""

    status: DeviceStatus


class DeviceInfoUpdate(Body):
    """The calibration of a device."""

    device_info: str = Field(max_length=MAX_DEVICE_INFO)
    calibrated_at: Moment | None = None

    @field_validator("device_info")
    @classmethod
    def _is_an_object(cls, value: str) -> str:
        faults: list[str] = []
        plain_object(value.encode("utf-8", "surrogatepass"), "it", faults)
        if faults:
            raise ValueError("; ".join(faults))
        return value

    @field_validator("calibrated_at", mode="before")
    @classmethod
    def _is_a_time(cls, value: Any) -> Any:
        return datetime.fromisoformat(value) if isinstance(value, str) else value


class Wanted(NamedTuple):
    """What a job asks for.

    Attributes:
        experiment: None where the document has faults.
    """

    sent: Sent
    experiment: QubitExperiment | None

    @property
    def input(self) -> dict[str, Any]:
        """What is run: programs and operator."""
        each = self.experiment
        if each is None:
            return self.sent.input
        return {"program": list(each.programs)} | ({} if each.operator is None else {"operator": each.operator})

    @property
    def asked(self) -> Asked:
        """What a result is held against."""
        each = self.experiment
        assert each is not None  # noqa: S101 - a job that runs was checked
        return Asked(name=each.name, job_type=each.job_type, shots=each.shots, mitigated=each.mitigation != "none")


def wanted_of(device: str, document: bytes | None) -> Wanted:
    """Return what a job of this device asks for, read from its document."""
    config = config_of(device)
    experiment = None
    with contextlib.suppress(JobRejected):
        (experiment, *_) = read_document(
            parse_document(document or b"{}"), num_qubits=config.num_wires, max_shots=config.max_shots
        )
    return Wanted(Sent.of(document), experiment)


def provider_view(job: Job, wanted: Wanted, events: Sequence[Event], input_address: str) -> dict[str, Any]:
    """Return a job as an engine reads it; what is not known of it is left out."""
    sent, each = wanted
    infos = {name: sent.infos.get(name, {}) for name in ("transpiler_info", "simulator_info", "mitigation_info")}
    sent = sent.model_copy(update={"infos": infos})
    if each is not None:
        sent = sent.model_copy(update={"shots": each.shots, "job_type": each.job_type})
    found = job_view(job, sent, times_of(job, events)) | {"input": input_address}
    return {name: found[name] for name in FIELDS if name in found}
