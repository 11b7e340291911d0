"""Quledger's client: hand in quantum jobs from a program or a notebook, wait for them, read their results."""

from typing import TYPE_CHECKING, Any

from quledger_client.backends import AsyncBackend, Backend, Gate, Limits
from quledger_client.client import Client
from quledger_client.errors import (
    Conflict,
    Fault,
    JobFailed,
    NotAllowed,
    NotFound,
    PartlyRefused,
    QuledgerError,
    Refused,
    TimedOut,
    TooMany,
    Unreachable,
)
from quledger_client.jobs import Job
from quledger_client.results import ExperimentResult, Result
from quledger_client.views import Calibration, Checked, Event, Why
from quledger_client.work import JobSpec, Payload

if TYPE_CHECKING:
    from quledger_client.aio import AsyncClient, AsyncJob

__all__ = [
    "AsyncBackend",
    "AsyncClient",
    "AsyncJob",
    "Backend",
    "Calibration",
    "Checked",
    "Client",
    "Conflict",
    "Event",
    "ExperimentResult",
    "Fault",
    "Gate",
    "Job",
    "JobFailed",
    "JobSpec",
    "Limits",
    "NotAllowed",
    "NotFound",
    "PartlyRefused",
    "Payload",
    "QuledgerError",
    "Refused",
    "Result",
    "TimedOut",
    "TooMany",
    "Unreachable",
    "Why",
]


def __getattr__(name: str) -> Any:
    # Programs without an event loop need not wait for the import of what has one.
    if name in ("AsyncClient", "AsyncJob"):
        from quledger_client import aio  # noqa: PLC0415

        return getattr(aio, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
