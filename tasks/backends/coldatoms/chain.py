"""The state of a chain of spins and the gates on one wire or two neighbours.

Wire 0 is the most significant index (C order). A gate is a small matrix on a block of neighbouring wires, applied
to the state seen as (left, d, right); diagonal gates are phases. Gates on single small wires wait until a gate on
several wires comes, and are then applied together, block by block.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import cast

import numpy as np

from tasks.backends.coldatoms import spin
from tasks.backends.coldatoms.hamiltonian import ChainHamiltonian
from tasks.backends.coldatoms.spin import Real, State
from tasks.backends.cost import MATRIX_SPEED

SMALL = 8
"""Wires of up to this many levels wait for their neighbours."""

BLOCK = 32
"""Largest dimension of a matrix made of waiting gates or of one exchange gate."""

FEW = 16
"""More tiny matrix products than this take longer than one large one."""

PHASE_BLOCK = 1024
"""Largest table of phases made of waiting zz gates."""

KEEP_BLOCKS = 2**21
"""Eigenvectors of an exchange gate of up to this many elements (16 MB) are kept."""


class ChainState:
    """The amplitudes of a chain of spins, all wires in level 0 at first.

    Args:
        dims: levels N + 1 of each wire.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        self.dims = tuple(dims)
        self._state = np.zeros(math.prod(dims), dtype=np.complex128)
        self._state[0] = 1
        self._waiting: dict[int, State] = {}
        self._angles: dict[int, Real] = {}  # of zz gates on (wire, wire + 1); they come before what waits

    @property
    def amplitudes(self) -> State:
        """The state, shape (product of dims,)."""
        self._flush()
        return self._state

    def rotate(self, wire: int, angle: float) -> None:
        """Apply exp(-i angle Lx) to one wire."""
        levels = self.dims[wire]
        if levels <= SMALL:
            self._wait(wire, spin.rotation(levels - 1, angle))
            return
        self._flush_angles()
        self._state = spin.rotate(self._view(wire, wire + 1), levels - 1, angle).reshape(-1)

    def turn(self, wire: int, angles: Real) -> None:
        """Apply exp(-i diag(angles)) to one wire; angles has shape (N+1,)."""
        phases = np.exp(-1j * angles)
        if self.dims[wire] <= SMALL:
            self._wait(wire, phases)
        else:
            self._view(wire, wire + 1)[...] *= phases[:, np.newaxis]

    def zz(self, wires: Sequence[int], coupling: float) -> None:
        """Apply exp(-i coupling Lz Lz) to all neighbours among consecutive wires."""
        self._flush_waiting()
        for wire in wires[:-1]:
            angles = coupling * np.multiply.outer(spin.lz(self.dims[wire] - 1), spin.lz(self.dims[wire + 1] - 1))
            self._angles[wire] = self._angles[wire] + angles if wire in self._angles else angles

    def exchange(self, wire: int, coupling: float) -> None:
        """Apply exp(-i coupling (L+L- + L-L+)) to `wire` and the next: exact at any angle."""
        self._flush()
        one, other = self.dims[wire], self.dims[wire + 1]
        if one * other <= BLOCK:
            self._apply(exchange_matrix(one, other, coupling), wire, wire + 2)
            return
        view = self._view(wire, wire + 2)
        for where, values, vectors in exchange_blocks(one, other):
            inner = spin.real_matmul(vectors.T, view[:, where])
            inner *= np.exp(-1j * coupling * values)[:, np.newaxis]
            view[:, where] = spin.real_matmul(vectors, inner)

    def multiply(self, phases: State) -> None:
        """Multiply the state by phases of shape (product of dims,)."""
        self._flush()
        self._state *= phases

    def evolve(self, hamiltonian: ChainHamiltonian) -> None:
        """Apply exp(-i H)."""
        self._flush()
        self._state = hamiltonian.evolve(self._state)

    def _view(self, begin: int, end: int) -> State:
        """Return the state as (left, levels of the wires begin..end-1, right)."""
        return self._state.reshape(
            math.prod(self.dims[:begin]), math.prod(self.dims[begin:end]), math.prod(self.dims[end:])
        )

    def _apply(self, matrix: State, begin: int, end: int) -> None:
        """Apply a matrix to neighbouring wires."""
        left, size, right = self._view(begin, end).shape
        if right > 1 and left > FEW and size * right <= 2 * BLOCK:
            matrix, size, right = kron(matrix, np.eye(right)), size * right, 1  # mostly zeros, but one product
        if right == 1:
            self._state = (self._state.reshape(left, size) @ matrix.T).reshape(-1)
        else:
            self._state = np.matmul(matrix, self._state.reshape(left, size, right)).reshape(-1)

    def _wait(self, wire: int, gate: State) -> None:
        """Put a gate (a matrix, or a vector of phases) behind those that wait on this wire."""
        before = self._waiting.get(wire)
        if gate.ndim == 1:
            self._waiting[wire] = np.diag(gate) if before is None else gate[:, np.newaxis] * before
        else:
            self._waiting[wire] = gate if before is None else gate @ before

    def _flush(self) -> None:
        self._flush_waiting()
        self._flush_angles()

    def _flush_waiting(self) -> None:
        if not self._waiting:
            return
        self._flush_angles()
        for begin, end in blocks(self._waiting, self.dims, BLOCK):
            matrix = self._waiting[begin]
            for wire in range(begin + 1, end):
                matrix = kron(matrix, self._waiting[wire])
            self._apply(matrix, begin, end)
        self._waiting.clear()

    def _flush_angles(self) -> None:
        if not self._angles:
            return
        bonds, self._angles = self._angles, {}
        for begin, end in blocks(bonds, self.dims, PHASE_BLOCK, bonds=True):
            table = bonds[begin]
            for wire in range(begin + 1, end - 1):
                table = table.reshape(-1, self.dims[wire], 1) + bonds[wire]
            self._view(begin, end)[...] *= np.exp(-1j * table.reshape(-1))[:, np.newaxis]


def kron(one: State, other: State | Real) -> State:
    """Return the Kronecker product of two square matrices; several times faster than numpy's for small ones."""
    size = len(one) * len(other)
    return cast("State", (one[:, np.newaxis, :, np.newaxis] * other[:, np.newaxis, :]).reshape(size, size))


def blocks(
    places: Iterable[int], dims: Sequence[int], largest: int, *, bonds: bool = False
) -> Iterator[tuple[int, int]]:
    """Group places into runs (begin, end) of neighbouring wires, the last first, of at most `largest` dimensions.

    A place is a wire, or with `bonds` a wire and its next; one place alone may be larger.
    """
    ordered = sorted(places, reverse=True)
    while ordered:
        begin = ordered.pop(0)
        end = begin + 1 + bonds
        while ordered and ordered[0] == begin - 1 and math.prod(dims[begin - 1 : end]) <= largest:
            begin = ordered.pop(0)
        yield begin, end


def exchange_blocks(one: int, other: int) -> Iterable[tuple[slice, Real, Real]]:
    """Return the blocks of L+L- + L-L+ on wires of `one` and `other` levels, those of more than one state.

    k_a + k_b is conserved, and within a block the operator is tridiagonal.

    Returns:
        For each block: where its states are in the joint index (k_a, k_b), eigenvalues, eigenvectors as columns.
    """
    return _kept_blocks(one, other) if exchange_elements(one, other) <= KEEP_BLOCKS else _blocks(one, other)


def exchange_elements(one: int, other: int) -> int:
    """Return the sum of d^2 over the blocks of d states."""
    small = min(one, other)
    return small * (small - 1) * (2 * small - 1) // 3 + (abs(one - other) + 1) * small**2


@lru_cache(maxsize=4)
def _kept_blocks(one: int, other: int) -> tuple[tuple[slice, Real, Real], ...]:
    return tuple(_blocks(one, other))


def _blocks(one: int, other: int) -> Iterator[tuple[slice, Real, Real]]:
    ladder_one, ladder_other = spin.ladder(one - 1), spin.ladder(other - 1)
    for total in range(1, one + other - 2):
        low, high = max(0, total - other + 1), min(one - 1, total)
        k = np.arange(low, high)  # k_a -> k_a + 1, k_b = total - k_a -> k_b - 1
        elements = ladder_one[k] * ladder_other[total - k - 1]
        values, vectors = spin.tridiagonal(np.zeros(high - low + 1), elements)
        first = low * other + total - low
        yield slice(first, first + (high - low) * (other - 1) + 1, other - 1), values, vectors


@lru_cache(maxsize=1024)
def exchange_matrix(one: int, other: int, coupling: float) -> State:
    """Return exp(-i coupling (L+L- + L-L+)) on two small wires, shape (one * other, one * other)."""
    matrix = np.eye(one * other, dtype=np.complex128)
    for where, values, vectors in exchange_blocks(one, other):
        matrix[where, where] = (vectors * np.exp(-1j * coupling * values)) @ vectors.T
    matrix.flags.writeable = False
    return matrix


def one_wire_updates(dims: Sequence[int], wire: int) -> float:
    """Return the amplitude updates of a rotation of one wire."""
    return math.prod(dims) * (3 + 2 * dims[wire] / MATRIX_SPEED) + spin.EIGEN_TERMS * dims[wire] ** 2


def exchange_updates(one: int, other: int, size: int) -> float:
    """Return the amplitude updates of an exchange gate on a state of `size` amplitudes."""
    elements = exchange_elements(one, other)
    return spin.EIGEN_TERMS * elements + size / (one * other) * 2 * elements / MATRIX_SPEED + 4 * size
