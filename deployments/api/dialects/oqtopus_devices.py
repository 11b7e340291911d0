"""OQTOPUS: the qubit devices of this laboratory in its words."""

import json
from typing import Any

from models.errors import UnknownBackend
from storage.identity.devices import Standing
from tasks.backends import registry
from tasks.backends.qubits import published

NAMES = published.names
"""The names of all devices: the backends that take its documents."""


def device_view(name: str, waiting: int, *, is_served: bool, said: Standing | None = None) -> dict[str, Any]:
    """Return a device.

    Args:
        said: by its engine, of a device that one outside serves.
        waiting: jobs before a new one.
        is_served: whether somebody looks after its queue.

    Raises:
        UnknownBackend: there is none of this name.
    """
    if not published.has(name):
        raise UnknownBackend(name, NAMES())
    backend: Any = registry.load(name)
    config = backend.config
    found = {
        "device_id": name,
        "device_type": "simulator" if config.simulator else "QPU",
        "status": "available" if is_served else "unavailable",
        "n_pending_jobs": waiting,
        "n_qubits": config.num_wires,
        "basis_gates": [gate.name for gate in config.gates],
        "supported_instructions": list(config.supported_instructions),
        "device_info": json.dumps(_info(name, backend), separators=(",", ":")),
        "description": config.description,
    }
    if said is not None:
        told = {"n_qubits": said.n_qubits, "device_info": said.device_info, "calibrated_at": said.calibrated_at}
        found |= {field: value for field, value in told.items() if value}
    return found


def _info(name: str, backend: Any) -> dict[str, Any]:
    """Return the calibration: how each qubit is read, and how good the worst gate on it and on each pair is."""
    device, noisy = backend.device, backend.noisy
    readout = {each.qubit: each for each in device.readout} if noisy else {}
    errors = _worst(device) if noisy else {}
    return {
        "device_id": name,
        "n_nodes": 1,
        "qubits": [
            {
                "id": qubit,
                "physical_id": qubit,
                "fidelity": 1.0 - errors.get((qubit,), 0.0),
                "meas_error": _meas_error(readout.get(qubit)),
            }
            for qubit in range(device.n_qubits)
        ],
        "couplings": [
            {"control": low, "target": high, "fidelity": 1.0 - errors.get((low, high), 0.0)}
            for low, high in device.couplings
        ],
    }


def _meas_error(error: Any) -> dict[str, float]:
    up, down = (0.0, 0.0) if error is None else (error.prob_meas1_prep0, error.prob_meas0_prep1)
    return {"prob_meas1_prep0": up, "prob_meas0_prep1": down, "readout_assignment_error": (up + down) / 2}


def _worst(device: Any) -> dict[tuple[int, ...], float]:
    """Return the largest error of a gate on each qubit and each pair."""
    from tasks.backends.qubits.device import errors_by_place  # noqa: PLC0415 - numpy is for those who need it

    found: dict[tuple[int, ...], float] = {}
    for _gate, place, error in errors_by_place(device):
        found[place] = max(found.get(place, 0.0), error)
    return found
