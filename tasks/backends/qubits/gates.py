"""What a gate is once its definition is written out: library gates on numbered qubits, and a phase.

Nothing here has the name that a program gave it, so that no library can take a program's own `rzz` for its own. The
phases are those of the OpenQASM 3 specification (gates: "Built-in gates", "Quantum gate modifiers"; standard library),
which show as soon as a gate is controlled or raised to a power: Qiskit's `U`, `u2` and `u3` have other ones.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, ControlledGate
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping
from qiskit.circuit.library import standard_gates as std
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Operator
from qiskit.synthesis import OneQubitEulerDecomposer

Placed = tuple[Any, tuple[int, ...]]
"""An operation and the qubits it acts on, by their place in the block."""

BRANCH = 1e-9
"""So near to -1 an eigenvalue is -1, the principal root of which is i, whichever side rounding puts it on."""


MAX_POWER = 1e6
"""Rounding errors of an angle grow with the power."""


class Block(NamedTuple):
    """A unitary as library gates.

    Attributes:
        size: qubits.
        operations: in the order of time.
        phase: in radians, of the whole.
    """

    size: int
    operations: tuple[Placed, ...]
    phase: Any = 0.0


def _plain(gate: Callable[..., Any], qubits: int, phase: Callable[..., Any] | None = None) -> Callable[..., Block]:
    def block(*angles: Any) -> Block:
        return Block(qubits, ((gate(*angles), tuple(range(qubits))),), 0.0 if phase is None else phase(*angles))

    return block


class Known(NamedTuple):
    """A gate that needs no definition."""

    parameters: int
    qubits: int
    block: Callable[..., Block]


BUILT_IN = Known(3, 1, _plain(std.UGate, 1, lambda theta, _phi, _lam: theta / 2))
"""`U`: its determinant is exp(i (phi + lambda + theta)), so that it has the period 2 pi in each angle."""

STANDARD: dict[str, Known] = {
    name: Known(parameters, qubits, _plain(gate, qubits))
    for parameters, qubits, gates in (
        (0, 1, {"x": std.XGate, "y": std.YGate, "z": std.ZGate, "h": std.HGate, "s": std.SGate, "sdg": std.SdgGate}),
        (0, 1, {"t": std.TGate, "tdg": std.TdgGate, "sx": std.SXGate, "id": lambda: std.UGate(0, 0, 0)}),
        (1, 1, {"p": std.PhaseGate, "phase": std.PhaseGate, "u1": std.U1Gate}),
        (1, 1, {"rx": std.RXGate, "ry": std.RYGate, "rz": std.RZGate}),
        (0, 2, {"cx": std.CXGate, "CX": std.CXGate, "cy": std.CYGate, "cz": std.CZGate, "ch": std.CHGate}),
        (0, 2, {"swap": std.SwapGate}),
        (1, 2, {"cp": std.CPhaseGate, "cphase": std.CPhaseGate}),
        (1, 2, {"crx": std.CRXGate, "cry": std.CRYGate, "crz": std.CRZGate}),
        (4, 2, {"cu": std.CUGate}),
        (0, 3, {"ccx": std.CCXGate, "cswap": std.CSwapGate}),
    )
    for name, gate in gates.items()
} | {
    "u2": Known(2, 1, _plain(std.U2Gate, 1, lambda phi, lam: -(phi + lam) / 2)),
    "u3": Known(3, 1, _plain(std.U3Gate, 1, lambda _theta, phi, lam: -(phi + lam) / 2)),
}
"""What `stdgates.inc` defines. No name of version 2 and no gate of a device follows from it."""


def natives(names: Iterable[str]) -> dict[str, Known]:
    """Return the library's gates of these names as a device has them."""
    found = {}
    for name in names:
        gate = get_standard_gate_name_mapping().get(name)
        if gate is not None:
            parameters = len(gate.params)
            found[name] = Known(parameters, gate.num_qubits, _plain(gate.base_class, gate.num_qubits))
    return found


def turned(angle: Any) -> Block:
    """Return `gphase(angle)`, which acts on no qubit."""
    return Block(0, (), angle)


def barrier(size: int) -> Block:
    """Return a barrier, which does nothing."""
    return Block(size, ((Barrier(size), tuple(range(size))),))


def joined(size: int, parts: Sequence[tuple[Block, Sequence[int]]]) -> Block:
    """Return blocks one after another, each on its own qubits of `size`."""
    operations: list[Placed] = []
    phase: Any = 0.0
    for block, qubits in parts:
        operations += [(each, tuple(qubits[place] for place in places)) for each, places in block.operations]
        phase = phase + block.phase
    return Block(size, tuple(operations), phase)


def inverted(block: Block) -> Block:
    """Return the inverse."""
    operations = tuple(
        (each if isinstance(each, Barrier) else each.inverse(), places) for each, places in reversed(block.operations)
    )
    return Block(block.size, operations, -block.phase)


def power(block: Block, exponent: float) -> Block:
    """Return a power of the block, the principal one where the exponent is no whole number: at most a few qubits.

    Raises:
        QiskitError: the exponent is so large that nothing is known of the angles.
    """
    if not abs(exponent) <= MAX_POWER:
        raise QiskitError(f"the power is beyond what numbers resolve: at most {MAX_POWER:g}")
    if exponent == 1:
        return block
    if exponent == -1:
        return inverted(block)
    whole = matrix(block)
    if float(exponent).is_integer():
        raised = np.linalg.matrix_power(whole if exponent >= 0 else whole.conj().T, abs(int(exponent)))
    else:
        triangle, basis = scipy.linalg.schur(whole, output="complex")
        angles = np.angle(np.diag(triangle))
        angles[angles < BRANCH - math.pi] = math.pi
        raised = (basis * np.exp(1j * exponent * angles)) @ basis.conj().T
    if block.size == 0:
        return Block(0, (), float(np.angle(raised[0, 0])))
    if block.size == 1:
        theta, phi, lam, phase = OneQubitEulerDecomposer("U").angles_and_phase(raised)
        return Block(1, ((std.UGate(theta, phi, lam), (0,)),), phase)
    return Block(block.size, ((UnitaryGate(raised, check_input=False), tuple(range(block.size))),))


def matrix(block: Block) -> NDArray[np.complex128]:
    """Return the unitary, shape (2**size, 2**size); the first qubit varies fastest."""
    if block.size == 0:
        return np.array([[np.exp(1j * float(block.phase))]])
    circuit = QuantumCircuit(block.size)
    for each, places in block.operations:
        if not isinstance(each, Barrier):
            circuit.append(each, places)
    found: NDArray[np.complex128] = np.exp(1j * float(block.phase)) * Operator(circuit).data
    return found


def unfolded(operation: Any) -> Iterator[Placed | float]:
    """Yield the library gates that an operation is defined by, and phases between them."""
    definition = operation.definition
    if definition.global_phase:
        yield float(definition.global_phase)
    for item in definition.data:
        places = tuple(definition.find_bit(qubit).index for qubit in item.qubits)
        if is_elementary(item.operation):
            yield item.operation, places
            continue
        for part in unfolded(item.operation):
            if isinstance(part, float):
                yield part
            else:
                yield part[0], tuple(places[place] for place in part[1])


def is_elementary(operation: Any) -> bool:
    """Return True for a library gate as everybody knows it, whose controls (if it has any) must be 1."""
    if isinstance(operation, Barrier):
        return True
    if isinstance(operation, ControlledGate) and operation.ctrl_state != 2**operation.num_ctrl_qubits - 1:
        return False
    return str(operation.base_class.__module__).startswith("qiskit.circuit.library.standard_gates")
