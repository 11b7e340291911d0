"""One compiled experiment, run: counts with what mitigation makes of them, or an expectation value with its error."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Clbit, Qubit
from qiskit_aer.noise import NoiseModel

from tasks.backends.qubits.circuits import reordered, sources
from tasks.backends.qubits.device import Device, noise_model, readout
from tasks.backends.qubits.estimation import Group, Real, Term, groups, mitigated_value, value_and_std
from tasks.backends.qubits.mitigation import mitigate
from tasks.backends.qubits.parsing import parse
from tasks.backends.qubits.running import probabilities, sample

REPORTED = ("program", "layout", "final_layout", "depth", "two_qubit_gates", "operations")
"""What a result says of the circuit that ran."""

MIRRORED = ("counts", "divided_counts", "mitigated", "exp_value", "stds", "unmitigated")
"""Numbers that stand in the header too: of `data`, sqooler's and qlued's schemas keep only the memory."""


def run(item: dict[str, Any], circuit: QuantumCircuit | None, device: Device, *, noisy: bool) -> dict[str, Any]:
    """Return the contract's result of one experiment.

    Args:
        item: from the program of `compile`.
        circuit: what its text describes; None if it has to be read from there.

    Raises:
        ValueError: the text cannot be read.
    """
    if circuit is None:
        read = parse(item["program"], device.n_qubits, device.basis_gates)
        if read.circuit is None:
            raise ValueError(
                f"the compiled program cannot be read: {'; '.join(map(str, read.marks + read.too_costly))}"
            )
        circuit = _widened(reordered(read.circuit, item["bit_order"]), max(item["final_layout"]) + 1)
    noise = noise_model(device) if noisy else None
    matrices = readout(device) if noisy else np.tile(np.eye(2), (device.n_qubits, 1, 1))
    if item["job_type"] == "estimation":
        data = _estimate(item, circuit, device, noise, matrices)
    else:
        data = _sample(item, circuit, noise, matrices)
    return {
        "header": {"name": item["name"], "extra metadata": "text"}
        | {name: data[name] for name in MIRRORED if name in data},
        "shots": item["shots"],
        "success": True,
        "data": data
        | {
            "instructions": None,
            "transpiled": {name: item[name] for name in REPORTED},
            "seeds": {"simulation": item["seed_simulation"], "transpilation": item["seed_transpilation"]},
        },
    }


def _widened(circuit: QuantumCircuit, qubits: int) -> QuantumCircuit:
    """Return a circuit with at least so many qubits: a text names none beyond the last one that does something."""
    if circuit.num_qubits < qubits:
        circuit.add_bits([Qubit() for _ in range(qubits - circuit.num_qubits)])
    return circuit


def _sample(item: dict[str, Any], circuit: QuantumCircuit, noise: NoiseModel | None, matrices: Real) -> dict[str, Any]:
    hidden = item.get("hidden", 0)
    outcomes = sample(circuit, item["shots"], item["seed_simulation"], noise, memory=item["memory"], hidden=hidden)
    data: dict[str, Any] = {"memory": outcomes.memory or [], "counts": outcomes.counts}
    if len(item["clbits"]) > 1 or item["job_type"] == "multi_manual":
        data["divided_counts"] = divided(outcomes.counts, item["clbits"])
    if item["mitigation"] != "none":
        data["mitigated"] = mitigate(
            outcomes.counts, sources(circuit)[: circuit.num_clbits - hidden], matrices, item["mitigation"]
        )
    return data


def divided(counts: dict[str, int], clbits: Sequence[int]) -> dict[str, dict[str, int]]:
    """Return the counts of each program of several that ran side by side; those of program 0 are the rightmost bits."""
    found: dict[str, dict[str, int]] = {}
    end = sum(clbits)
    for number, size in enumerate(clbits):
        mine: dict[str, int] = {}
        for bits, often in counts.items():
            part = bits[end - size : end]
            mine[part] = mine.get(part, 0) + often
        found[str(number)] = dict(sorted(mine.items()))
        end -= size
    return found


def _estimate(
    item: dict[str, Any], circuit: QuantumCircuit, device: Device, noise: NoiseModel | None, matrices: Real
) -> dict[str, Any]:
    terms = [Term(tuple((qubit, pauli) for qubit, pauli in factors), coeff) for factors, coeff in item["operator"]]
    found = groups(terms)
    measured = [_measured(circuit, group, item["final_layout"], device, noisy=noise is not None) for group in found]
    if item["method"] == "state_vector":
        value = sum(_exact(each, group, item["final_layout"]) for each, group in zip(measured, found, strict=True))
        return {"memory": [], "exp_value": value, "stds": 0.0}
    seeds = np.random.SeedSequence(item["seed_simulation"]).generate_state(len(found))
    before = sum(item["clbits"])
    counts = []
    for each, group, seed in zip(measured, found, seeds, strict=True):
        if not group.basis:
            counts.append({"": item["shots"]})  # the identity needs no measurement
            continue
        joint = sample(each, item["shots"], int(seed), noise, memory=False).counts
        counts.append(divided(joint, [before, len(group.basis)])["1"])
    value, std = value_and_std(found, counts)
    data: dict[str, Any] = {
        "memory": [],
        "exp_value": value,
        "stds": std,
        "groups": [
            {"basis": " ".join(f"{pauli} {qubit}" for qubit, pauli in group.basis), "counts": each}
            for group, each in zip(found, counts, strict=True)
        ],
    }
    if item["mitigation"] != "none":
        places = [[item["final_layout"][qubit] for qubit in group.qubits] for group in found]
        better, error = value_and_std(found, counts, [matrices[each] for each in places])
        if item["mitigation"] == "least_square":
            mitigated = [
                mitigate(each, place, matrices, "least_square") if place else {"": float(item["shots"])}
                for each, place in zip(counts, places, strict=True)
            ]
            better = mitigated_value(found, mitigated)
        data |= {"exp_value": better, "stds": error, "unmitigated": {"exp_value": value, "stds": std}}
    return data


def _measured(
    circuit: QuantumCircuit, group: Group, layout: Sequence[int], device: Device, *, noisy: bool
) -> QuantumCircuit:
    """Return the circuit with the rotations and measurements of one group on its physical qubits."""
    turn = QuantumCircuit(circuit.num_qubits)
    for qubit, pauli in group.basis:
        if pauli == "Y":
            turn.sdg(layout[qubit])
        if pauli != "Z":
            turn.h(layout[qubit])
    if noisy:
        # errors are those of the device's own gates
        turn = transpile(turn, basis_gates=list(device.basis_gates), optimization_level=1)
    whole: QuantumCircuit = circuit.copy()
    first = whole.num_clbits
    whole.add_bits([Clbit() for _ in group.basis])
    whole.compose(turn, inplace=True)
    for place, (qubit, _) in enumerate(group.basis):
        whole.measure(layout[qubit], first + place)
    return whole


def _exact(circuit: QuantumCircuit, group: Group, layout: Sequence[int]) -> float:
    """Return the exact value of one group in the final state."""
    constant = sum(term.coeff for term in group.terms if not term.factors)
    if not group.basis:
        return constant
    weights = probabilities(circuit, [layout[qubit] for qubit in group.qubits])
    outcomes = np.arange(len(weights))
    place = {qubit: number for number, qubit in enumerate(group.qubits)}
    total = constant
    for term in group.terms:
        if term.factors:
            parity = np.zeros(len(weights), dtype=np.int64)
            for qubit, _ in term.factors:
                parity ^= (outcomes >> place[qubit]) & 1
            total += term.coeff * float(weights @ (1 - 2 * parity))
    return total
