"""Gates under control: `ctrl @` and `negctrl @` of what a gate is written out to, its phase included."""

import math
from typing import Any

import numpy as np
from qiskit.circuit import Barrier, ControlledGate
from qiskit.circuit.library import UnitaryGate
from qiskit.circuit.library import standard_gates as std

from tasks.backends.qubits.gates import Block, Placed, is_elementary, joined, unfolded

MAX_MATRIX = 6
"""Qubits of a controlled power that is kept as a matrix; beyond, each of its gates is controlled."""

TINY = 1e-14
"""Phases below this are none."""

_TURNS = {"z": math.pi, "s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4, "tdg": -math.pi / 4}


def controlled(block: Block, controls: int, *, negative: bool = False) -> Block:
    """Return the block under control: the first qubits must all be 1 (or all 0) for anything to happen."""
    size = controls + block.size
    all_of_them: tuple[int, ...] = tuple(range(controls))
    flips = tuple((std.XGate(), (place,)) for place in all_of_them) if negative else ()
    operations: list[Placed] = list(flips)
    phase: Any = 0.0
    parts: list[tuple[Block, tuple[int, ...]]] = [(_phased(block.phase, controls), all_of_them)]
    for each, places in block.operations:
        targets = tuple(controls + place for place in places)
        if isinstance(each, Barrier):
            parts.append((Block(len(targets), ((each, tuple(range(len(targets)))),)), targets))
        else:
            parts.append((_controlled(each, controls), (*all_of_them, *targets)))
    for part, qubits in parts:
        operations += [(each, tuple(qubits[place] for place in places)) for each, places in part.operations]
        phase = phase + part.phase
    return Block(size, (*operations, *flips), phase)


def _phased(angle: Any, controls: int) -> Block:
    """Return a phase that is there when all controls are 1."""
    if isinstance(angle, float | int) and math.isfinite(angle) and abs(math.remainder(angle, math.tau)) < TINY:
        return Block(controls, ())
    qubits = tuple(range(controls))
    return Block(controls, ((_turn(angle, controls - 1), qubits),))


def _controlled(operation: Any, controls: int) -> Block:
    """Return a library gate under control."""
    if isinstance(operation, UnitaryGate):
        return _matrix(operation, controls)
    if isinstance(operation, std.CUGate):
        theta, phi, lam, gamma = operation.params
        rest = _controlled(std.UGate(theta, phi, lam), controls + 1)
        qubits = tuple(range(controls + 2))
        return joined(controls + 2, [(_phased(gamma, controls + 1), qubits[:-1]), (rest, qubits)])
    if isinstance(operation, ControlledGate):
        return _controlled(operation.base_gate, controls + operation.num_ctrl_qubits)
    size = controls + operation.num_qubits
    return Block(size, *_base(operation, controls, tuple(range(size))))


def _base(operation: Any, controls: int, qubits: tuple[int, ...]) -> tuple[tuple[Any, ...], float]:
    """Return the operations, and their phase, of a gate without controls of its own on the last of the qubits."""
    name, angles, target = operation.name, operation.params, qubits[-1:]
    flip = (_flip(controls), qubits)
    if name == "x":
        return (flip,), 0.0
    if controls > 1 and name in {"y", "z"}:
        # the gate is that of X in another basis
        before, after = (std.SdgGate(), std.SGate()) if name == "y" else (std.HGate(), std.HGate())
        return ((before, target), flip, (after, target)), 0.0
    if controls > 1 and name == "swap":
        around = (std.CXGate(), (qubits[-1], qubits[-2]))
        return (around, (_flip(controls + 1), qubits), around), 0.0
    if name in {"p", "u1", "s", "sdg", "t", "tdg"}:
        return ((_turn(angles[0] if angles else _TURNS[name], controls), qubits),), 0.0
    if name in {"u2", "u3"}:
        operation = std.UGate(*(angles if name == "u3" else (math.pi / 2, *angles)))
    found = operation.control(controls, annotated=False)
    return (((found, qubits),), 0.0) if is_elementary(found) else _parts(found)


def _parts(operation: Any) -> tuple[tuple[Any, ...], float]:
    parts = list(unfolded(operation))
    phase = sum(part for part in parts if isinstance(part, float))
    return tuple(part for part in parts if not isinstance(part, float)), phase


def _turn(angle: Any, controls: int) -> Any:
    """Return `p(angle)` under control."""
    if controls == 0:
        return std.PhaseGate(angle)
    return std.CPhaseGate(angle) if controls == 1 else std.MCPhaseGate(angle, controls)


def _flip(controls: int) -> Any:
    return std.XGate().control(controls, annotated=False)


def _matrix(operation: Any, controls: int) -> Block:
    size = controls + operation.num_qubits
    if size > MAX_MATRIX:
        return controlled(Block(operation.num_qubits, *_parts(operation)), controls)
    whole = np.eye(2**size, dtype=np.complex128)
    chosen = (np.arange(2**operation.num_qubits) << controls) | (2**controls - 1)
    whole[np.ix_(chosen, chosen)] = operation.to_matrix()
    return Block(size, ((UnitaryGate(whole, check_input=False), tuple(range(size))),))
