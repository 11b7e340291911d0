"""A job as a caller hands it in, in whatever dialect."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.errors import Fault, JobRejected
from models.groups import Cell
from models.job import Job
from models.requests import qasm_document

USUAL_SHOTS = 1000


@dataclass(frozen=True)
class JobRequest:
    """A job that a caller hands in.

    Attributes:
        document: its bytes.
        payload: SHA-256 of a stored payload that is the document; empty where the document is here.
        key: idempotency key.
        job_id: given to the caller before; None for a new one.
        storage: name of the one that holds its documents; empty for the first one.
        labels: name -> value.
        group: name of the group that it belongs to; empty for none.
        parameters: what was swept: one row for the whole job, or one for each experiment.
        seed: for the compilation, of the job that it repeats.
        keep_faulty: hand it in although its document has faults: it ends in ERROR, and its status says all of them.
    """

    backend: str
    document: bytes = b""
    payload: str = ""
    project: str = ""
    priority: int = 0
    key: str | None = None
    job_id: str | None = None
    derived_from: str = ""
    storage: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    parameters: Sequence[Mapping[str, Cell]] = ()
    keep_faulty: bool = False
    seed: int | None = None


def repeated(job: Job, document: bytes, key: str | None, seed: int | None) -> JobRequest:
    """Return what hands in the document of a job again; a seed is that of the job, where it is to be drawn as then."""
    return JobRequest(
        backend=job.backend,
        document=document,
        project=job.project,
        priority=job.priority,
        key=key,
        derived_from=job.job_id,
        seed=seed,
    )


def document_of(value: Any) -> bytes:
    """Return a document that came as part of a request: a JSON value, or its text.

    Raises:
        JobRejected: it holds what no document can.
    """
    try:
        if isinstance(value, str):
            return value.encode("utf-8")
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise JobRejected(Fault(message="the document holds half of a character (a lone surrogate)")) from None


def document_of_program(program: str, shots: int | None, seed: int | None) -> bytes:
    """Return the document for an OpenQASM program.

    Raises:
        JobRejected: the program holds what no text can.
    """
    try:
        return qasm_document(program, USUAL_SHOTS if shots is None else shots, seed)
    except UnicodeEncodeError:
        raise JobRejected(Fault(message="the program holds half of a character (a lone surrogate)")) from None
