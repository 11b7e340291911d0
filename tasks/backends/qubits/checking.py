"""The check of one experiment: its programs, how they fit the device and the options, and what they will cost."""

from collections.abc import Iterator, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Gate

from models.errors import Fault, echo
from models.job_language.coercion import label
from models.job_language.qubits import QubitExperiment
from tasks.backends.cost import Limits
from tasks.backends.qubits.circuits import (
    STORE,
    active_qubits,
    assigns,
    ends_in_measurements,
    everything,
    hidden_bits,
    nested,
    sources,
    without_first_resets,
    without_loops,
    without_measurements,
)
from tasks.backends.qubits.compiling import Checked
from tasks.backends.qubits.costs import GROWTH, ROUNDS, Load, check
from tasks.backends.qubits.description import GATES
from tasks.backends.qubits.device import Device
from tasks.backends.qubits.estimation import groups, read_operator
from tasks.backends.qubits.parsing import parse
from tasks.backends.qubits.sizes import size_of


def checked(experiment: QubitExperiment, device: Device, *, noisy: bool) -> tuple[Checked, list[Fault]]:
    """Return an experiment with its programs as circuits, and everything that is wrong with it."""
    name = label(experiment.name)
    parsed = [parse(text, device.n_qubits) for text in experiment.programs]
    several = len(parsed) > 1
    faults = [
        Fault(experiment=name, field=f"program[{number}]" if several else "program", message=str(mark))
        for number, each in enumerate(parsed)
        for mark in each.marks
    ]
    circuits = [without_first_resets(each.circuit) for each in parsed if each.circuit is not None]
    whole = len(circuits) == len(parsed)
    known = circuits[0].num_qubits if whole and len(circuits) == 1 else None
    terms: tuple[Any, ...] = ()
    if experiment.job_type == "estimation":
        terms, wrong = read_operator(experiment.operator, known)
        faults += [fault.model_copy(update={"experiment": name}) for fault in wrong]
    if whole:
        messages = _misfits(experiment, circuits, device, noisy=noisy)
        faults += [Fault(experiment=name, field=field, message=message) for field, message in messages]
    too_costly = tuple(tuple(each.too_costly) for each in parsed)
    return Checked(experiment, tuple(circuits) if whole else (), terms, too_costly), faults


def _misfits(
    experiment: QubitExperiment, circuits: Sequence[QuantumCircuit], device: Device, *, noisy: bool
) -> Iterator[tuple[str, str]]:
    """Yield (field, message) for what is right in itself but not together."""
    qubits = sum(circuit.num_qubits for circuit in circuits)
    layout = experiment.initial_layout
    if qubits > device.n_qubits:
        yield "program", f"too many qubits: all programs together have {qubits}, the device has {device.n_qubits}"
    if experiment.n_qubits is not None and qubits > experiment.n_qubits:
        yield "simulator_info.n_qubits", f"got {experiment.n_qubits}; the program has {qubits} qubits"
    if layout is not None and len(layout) != qubits:
        yield "initial_layout", f"got {len(layout)} physical qubits; the program has {qubits} qubits"
    if any(circuit.layout is not None for circuit in circuits) and (len(circuits) > 1 or layout is not None):
        yield "program", "it names physical qubits itself ($0, ...), so it can have no layout and no neighbour"
    for number, circuit in enumerate(circuits):
        if len(circuits) > 1:
            yield from ((f"program[{number}]", message) for message in _unfit_for_company(circuit))
    if experiment.method == "state_vector" and noisy:
        yield "method", "a noisy device has no single final state; use method sampling"
    for number, circuit in enumerate(circuits):
        field = f"program[{number}]" if len(circuits) > 1 else "program"
        messages = (*_unfit(experiment, circuit), *_unplaced(experiment, circuit, device, noisy=noisy))
        yield from ((field, message) for message in messages)


def _unplaced(experiment: QubitExperiment, circuit: QuantumCircuit, device: Device, *, noisy: bool) -> Iterator[str]:
    """Yield what the device cannot run."""
    if not experiment.skip_transpilation:
        yield from _joining(circuit, device)
    elif noisy:
        yield from _foreign(circuit, experiment.initial_layout, device)


def _unfit(experiment: QubitExperiment, circuit: QuantumCircuit) -> Iterator[str]:
    """Yield why a program does not do for its job."""
    written = without_loops(circuit)
    if experiment.job_type == "estimation":
        written = without_measurements(written)
    elif not any(qubit is not None for qubit in sources(circuit)[: circuit.num_clbits - hidden_bits(circuit)]):
        yield "it measures nothing, so there is no outcome to count; add for example: c = measure q;"
    if ends_in_measurements(written):
        return
    if experiment.method == "state_vector":
        yield "it has no single final state (measurements or resets on the way, branches); use method sampling"
    if experiment.mitigation != "none":
        yield "readout mitigation needs a program that ends in its measurements"


def _unfit_for_company(circuit: QuantumCircuit) -> Iterator[str]:
    """Yield why a program is not run beside another one."""
    if nested(circuit):
        yield "branches and loops within one another are not run beside another program"
    if hidden_bits(circuit) or assigns(circuit):
        yield "assignments, variables and measurements into nothing are not run beside another program"


def _joining(circuit: QuantumCircuit, device: Device) -> Iterator[str]:
    """Yield what a device cannot run that joins no qubits."""
    if device.couplings and GATES[2] & set(device.basis_gates):
        return
    for item in everything(circuit):
        if isinstance(item.operation, Gate) and len(item.qubits) > 1:
            yield f"the device has no two-qubit gate, so it cannot run {echo(item.operation.name)}"
            return


def _foreign(circuit: QuantumCircuit, layout: Sequence[int] | None, device: Device) -> Iterator[str]:
    """Yield what a noisy device has no figures for, where the program runs as it is."""
    pairs = {frozenset(pair) for pair in device.couplings}
    own = {*device.basis_gates, "measure", "reset", "barrier", STORE}
    seen: set[str] = set()
    for item in everything(circuit):
        name = item.operation.name
        if isinstance(item.operation, ControlFlowOp) or name == "barrier":
            continue
        if name not in own and name not in seen:
            seen.add(name)
            yield f"without transpilation there are only the gates {', '.join(device.basis_gates)}, not {echo(name)}"
    for item in circuit.data:
        if item.operation.name in own and len(item.qubits) > 1 and item.operation.name != "barrier":
            places = [circuit.find_bit(qubit).index for qubit in item.qubits]
            if layout is not None and len(layout) == circuit.num_qubits:
                places = [layout[place] for place in places]
            if frozenset(places) not in pairs:
                yield f"without transpilation: the qubits {places[0]} and {places[1]} are not coupled"
                return


def predicted(experiments: Sequence[Checked], limits: Limits, *, noisy: bool) -> float:
    """Return the predicted cost of a job, before it is compiled.

    Raises:
        JobRejected: it is too dear.
    """
    return check(limits, [_load(each, noisy=noisy) for each in experiments if each.circuits])


def _load(each: Checked, *, noisy: bool) -> Load:
    experiment = each.experiment
    circuits = [without_loops(circuit) for circuit in each.circuits]
    if experiment.job_type == "estimation":
        circuits = [without_measurements(circuit) for circuit in circuits]
    rounds = ROUNDS if any(item.operation.name == "while_loop" for c in circuits for item in everything(c)) else 1
    growth = 1 if experiment.skip_transpilation else GROWTH
    return Load(
        name=experiment.name,
        operations=sum(size_of(circuit) for circuit in circuits) * growth * rounds,
        qubits=sum(len(active_qubits(circuit)) for circuit in circuits),
        shots=experiment.shots,
        runs=len(groups(each.terms)) if each.terms else 1,
        each_shot=noisy or not all(ends_in_measurements(circuit) for circuit in circuits),
        characters=_characters(
            experiment.job_type, memory=experiment.memory, clbits=sum(c.num_clbits for c in circuits)
        ),
    )


def check_compiled(items: Sequence[dict[str, Any]], limits: Limits, *, noisy: bool) -> None:
    """Hold what will really run against the limits.

    Raises:
        JobRejected: it is too dear after all.
    """
    loads = [
        Load(
            name=item["name"],
            operations=sum(item["operations"].values()),
            qubits=item["active_qubits"],
            shots=item["shots"],
            runs=item["runs"],
            each_shot=noisy or item["engine"] == "shots",
            characters=_characters(item["job_type"], memory=item["memory"], clbits=sum(item["clbits"])),
        )
        for item in items
    ]
    check(limits, loads)


def _characters(job_type: str, *, memory: bool, clbits: int) -> int:
    return clbits if memory and job_type != "estimation" else 0
