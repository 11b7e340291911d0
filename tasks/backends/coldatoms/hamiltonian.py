"""H of a whole chain of spins, and exp(-i H) on its state.

H = a diagonal + on every wire omega Lx + on every pair of neighbours J (L+L- + L-L+), all real. The off-diagonal
part is cut into **windows** of neighbouring wires: a small one is a dense matrix, so that one product does the work
of many terms; one with many levels is done by shifting the state along its axes.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import scipy

from tasks.backends.coldatoms import chebyshev, spin
from tasks.backends.coldatoms.spin import Real, State
from tasks.backends.cost import MATRIX_SPEED

WINDOW = 32
"""Largest dimension of a dense window: beyond, a dense product costs more than the terms it replaces."""

MIN_DENSE, MAX_DENSE = 128, 1500
"""Up to the first, always eigenvectors (exact at any angle); up to the second, if that is cheaper."""

QUBIT = 2
"""Levels of a wire with one atom: in an exchange each of its states has one partner, not two."""

STEP_TERMS, WIRE_TERMS = 6, 4
"""Array operations of one Chebyshev step: once, and for each wire (an upper bound for the windows)."""


class Window(NamedTuple):
    """Neighbouring wires and the terms of H that are done on them.

    Attributes:
        begin: the first wire.
        end: one after the last wire.
        sites: how many of its wires, from the first, have their Lx here.
    """

    begin: int
    end: int
    sites: int


def windows(dims: Sequence[int], *, linked: bool) -> Iterator[Window]:
    """Cut a chain into windows, last wires first; `linked` ones share a wire, so that each bond is in one of them."""
    end = last = len(dims)
    while end > 0:
        begin = max(0, end - 2 if linked else end - 1)
        while begin > 0 and math.prod(dims[begin - 1 : end]) <= WINDOW:
            begin -= 1
        yield Window(begin, end, end - begin - (linked and end < last))
        if begin == 0:
            return
        end = begin + 1 if linked else begin


class ChainHamiltonian:
    """A real symmetric operator on a chain of spins.

    Args:
        dims: levels N + 1 of each wire.
        diagonal: the diagonal part, shape (product of dims,).
        omega: coefficient of Lx on every wire.
        exchange: coefficient of L+L- + L-L+ on every pair of neighbours.
    """

    def __init__(self, dims: Sequence[int], diagonal: Real, omega: float = 0.0, exchange: float = 0.0) -> None:
        self.dims, self.size, self.diagonal = tuple(dims), math.prod(dims), diagonal
        self.omega, self.exchange = omega, exchange
        self._parts: list[tuple[Window, Real | None]] = []
        if omega or exchange:
            for window in windows(self.dims, linked=bool(exchange)):
                small = math.prod(self.dims[window.begin : window.end]) <= WINDOW
                self._parts.append((window, self._dense_window(window) if small else None))

    def _dense_window(self, window: Window) -> Real:
        """Return the matrix of a window, shape (d, d)."""
        size = math.prod(self.dims[window.begin : window.end])
        rows = np.eye(size)
        result = np.zeros_like(rows)
        self._shift(rows, result, window, size)
        return result

    def apply(self, vectors: Real) -> Real:
        """Return H applied to real row vectors, shape (rows, product of dims)."""
        result: Real = vectors * self.diagonal
        for window, matrix in self._parts:
            if matrix is None:
                self._shift(vectors, result, window, len(vectors) * math.prod(self.dims[: window.begin]))
                continue
            right = math.prod(self.dims[window.end :])
            shape = (-1, len(matrix), right) if right > 1 else (-1, len(matrix))
            parts = vectors.reshape(shape)
            done = np.matmul(matrix, parts) if right > 1 else parts @ matrix
            result += done.reshape(result.shape)
        return result

    def _shift(self, vectors: Real, result: Real, window: Window, rows: int) -> None:
        """Add the window's terms to `result`; both are seen as (rows, levels of the window, rest)."""
        levels = self.dims[window.begin : window.end]
        for place, count in enumerate(levels):
            if self.omega and place < window.sites:
                left = rows * math.prod(levels[:place])
                source, target = vectors.reshape(left, count, -1), result.reshape(left, count, -1)
                step = (self.omega / 2 * spin.ladder(count - 1))[:, np.newaxis]
                target[:, 1:] += step * source[:, :-1]
                target[:, :-1] += step * source[:, 1:]
            if self.exchange and place + 1 < len(levels):
                shape = (rows * math.prod(levels[:place]), count, levels[place + 1], -1)
                source, target = vectors.reshape(shape), result.reshape(shape)
                one, other = spin.ladder(count - 1), spin.ladder(levels[place + 1] - 1)
                step = (self.exchange * np.multiply.outer(one, other))[:, :, np.newaxis]
                target[:, 1:, :-1] += step * source[:, :-1, 1:]
                target[:, :-1, 1:] += step * source[:, 1:, :-1]

    def evolve(self, state: State) -> State:
        """Return exp(-i H) applied to a state of shape (product of dims,).

        Exact up to rounding by eigenvectors for small systems, within 1e-14 times the number of polynomials else.
        """
        if not self._parts:
            return cast("State", state * np.exp(-1j * self.diagonal))
        reach = off_diagonal_reach(self.dims, self.omega, self.exchange)
        low, high = float(self.diagonal.min()) - reach, float(self.diagonal.max()) + reach
        if self.size <= MIN_DENSE or (
            self.size <= MAX_DENSE and _dense_updates(self.size) < _polynomial_updates(self.dims, (high - low) / 2)
        ):
            values, vectors = scipy.linalg.eigh(self.apply(np.eye(self.size)), driver="evd", check_finite=False)
            return cast("State", vectors @ (np.exp(-1j * values) * (vectors.T @ state)))
        return chebyshev.evolve(state, self.apply, low, high)


def off_diagonal_reach(dims: Sequence[int], omega: float, exchange: float) -> float:
    """Return a bound of the largest eigenvalue of the off-diagonal part."""
    reach = abs(omega) * sum(levels - 1 for levels in dims) / 2
    for one, other in pairwise(dims):
        element = one * other / 4  # bounds sqrt((k+1)(N-k)) on both wires
        reach += abs(exchange) * element * (1 if min(one, other) == QUBIT else 2)
    return reach


def updates(dims: Sequence[int], diagonal_radius: float, omega: float, exchange: float) -> float:
    """Return the amplitude updates of `evolve`, without building anything.

    Args:
        dims: levels of each wire.
        diagonal_radius: a bound of half the width of the diagonal part.
        omega: coefficient of Lx.
        exchange: coefficient of L+L- + L-L+.
    """
    size = math.prod(dims)
    if not omega and not exchange:
        return size * len(dims)
    if size <= MIN_DENSE:
        return _dense_updates(size)
    polynomial = _polynomial_updates(dims, diagonal_radius + off_diagonal_reach(dims, omega, exchange))
    return min(polynomial, _dense_updates(size)) if size <= MAX_DENSE else polynomial


def _dense_updates(size: int) -> float:
    return 4.0 * size**3 / MATRIX_SPEED


def _polynomial_updates(dims: Sequence[int], radius: float) -> float:
    return float(chebyshev.terms(radius)) * math.prod(dims) * (STEP_TERMS + WIRE_TERMS * len(dims))


def chain_diagonal(dims: Sequence[int], delta: float, chi: float = 0.0, zz: float = 0.0) -> Real:
    """Return the diagonal of sum_i (delta Lz + chi Lz^2) + zz sum_<i,i+1> Lz Lz, shape (product of dims,)."""
    total: Real = np.zeros((1, 1))
    before = np.zeros(1)
    for levels in dims:
        m = spin.lz(levels - 1)
        total = total.reshape(-1, len(before), 1) + (delta * m + chi * m**2 + zz * np.multiply.outer(before, m))
        before = m
    return total.reshape(-1)
