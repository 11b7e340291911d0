"""Each gate of Qiskit's library comes to the laboratory as what it is."""

from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Pauli, SparsePauliOp, Statevector
from quledger_client.qiskit import EstimatorV2

from tests.unit.qiskit_laboratory import ideal

ANGLES = (0.3, 1.1, -0.7, 0.4)


def around(gate: Gate) -> QuantumCircuit:
    """Return a gate on qubits that are in no symmetric state; its qubits are not in their order."""
    circuit = QuantumCircuit(gate.num_qubits + 1, name=gate.name)
    for qubit in circuit.qubits:
        circuit.ry(0.4 + circuit.find_bit(qubit).index, qubit)
    circuit.append(gate, list(range(gate.num_qubits, 0, -1)))
    for qubit in range(gate.num_qubits):
        circuit.cx(qubit, qubit + 1)
        circuit.rx(0.9 - qubit, qubit)
    return circuit


def gates() -> list[Gate]:
    """Return all gates, those with parameters at angles that are no special ones."""
    known: dict[str, Any] = get_standard_gate_name_mapping()
    return [
        each.base_class(*ANGLES[: len(each.params)]) if each.params else each
        for name, each in sorted(known.items())
        if isinstance(each, Gate) and name != "global_phase"
    ]


def test_all_gates_have_the_expectation_values_that_amplitudes_have():
    """Exact ones, of a product that no gate leaves alone."""
    circuits = [around(each) for each in gates()]
    assert len(circuits) > 45
    pubs = [
        (each, SparsePauliOp(["X" * each.num_qubits, "Z" + "Y" * (each.num_qubits - 1)], [1, 0.5])) for each in circuits
    ]
    found = EstimatorV2(ideal()).run(pubs, precision=0).result()
    for (circuit, observable), result in zip(pubs, found, strict=True):
        exact = Statevector(circuit).expectation_value(observable).real
        assert result.data.evs == pytest.approx(exact, abs=1e-8), circuit.name


def named_as(gate: Gate, *, has_parameters: bool) -> Gate:
    """Return a gate of a circuit's own that has the name of another."""
    angles = [Parameter(f"angle_{place}") for place in range(len(gate.params))] if has_parameters else []
    own = QuantumCircuit(gate.num_qubits, name=gate.name)
    for qubit in range(gate.num_qubits):
        own.u(0.3 + qubit, 0.7, 0.1, qubit)
    for angle in angles:
        own.ry(2 * angle, 0)
    for qubit in range(gate.num_qubits - 1):
        own.crx(0.9, qubit, qubit + 1)
    return own.to_gate()


@pytest.mark.slow
def test_own_gates_are_what_they_are_defined_as():
    """Whatever they are called, with parameters as many as their namesake has or with none, within others or not."""
    circuits = []
    for place, gate in enumerate(gates()):
        for has_parameters in {False, bool(gate.params)}:
            own = named_as(gate, has_parameters=has_parameters)
            outer = QuantumCircuit(own.num_qubits, name="outer")
            outer.append(own, range(own.num_qubits))
            nested = (outer.to_gate(), outer.to_gate().control(annotated=True), outer.to_instruction())[place % 3]
            circuits += [around(own), around(nested)]
    bound = [each.assign_parameters(ANGLES[: each.num_parameters]) for each in circuits]
    observables = ["XYZXYZ"[: each.num_qubits] for each in circuits]
    pubs = [
        (each, observable, ANGLES[: each.num_parameters])
        for each, observable in zip(circuits, observables, strict=True)
    ]
    found = EstimatorV2(ideal()).run(pubs, precision=0).result()
    for circuit, observable, result in zip(bound, observables, found, strict=True):
        exact = Statevector(circuit).expectation_value(Pauli(observable)).real
        assert result.data.evs == pytest.approx(exact, abs=1e-8), circuit.name
    flow = QuantumCircuit(2, 1)
    with flow.if_test((flow.clbits[0], 0)):
        flow.append(named_as(get_standard_gate_name_mapping()["iswap"], has_parameters=False), [0, 1])
    flow.measure(0, 0)
    counts = ideal().run(flow, shots=2000, seed_simulator=1).result().get_counts()
    assert counts["1"] / 2000 == pytest.approx(np.sin(0.15) ** 2, abs=0.02)


def test_counts_have_the_distribution_that_amplitudes_have():
    """Within five standard deviations of each outcome, in the order of Qiskit's bits."""
    circuits = [around(each) for each in gates() if each.name in ("ccx", "rccx", "iswap", "cu3", "r", "xx_plus_yy")]
    measured = [each.measure_all(inplace=False) for each in circuits]
    result = ideal().run(measured, shots=4000, seed_simulator=5).result()
    for place, circuit in enumerate(circuits):
        exact = Statevector(circuit).probabilities_dict()
        counts = result.get_counts(place)
        assert counts.keys() <= exact.keys()
        for outcome, share in exact.items():
            assert counts.get(outcome, 0) / 4000 == pytest.approx(share, abs=5 * np.sqrt(share / 4000) + 1e-9)
