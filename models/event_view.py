"""What users see of the facts in a history: operators see all of them."""

import json
from collections.abc import Mapping
from typing import Any

from models.events import Event

_SHOWN: Mapping[str, frozenset[str]] = {
    "submitted": frozenset(
        {
            "backend",
            "user",
            "project",
            "priority",
            "document_sha256",
            "document_bytes",
            "source",
            "labels",
            "group",
            "parameters",
        }
    ),
    "claimed": frozenset(),
    "validated": frozenset({"experiments", "shots", "cost"}),
    "compiled": frozenset({"program_sha256", "program_bytes", "seed"}),
    "executed": frozenset(
        {
            "seconds",
            "cpu_seconds",
            "seed",
            "versions",
            "backend_config_sha256",
            "calibration_sha256",
            "result_sha256",
            "result_bytes",
        }
    ),
    "uploaded": frozenset({"bytes", "sha256", "kid"}),
    "failed": frozenset({"stage", "blame", "faults", "fault_count"}),
    "cancel_requested": frozenset({"reason"}),
    "retried": frozenset({"after_seconds", "not_before", "counted"}),
    "labelled": frozenset({"by", "labels", "removed"}),
    "replaced": frozenset({"document_sha256", "document_bytes"}),
}
"""Fields of each kind of event that users see; none of a kind that is missing: workers and paths are not theirs."""


def data_for_users(event: Event) -> dict[str, Any]:
    """Return what users see of the fact of an event."""
    shown = _SHOWN.get(event.kind, frozenset())
    return {name: value for name, value in json.loads(event.data).items() if name in shown}
