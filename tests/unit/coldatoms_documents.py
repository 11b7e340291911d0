"""How the tests of the job language write documents, and what they are answered."""

from typing import Any

import pytest

from models.documents import Experiment
from models.errors import Fault, JobRejected
from models.job_language import coldatoms
from models.job_language.devices import DeviceSpec
from models.job_language.instructions import validate_document

DEVICES = {
    "singlequdit": coldatoms.singlequdit(),
    "multiqudit": coldatoms.multiqudit(),
    "fermions": coldatoms.fermions(),
    "rydberg": coldatoms.rydberg(),
}
MEASURE = ["measure", [0], []]


def document(*instructions: Any, **fields: Any) -> dict[str, Any]:
    """Return a job of one experiment."""
    return {"experiment_0": {"instructions": list(instructions), "num_wires": 1, "shots": 5, **fields}}


def accepted(job: Any, device: str = "singlequdit") -> Experiment:
    """Return the first experiment of a valid job."""
    return validate_document(DEVICES[device], job)[0]


def faults(job: Any, device: str | DeviceSpec = "singlequdit") -> tuple[Fault, ...]:
    """Return the faults of a job that is refused."""
    with pytest.raises(JobRejected) as caught:
        validate_document(DEVICES[device] if isinstance(device, str) else device, job)
    return caught.value.faults


def places(job: Any, device: str = "singlequdit") -> list[tuple[int | None, str | None]]:
    """Return where the faults are."""
    return [(fault.instruction, fault.field) for fault in faults(job, device)]
