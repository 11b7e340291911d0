"""One collective spin: N atoms with two levels each are a spin L = N/2 with the levels k = 0..N, m = L - k.

All functions take N and work in the basis of the levels, k = 0 (m = +L) first; hbar = 1.

Source: J. J. Sakurai, Modern Quantum Mechanics, section 3.5 (ladder operators of angular momentum).
"""

from functools import lru_cache
from typing import Any, cast

import numpy as np
import scipy
from numpy.typing import NDArray

from tasks.backends.coldatoms import chebyshev

Real = NDArray[np.float64]
State = NDArray[np.complex128]

DENSE_ATOMS = 1000
"""Up to here a rotation uses the eigenvectors of Lx (8 MB at 1000 atoms); above, Chebyshev polynomials."""

POLYNOMIAL_TERMS = 6
"""Array operations of one Chebyshev step of a tridiagonal H (for the prediction of costs)."""

EIGEN_TERMS = 10
"""An eigen-decomposition of a tridiagonal matrix of d levels costs about this many times d^2 updates."""


@lru_cache(maxsize=64)
def lz(atoms: int) -> Real:
    """Return the diagonal of Lz, shape (N+1,): L - k."""
    diagonal: Real = atoms / 2 - np.arange(atoms + 1, dtype=np.float64)
    diagonal.flags.writeable = False
    return diagonal


@lru_cache(maxsize=64)
def ladder(atoms: int) -> Real:
    """Return <k+1|L-|k> = sqrt((k+1)(N-k)), shape (N,); half of it is the off-diagonal of Lx."""
    k = np.arange(atoms, dtype=np.float64)
    elements: Real = np.sqrt((k + 1) * (atoms - k))
    elements.flags.writeable = False
    return elements


def tridiagonal(diagonal: Real, off_diagonal: Real) -> tuple[Real, Real]:
    """Return eigenvalues and eigenvectors (columns) of a real symmetric tridiagonal matrix.

    Divide and conquer is as fast as LAPACK's default here, and its vectors are orthogonal to 3e-15, not 4e-13.
    """
    driver: Any = "stevd"  # newer than the type stubs
    return cast("tuple[Real, Real]", scipy.linalg.eigh_tridiagonal(diagonal, off_diagonal, lapack_driver=driver))


@lru_cache(maxsize=8)
def lx_eigenvectors(atoms: int) -> tuple[Real, Real]:
    """Return the eigenvalues -L..L of Lx, shape (N+1,), and its eigenvectors as columns, shape (N+1, N+1)."""
    _, vectors = tridiagonal(np.zeros(atoms + 1), ladder(atoms) / 2)
    return -lz(atoms), vectors  # the spectrum is known exactly: no rounding in the phases


@lru_cache(maxsize=4096)
def rotation(atoms: int, angle: float) -> State:
    """Return the matrix exp(-i angle Lx), shape (N+1, N+1)."""
    values, vectors = lx_eigenvectors(atoms)
    matrix: State = (vectors * np.exp(-1j * angle * values)) @ vectors.T
    matrix.flags.writeable = False
    return matrix


def rotate(state: State, atoms: int, angle: float) -> State:
    """Return exp(-i angle Lx) applied to a state of shape (left, N+1, right)."""
    if atoms > DENSE_ATOMS:
        return _rotate_by_polynomials(state, atoms, angle)
    values, vectors = lx_eigenvectors(atoms)
    inner = real_matmul(vectors.T, state)
    inner *= np.exp(-1j * angle * values)[:, np.newaxis]
    return real_matmul(vectors, inner)


def turn(state: State, angles: Real) -> State:
    """Return exp(-i diag(angles)) applied to the middle index of a state of shape (left, N+1, right)."""
    return cast("State", state * np.exp(-1j * angles)[:, np.newaxis])


def real_matmul(matrix: Real, state: State) -> State:
    """Return a real matrix of shape (d, d) applied to the middle index of a state of shape (left, d, right)."""
    left, levels, right = state.shape
    if left == 1 or right > 1:  # real and imaginary parts are two real columns: half the work of a complex product
        parts = np.ascontiguousarray(state).view(np.float64)
        return cast("State", np.matmul(matrix, parts).view(np.complex128))
    rows = state.reshape(left, levels)
    return cast("State", (rows.real @ matrix.T + 1j * (rows.imag @ matrix.T)).reshape(state.shape))


def evolve_tridiagonal(state: State, diagonal: Real, off_diagonal: Real) -> State:
    """Return exp(-i H) applied to a state of shape (left, d, right); H is real, symmetric and tridiagonal.

    Exact at any angle up to rounding: the phases carry an error of about 1e-16 times the largest eigenvalue.
    """
    if not off_diagonal.any():
        return turn(state, diagonal)
    values, vectors = tridiagonal(diagonal, off_diagonal)
    inner = real_matmul(np.ascontiguousarray(vectors.T), state)
    inner *= np.exp(-1j * values)[:, np.newaxis]
    return real_matmul(vectors, inner)


def evolve_polynomials(state: State, diagonal: Real, off_diagonal: Real) -> State:
    """Return the same as `evolve_tridiagonal` for a state of shape (1, d, 1), in O(d) memory."""

    def apply(vectors: Real) -> Real:
        result = vectors * diagonal
        result[:, :-1] += vectors[:, 1:] * off_diagonal
        result[:, 1:] += vectors[:, :-1] * off_diagonal
        return result

    low, high = tridiagonal_bounds(diagonal, off_diagonal)
    return chebyshev.evolve(state.reshape(-1), apply, low, high).reshape(state.shape)


def tridiagonal_bounds(diagonal: Real, off_diagonal: Real) -> tuple[float, float]:
    """Return bounds of the spectrum (Gershgorin's circles)."""
    reach = np.zeros_like(diagonal)
    reach[:-1] += np.abs(off_diagonal)
    reach[1:] += np.abs(off_diagonal)
    return float((diagonal - reach).min()), float((diagonal + reach).max())


def _rotate_by_polynomials(state: State, atoms: int, angle: float) -> State:
    # exp(-i pi Lx) swaps k and N - k and multiplies by (-i)^N: what is left turns by at most pi / 2
    half_turns = round(angle / np.pi)
    if half_turns % 2:
        state = state[:, ::-1]
    state = state * (-1j) ** (half_turns * atoms % 4)
    rest = angle - half_turns * np.pi
    if rest == 0:
        return np.ascontiguousarray(state)
    off_diagonal = rest * ladder(atoms) / 2
    columns = state.transpose(0, 2, 1).reshape(-1, atoms + 1)
    turned = [
        evolve_polynomials(np.ascontiguousarray(column).reshape(1, -1, 1), np.zeros(atoms + 1), off_diagonal)
        for column in columns
    ]
    left, levels, right = state.shape
    back = np.stack([column.reshape(-1) for column in turned]).reshape(left, right, levels)
    return np.ascontiguousarray(back.transpose(0, 2, 1))
