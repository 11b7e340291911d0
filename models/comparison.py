"""Two jobs side by side: in what they differ, by their records."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from models.calibrations import Calibration
from models.facts import Compiled
from models.job import Job
from models.json_changes import changes

MISSING = "-"


class Record(NamedTuple):
    """What is on record of a job.

    Attributes:
        document: parsed; None if it is no JSON, or was not kept.
        compiled: the last program; None before one.
        calibration: what its result stands on, where the ledger has it.
    """

    job: Job
    document: Any
    compiled: Compiled | None
    calibration: Calibration | None


def compare(one: Record, other: Record) -> dict[str, Any]:
    """Return each thing in which two jobs differ, with both sides; what is the same is left out.

    `document` and `calibration` list places.
    """
    left, right = _facts(one), _facts(other)
    found: dict[str, Any] = {}
    for name, value in left.items():
        if value != right[name]:
            found[name] = [value, right[name]]
    if one.job.document_sha256 != other.job.document_sha256:
        same_value = [{"path": "as text alone", "one": None, "other": None}]
        found["document"] = _places(one.document, other.document) or same_value
    if left["calibration"] != right["calibration"] and one.calibration and other.calibration:
        found["calibration_changes"] = _places(one.calibration.content, other.calibration.content)
    versions = _versions(one.job, other.job)
    return found | ({"versions": versions} if versions else {})


def _facts(record: Record) -> dict[str, Any]:
    job, compiled = record.job, record.compiled
    executed = job.executed
    return {
        "backend": job.backend,
        "state": job.state.value,
        "program": compiled.program_sha256 if compiled else MISSING,
        "seed": compiled.seed if compiled else MISSING,
        "calibration": executed.stands_on if executed else MISSING,
        "configuration": executed.backend_config_sha256 if executed else MISSING,
    }


def _versions(one: Job, other: Job) -> dict[str, list[str]]:
    left: Mapping[str, str] = one.executed.versions if one.executed else {}
    right: Mapping[str, str] = other.executed.versions if other.executed else {}
    names = [*left, *(name for name in right if name not in left)]
    pairs = {name: [left.get(name, MISSING), right.get(name, MISSING)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _places(one: Any, other: Any) -> list[dict[str, Any]]:
    places, more = changes(one, other)
    said = [place._asdict() for place in places]
    return [*said, {"path": "and more", "one": None, "other": None}] if more else said
