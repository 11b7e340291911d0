"""The backend of one qubit device: OpenQASM in, counts and expectation values out."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from models.backend import JSON, BackendConfig, GateConfig
from models.errors import Fault, JobRejected
from models.job_language.instructions import MAX_FAULTS
from models.job_language.qubit_schema import qubit_schema
from models.job_language.qubits import MAX_EXPERIMENTS, QubitExperiment, read_document
from tasks.backends.cost import Limits
from tasks.backends.qubits.costs import QUBIT_LIMITS
from tasks.backends.qubits.description import GATES
from tasks.backends.qubits.device import Device

if TYPE_CHECKING:
    from tasks.backends.qubits.compiling import Checked

PROGRAM_FORMAT = 1
VERSION = "0.1"

_PARAMETERS = {
    "rx": "theta",
    "ry": "theta",
    "rz": "lambda",
    "p": "lambda",
    "u": "theta, phi, lambda",
    "r": "theta, phi",
}


class Qubits:
    """A simulator of one device.

    Args:
        name: under which it is published.
        noisy: whether gates and readout err as the device says.
        limits: what a job may cost.
    """

    def __init__(self, name: str, device: Device, *, noisy: bool, limits: Limits = QUBIT_LIMITS) -> None:
        self.name, self.device, self.noisy, self.limits = name, device, noisy and device.noisy, limits
        self._config = _config(name, device, noisy=self.noisy)
        self._circuits: dict[str, Any] = {}

    @property
    def config(self) -> BackendConfig:
        """The configuration as published."""
        return self._config

    @property
    def calibration(self) -> JSON:
        """The errors that it simulates; None without any."""
        said = {"device_id", "readout", "gate_errors"}
        return self.device.model_dump(mode="json", include=said) if self.noisy else None

    @property
    def document_schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return qubit_schema(self.name, num_qubits=self.device.n_qubits, max_shots=self.device.max_shots)

    def validate(self, document: JSON) -> "tuple[Checked, ...]":
        """Return the experiments of a job document with their programs as circuits.

        Raises:
            JobRejected: with all faults of the document; or, if it has none, all that is too dear.
        """
        device = self.device
        experiments = read_document(document, num_qubits=device.n_qubits, max_shots=device.max_shots)
        checking = import_module("tasks.backends.qubits.checking")
        faults: list[Fault] = []
        checked: list[Checked] = []
        for experiment in experiments:
            found, wrong = checking.checked(experiment, device, noisy=self.noisy)
            checked.append(found)
            faults += wrong
        if faults:
            raise JobRejected(*faults[:MAX_FAULTS])
        self.predicted_cost(checked)
        return tuple(checked)

    def predicted_cost(self, checked: "Sequence[Checked]") -> float:
        """Return the amplitude updates of a whole job.

        Raises:
            JobRejected: it is more than the limits allow.
        """
        cost: float = import_module("tasks.backends.qubits.checking").predicted(checked, self.limits, noisy=self.noisy)
        return cost

    def compile(self, checked: "Sequence[Checked]", seed: int) -> JSON:
        """Return the program: for each experiment the transpiled circuit and how it is run.

        A seed of the user stays, and with that of the simulation that of the transpilation is settled too. Without one,
        both follow from `seed` and the experiment's position.

        Raises:
            JobRejected: a program is too large, or cannot be placed on the device.
        """
        compiling = import_module("tasks.backends.qubits.compiling")
        items = []
        for index, each in enumerate(checked):
            transpilation, simulation = _seeds(each.experiment, seed, index)
            compiled = compiling.compile_experiment(each, self.device, simulation, transpilation)
            self._circuits[compiled.item["program"]] = compiled.circuit
            items.append(compiled.item)
        import_module("tasks.backends.qubits.checking").check_compiled(items, self.limits, noisy=self.noisy)
        return {
            "format": PROGRAM_FORMAT,
            "backend": self.name,
            "version": VERSION,
            "device": self.device.device_id,
            "noisy": self.noisy,
            "experiments": items,
        }

    def execute(self, program: JSON) -> Iterator[JSON]:
        """Run a program of `compile`; yield one result of the contract per experiment, in order.

        Raises:
            ValueError: the program is not of this backend or of another format.
        """
        if program.get("format") != PROGRAM_FORMAT or program.get("backend") != self.name:
            raise ValueError(f"not a program of format {PROGRAM_FORMAT} for {self.name}")
        execution = import_module("tasks.backends.qubits.execution")
        for item in program["experiments"]:
            # The circuit is at hand where this process has compiled it; else it is read from its text.
            circuit = self._circuits.pop(item["program"], None)
            yield execution.run(item, circuit, self.device, noisy=self.noisy)


def _seeds(experiment: QubitExperiment, seed: int, index: int) -> tuple[int, int]:
    """Return the seeds of transpilation and simulation of one experiment: of 31 bits where the user gives none."""
    said, simulation = experiment.seed_transpilation, experiment.seed_simulation
    if simulation is None:
        state = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(2)
        return int(state[0]) >> 1 if said is None else said, int(state[1]) >> 1
    if said is None:
        # One seed, one answer: where the qubits are placed decides which errors they have, and so the counts.
        said = int(np.random.SeedSequence(simulation).generate_state(2)[1]) >> 1
    return said, simulation


def _config(name: str, device: Device, *, noisy: bool) -> BackendConfig:
    """Return what front ends see of a device."""
    singles = [[qubit] for qubit in range(device.n_qubits)]
    pairs = [list(pair) for pair in device.couplings]
    gates = [
        GateConfig(
            coupling_map=singles if gate in GATES[1] else pairs,
            description=f"The gate {gate} of OpenQASM",
            name=gate,
            parameters=[_PARAMETERS.get(gate, "")],
        )
        for gate in device.basis_gates
    ]
    errors = _errors(device, noisy=noisy)
    return BackendConfig(
        description=f"A simulator of the qubit device {device.device_id}, {errors}. It runs OpenQASM 2 and 3.",
        version=VERSION,
        display_name=name,
        cold_atom_type="spin",  # a qubit is a spin 1/2; the contract knows no other word that fits
        gates=gates,
        max_experiments=MAX_EXPERIMENTS,
        max_shots=device.max_shots,
        simulator=True,
        supported_instructions=[
            *device.basis_gates,
            "measure",
            "barrier",
            "reset",
            "if_else",
            "for_loop",
            "while_loop",
        ],
        num_wires=device.n_qubits,
        wire_order="interleaved",
        num_species=1,
    )


def _errors(device: Device, *, noisy: bool) -> str:
    if not noisy:
        return "without errors"
    kinds = (("gate", any(each.error for each in device.gate_errors)), ("readout", device.misreads))
    return f"with its {' and '.join(kind for kind, there in kinds if there)} errors"
