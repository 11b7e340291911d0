"""A qubit device: its description as a value, its readout matrices and its noise model."""

from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.errors import BadSetting, describe
from tasks.backends.qubits.description import GATES, MAX_SHOTS, check

if TYPE_CHECKING:
    from qiskit_aer.noise import NoiseModel


class ReadoutError(BaseModel):
    """How often one qubit is misread.

    Attributes:
        prob_meas1_prep0: P(measured 1 | prepared 0).
        prob_meas0_prep1: P(measured 0 | prepared 1).
    """

    model_config = ConfigDict(frozen=True)

    qubit: int
    prob_meas1_prep0: float
    prob_meas0_prep1: float


class GateError(BaseModel):
    """How bad one gate is.

    Attributes:
        error: average gate infidelity; at most d / (d + 1) for a gate of dimension d.
        qubits: where, the lower one first; None for everywhere else.
    """

    model_config = ConfigDict(frozen=True)

    gate: str
    error: float
    qubits: tuple[int, ...] | None = None


class Device(BaseModel):
    """A device as the description (see `description`) says; `couplings` has the lower qubit of each pair first."""

    model_config = ConfigDict(frozen=True)

    device_id: str
    n_qubits: int
    couplings: tuple[tuple[int, int], ...] = ()
    basis_gates: tuple[str, ...]
    instructions: tuple[str, ...] = ("measure", "barrier")
    max_shots: int = MAX_SHOTS
    note: str = ""
    readout: tuple[ReadoutError, ...] = ()
    gate_errors: tuple[GateError, ...] = ()

    @classmethod
    def read(cls, text: str | bytes) -> "Device":
        """Return the device that this JSON text describes.

        Raises:
            BadSetting: the text has faults; all of them are listed by field.
        """
        found, faults = check(text)
        if faults:
            raise BadSetting(f"the device description cannot be used: {describe(faults)}")
        return cls.model_validate(found)

    @cached_property
    def noisy(self) -> bool:
        """True if any gate or any readout errs."""
        return self.misreads or any(item.error for item in self.gate_errors)

    @property
    def misreads(self) -> bool:
        """True if any readout errs."""
        return any(item.prob_meas1_prep0 or item.prob_meas0_prep1 for item in self.readout)


def readout(device: Device) -> NDArray[np.float64]:
    """Return the readout matrices, shape (n_qubits, 2, 2): [q][measured, prepared] = P(measured | prepared)."""
    matrices = np.tile(np.eye(2), (device.n_qubits, 1, 1))
    for item in device.readout:
        up, down = item.prob_meas1_prep0, item.prob_meas0_prep1
        matrices[item.qubit] = [[1 - up, down], [up, 1 - down]]
    return matrices


def depolarizing_parameter(error: float, qubits: int) -> float:
    """Return lambda of rho -> (1 - lambda) rho + lambda I/d for an average gate infidelity `error`.

    lambda = error d / (d - 1) with d = 2**qubits. Source: E. Magesan, J. M. Gambetta and J. Emerson,
    Phys. Rev. Lett. 106, 180504 (2011), r = (d - 1)(1 - p)/d with p = 1 - lambda.
    """
    dimension = float(2**qubits)
    return error * dimension / (dimension - 1)


def noise_model(device: Device) -> "NoiseModel":
    """Return the device's errors for Qiskit Aer: depolarizing gates and misread qubits; imports qiskit_aer."""
    from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error  # noqa: PLC0415 (takes seconds)

    model = NoiseModel(basis_gates=list(device.basis_gates))
    for gate, qubits, error in errors_by_place(device):
        places = [qubits] if len(qubits) == 1 else [qubits, qubits[::-1]]
        channel = depolarizing_error(depolarizing_parameter(error, len(qubits)), len(qubits))
        for place in places:
            model.add_quantum_error(channel, gate, list(place))
    for item in device.readout:
        up, down = item.prob_meas1_prep0, item.prob_meas0_prep1
        if up or down:  # Aer's rows are what was prepared
            model.add_readout_error(ReadoutError([[1 - up, up], [down, 1 - down]]), [item.qubit])
    return model


def errors_by_place(device: Device) -> list[tuple[str, tuple[int, ...], float]]:
    """Return (gate, qubits, average infidelity) for each place that has one, entries for all places written out."""
    found: dict[tuple[str, tuple[int, ...]], float] = {}
    for item in sorted(device.gate_errors, key=lambda item: item.qubits is not None):  # one's own comes last
        if item.qubits is not None:
            found[item.gate, item.qubits] = item.error
        elif item.gate in GATES[1]:
            found |= {(item.gate, (qubit,)): item.error for qubit in range(device.n_qubits)}
        else:
            found |= {(item.gate, pair): item.error for pair in device.couplings}
    return [(gate, place, error) for (gate, place), error in found.items() if error > 0]


DEFAULT = Device.read(files(__package__).joinpath("line12.json").read_text("utf-8"))
"""Twelve qubits in a row with readout errors and perfect gates."""
