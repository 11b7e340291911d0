"""The documents of qlued's API, as its clients read them: configuration, status and error."""

from typing import Any

from deployments.api.dialects.qlued_results import in_words_of_results
from deployments.api.problems import Problem
from models.backend import BackendConfig
from models.job import Job
from models.status import StatusDocument, status_document

NO_JOB = "None"
"""The job id where there is no job: this text, not null."""

UNNAMED_STORAGE = "default"
"""What the names of backends begin with where the only storage has no name; sqooler says the same."""

UNKNOWN_BACKEND = "Unknown back-end!"
BAD_CREDENTIALS = "Invalid credentials!"
BAD_JSON = "The encoding of your json seems not work out!"

_TRANSIENT = frozenset({408, 429, 503})
"""HTTP codes of what is over soon: whoever waits for a result goes on waiting."""


def full_name(storage: str, config: BackendConfig) -> str:
    """Return the name of a backend in three parts: storage, display name, simulator or hardware."""
    kind = "simulator" if config.simulator else "hardware"
    return f"{storage or UNNAMED_STORAGE}_{config.display_name}_{kind}"


def config_document(config: BackendConfig, name: str, base: str) -> dict[str, Any]:
    """Return a configuration in the shape of Qiskit's.

    Args:
        name: in three parts.
        base: address of this API, with a slash at its end.
    """
    return {
        "description": config.description,
        "display_name": config.display_name,
        "conditional": False,
        "coupling_map": "linear",
        "dynamic_reprate_enabled": False,
        "local": False,
        "memory": True,
        "open_pulse": False,
        "backend_version": config.version,
        "n_qubits": config.num_wires,
        "backend_name": name,
        "basis_gates": [gate.name for gate in config.gates],
        "max_experiments": config.max_experiments,
        "max_shots": config.max_shots,
        "simulator": config.simulator,
        "gates": [gate.model_dump() for gate in config.gates],
        "supported_instructions": config.supported_instructions,
        "cold_atom_type": config.cold_atom_type,
        "wire_order": config.wire_order,
        "num_species": config.num_species,
        "url": f"{base}v2/{name}/",
    }


def backend_status_document(
    config: BackendConfig, name: str, *, why_not_served: str | None, waiting: int
) -> dict[str, Any]:
    """Return where a backend stands: whether somebody runs its jobs, and how many wait.

    Args:
        why_not_served: why nobody does, which may be empty; None where somebody does.
    """
    return {
        "backend_name": name,
        "backend_version": config.version,
        "operational": why_not_served is None,
        "pending_jobs": waiting,
        "status_msg": why_not_served or "",
    }


def job_document(job: Job, *, of_result: bool = False) -> dict[str, Any]:
    """Return where a job stands.

    Args:
        of_result: in the words of whoever waits for a result by them.
    """
    document: dict[str, Any] = status_document(job).model_dump()
    return in_words_of_results(document) if of_result else document


def error_document(problem: Problem, *, error_message: str = "", of_result: bool = False) -> dict[str, Any]:
    """Return what went wrong as a status: clients read its keys before they look at the HTTP code.

    Args:
        error_message: what clients know an error by; its detail stands behind it.
        of_result: in the words of whoever waits for a result by them.
    """
    detail = " ".join(dict.fromkeys(filter(None, (error_message, problem.detail))))
    document = StatusDocument(
        job_id=NO_JOB, status="ERROR", detail=detail, error_message=error_message or detail
    ).model_dump()
    return in_words_of_results(document) if of_result and problem.status not in _TRANSIENT else document
