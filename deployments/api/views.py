"""What the API shows of jobs, events and backends: users see less than the log holds, operators see all of it."""

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from models.errors import Fault
from models.event_view import data_for_users
from models.events import Event
from models.job import FINAL, Job, State
from models.status import StatusWord, status_document


class JobView(BaseModel):
    """Where a job stands.

    Attributes:
        status: the same in the contract's four words.
        version: number of its last event; it is the ETag.
        reason: why it ended in ERROR, one line.
        faults: what is wrong with its document, all of it, up to 50.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    job_id: str = Field(examples=["0123456789abcdef01234567"])
    backend: str = Field(examples=["singlequdit"])
    user: str
    project: str
    priority: int
    state: State
    status: StatusWord
    is_final: bool
    version: int
    attempt: int
    submitted_at: datetime
    updated_at: datetime
    cancel_requested: bool
    derived_from: str
    labels: dict[str, str]
    group: str
    document_sha256: str
    document_bytes: int
    reason: str
    faults: list[Fault]

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """Return what is shown of a job."""
        return cls(
            job_id=job.job_id,
            backend=job.backend,
            user=job.user,
            project=job.project,
            priority=job.priority,
            state=job.state,
            status=status_document(job).status,
            is_final=job.state in FINAL,
            version=job.seq,
            attempt=job.attempt,
            submitted_at=job.submitted_at,
            updated_at=job.updated_at,
            cancel_requested=job.cancel_requested,
            derived_from=job.derived_from,
            labels=job.labels,
            group=job.group,
            document_sha256=job.document_sha256,
            document_bytes=job.document_bytes,
            reason=job.reason,
            faults=list(job.faults),
        )


class EventView(BaseModel):
    """One event of a job; `data` holds what its kind says."""

    seq: int
    kind: str = Field(examples=["compiled"])
    attempt: int
    recorded_at: datetime
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event, *, whole: bool) -> "EventView":
        """Return what is shown of an event.

        Args:
            whole: all that it holds, as operators see it; users see no workers, hosts and paths.
        """
        data = json.loads(event.data) if whole else data_for_users(event)
        return cls(seq=event.seq, kind=event.kind, attempt=event.attempt, recorded_at=event.recorded_at, data=data)
