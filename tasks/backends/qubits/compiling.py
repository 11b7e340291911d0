"""From checked programs to what the device runs: one circuit on physical qubits, as OpenQASM 3 and in numbers."""

from typing import Any, NamedTuple

from qiskit import QuantumCircuit, qasm3, transpile
from qiskit.transpiler import CouplingMap, PassManager
from qiskit.transpiler.exceptions import TranspilerError
from qiskit.transpiler.passes import ApplyLayout, EnlargeWithAncilla, FullAncillaAllocation, SetLayout

from models.errors import Fault, JobRejected, printable
from models.job_language.coercion import label
from models.job_language.openqasm import Mark
from models.job_language.qubits import QubitExperiment
from tasks.backends.qubits.circuits import (
    active_qubits,
    ends_in_measurements,
    has_branches,
    hidden_bits,
    register_order,
    side_by_side,
    straightened,
    two_qubit_gates,
    without_loops,
    without_measurements,
)
from tasks.backends.qubits.device import Device
from tasks.backends.qubits.estimation import Term, groups


class Checked(NamedTuple):
    """An experiment without faults.

    Attributes:
        circuits: one for each program; empty where one of them is too large to be built.
        terms: of the operator; empty for other jobs than estimations.
        too_costly: for each program what makes it too large.
    """

    experiment: QubitExperiment
    circuits: tuple[QuantumCircuit, ...]
    terms: tuple[Term, ...]
    too_costly: tuple[tuple[Mark, ...], ...]

    @property
    def shots(self) -> int:
        """How often the experiment is run."""
        return self.experiment.shots


class Compiled(NamedTuple):
    """A program as JSON, and the circuit that its text describes."""

    item: dict[str, Any]
    circuit: QuantumCircuit


def compile_experiment(checked: Checked, device: Device, simulation_seed: int, transpilation_seed: int) -> Compiled:
    """Return what will run.

    Raises:
        JobRejected: the programs are too large, or cannot be placed on the device.
    """
    experiment = checked.experiment
    too_costly = [
        Fault(experiment=label(experiment.name), field=f"program[{number}]", message=str(mark))
        for number, marks in enumerate(checked.too_costly)
        for mark in marks
    ]
    if too_costly:
        raise JobRejected(*too_costly)
    circuit = without_loops(side_by_side(checked.circuits))
    if experiment.job_type == "estimation":
        circuit = without_measurements(circuit)
    placed = _placed(circuit, checked, device, transpilation_seed)
    layout = getattr(placed, "layout", None)
    before = list(range(circuit.num_qubits)) if layout is None else layout.initial_index_layout(filter_ancillas=True)
    after = list(range(circuit.num_qubits)) if layout is None else layout.final_index_layout(filter_ancillas=True)
    item = {
        "name": experiment.name,
        "job_type": experiment.job_type,
        "shots": experiment.shots,
        "seed_simulation": simulation_seed,
        "seed_transpilation": transpilation_seed,
        "method": experiment.method,
        "mitigation": experiment.mitigation,
        "memory": experiment.memory,
        "engine": "state_vector" if ends_in_measurements(placed) else "shots",
        "program": text_of(placed),
        "layout": before,
        "final_layout": after,
        "depth": placed.depth(lambda each: each.operation.name != "barrier"),
        "two_qubit_gates": two_qubit_gates(placed),
        "operations": {name: int(count) for name, count in sorted(placed.count_ops().items())},
        "active_qubits": len(active_qubits(placed)),
        "runs": len(groups(checked.terms)) if checked.terms else 1,
        "bit_order": register_order(placed),
        "clbits": [each.num_clbits for each in checked.circuits],
        "hidden": hidden_bits(circuit) if len(checked.circuits) == 1 else 0,
        "operator": [[[list(factor) for factor in term.factors], term.coeff] for term in checked.terms],
    }
    return Compiled(item, placed)


def text_of(circuit: QuantumCircuit) -> str:
    """Return a circuit on physical qubits as OpenQASM 3."""
    if not circuit.data:
        # A text without any operation names no physical qubit, and could not be read again.
        circuit = circuit.copy()
        circuit.barrier(0)
    text: str = qasm3.dumps(circuit)
    return text


def couplings(device: Device) -> CouplingMap:
    """Return the coupling map, both ways for each pair: Aer and the basis gates know no direction."""
    coupling_map = CouplingMap()
    for qubit in range(device.n_qubits):
        coupling_map.add_physical_qubit(qubit)
    for one, other in device.couplings:
        coupling_map.add_edge(one, other)
        coupling_map.add_edge(other, one)
    return coupling_map


def _placed(circuit: QuantumCircuit, checked: Checked, device: Device, seed: int) -> QuantumCircuit:
    experiment = checked.experiment
    layout = list(experiment.initial_layout) if experiment.initial_layout is not None else None
    if experiment.skip_transpilation:
        everybody = CouplingMap.from_full(device.n_qubits)
        places = [SetLayout(layout or list(range(circuit.num_qubits))), FullAncillaAllocation(everybody)]
        # Only the names of the qubits change: each gate stays what it is.
        named: QuantumCircuit = PassManager([*places, EnlargeWithAncilla(), ApplyLayout()]).run(circuit)
        return named
    if layout is None and any(each.layout is not None for each in checked.circuits):
        layout = list(range(circuit.num_qubits))  # the program names physical qubits itself
    common = {
        "coupling_map": couplings(device),
        "basis_gates": list(device.basis_gates),
        "routing_method": experiment.routing_method,
        "seed_transpiler": seed,
        "optimization_level": experiment.optimization_level,
    }
    method = experiment.layout_method if layout is None else None
    try:
        if layout is None and method is None and has_branches(circuit):
            # Qiskit looks into no branch when it chooses a layout, and then brings its qubits together in each anew.
            straight = transpile(straightened(circuit), **common)
            if straight.layout is not None:
                layout = straight.layout.initial_index_layout(filter_ancillas=True)
        placed: QuantumCircuit = transpile(circuit, initial_layout=layout, layout_method=method, **common)
    except TranspilerError as error:
        said = printable(str(error.message))
        message = f"the program cannot be placed on the device: {said}"
        if said.startswith("A connected component"):
            message = "the program joins more qubits by its gates than the device couples with one another"
        raise JobRejected(Fault(experiment=label(experiment.name), field="program", message=message)) from None
    return placed
