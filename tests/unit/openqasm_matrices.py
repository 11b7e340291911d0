"""Matrices of OpenQASM gates from the specifications alone: numpy, and none of the code that is tested.

The first qubit varies fastest. Sources: OpenQASM 3 specification (built-in gates, gate modifiers, standard library);
OpenQASM 2.0, arXiv:1707.03429 (section 3 and figure 2).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]
PI = math.pi


def builtin_u(theta: float, phi: float, lam: float) -> Matrix:
    """Return `U` of OpenQASM 3."""
    plus, minus = 1 + np.exp(1j * theta), 1 - np.exp(1j * theta)
    rows = [[plus, -1j * np.exp(1j * lam) * minus], [1j * np.exp(1j * phi) * minus, np.exp(1j * (phi + lam)) * plus]]
    return np.array(rows) / 2


def phased(angle: float, matrix: Any = ((1.0,),)) -> Matrix:
    """Return a matrix after `gphase`."""
    return np.exp(1j * angle) * np.array(matrix, dtype=complex)


def control(matrix: Matrix, controls: int = 1, *, negative: bool = False) -> Matrix:
    """Return a matrix under control of qubits before its own."""
    size = len(matrix).bit_length() - 1
    found = np.eye(2 ** (size + controls), dtype=complex)
    rows = [(row << controls) | (0 if negative else 2**controls - 1) for row in range(2**size)]
    found[np.ix_(rows, rows)] = matrix
    return found


def power(matrix: Matrix, exponent: float) -> Matrix:
    """Return the principal power."""
    values, vectors = np.linalg.eig(matrix)
    angles = np.angle(values)
    angles[np.isclose(angles, -PI)] = PI
    return vectors @ np.diag(np.exp(1j * exponent * angles)) @ np.linalg.inv(vectors)


def on(size: int, steps: Sequence[tuple[Matrix, Sequence[int]]]) -> Matrix:
    """Return matrices one after another, each on its own qubits of `size`."""
    whole = np.eye(2**size, dtype=complex)
    for matrix, qubits in steps:
        step = np.zeros_like(whole)
        for column in range(2**size):
            inner = sum((column >> qubit & 1) << place for place, qubit in enumerate(qubits))
            rest = column & ~sum(1 << qubit for qubit in qubits)
            for row in range(len(matrix)):
                step[rest | sum((row >> place & 1) << qubit for place, qubit in enumerate(qubits)), column] += matrix[
                    row, inner
                ]
        whole = step @ whole
    return whole


def same(one: Matrix, other: Matrix) -> bool:
    """Return True if two matrices differ by no more than a global phase."""
    return one.shape == other.shape and bool(abs(abs(np.vdot(one, other)) / len(one) - 1) < 1e-9)


def p(lam: float) -> Matrix:
    """Return `p`: `ctrl @ gphase(lam)`."""
    return control(phased(lam))


X = phased(-PI / 2, builtin_u(PI, 0, PI))
Y = phased(-PI / 2, builtin_u(PI, PI / 2, PI / 2))
Z = p(PI)
H = phased(-PI / 4, builtin_u(PI / 2, 0, PI))
CX = control(X)
SWAP = on(2, [(CX, (0, 1)), (CX, (1, 0)), (CX, (0, 1))])


def rx(theta: float) -> Matrix:
    """Return `rx`."""
    return phased(-theta / 2, builtin_u(theta, -PI / 2, PI / 2))


def ry(theta: float) -> Matrix:
    """Return `ry`."""
    return phased(-theta / 2, builtin_u(theta, 0, 0))


def rz(lam: float) -> Matrix:
    """Return `rz`."""
    return phased(-lam / 2, builtin_u(0, 0, lam))


def u2(phi: float, lam: float) -> Matrix:
    """Return `u2`."""
    return phased(-(phi + lam + PI / 2) / 2, builtin_u(PI / 2, phi, lam))


def u3(theta: float, phi: float, lam: float) -> Matrix:
    """Return `u3`."""
    return phased(-(phi + lam + theta) / 2, builtin_u(theta, phi, lam))


STANDARD: dict[str, tuple[int, Any]] = {
    "p": (1, p),
    "x": (0, lambda: X),
    "y": (0, lambda: Y),
    "z": (0, lambda: Z),
    "h": (0, lambda: H),
    "s": (0, lambda: power(Z, 0.5)),
    "sdg": (0, lambda: power(Z, 0.5).conj().T),
    "t": (0, lambda: power(power(Z, 0.5), 0.5)),
    "tdg": (0, lambda: power(power(Z, 0.5), 0.5).conj().T),
    "sx": (0, lambda: power(X, 0.5)),
    "rx": (1, rx),
    "ry": (1, ry),
    "rz": (1, rz),
    "cx": (0, lambda: CX),
    "cy": (0, lambda: control(Y)),
    "cz": (0, lambda: control(Z)),
    "cp": (1, lambda lam: control(p(lam))),
    "crx": (1, lambda theta: control(rx(theta))),
    "cry": (1, lambda theta: control(ry(theta))),
    "crz": (1, lambda lam: control(rz(lam))),
    "ch": (0, lambda: control(H)),
    "swap": (0, lambda: SWAP),
    "ccx": (0, lambda: control(X, 2)),
    "cswap": (0, lambda: control(SWAP)),
    "cu": (4, lambda t, f, k, g: on(2, [(p(g - t / 2), (0,)), (control(builtin_u(t, f, k)), (0, 1))])),
    "CX": (0, lambda: CX),
    "phase": (1, lambda lam: builtin_u(0, 0, lam)),
    "cphase": (1, lambda lam: control(builtin_u(0, 0, lam))),
    "id": (0, lambda: np.eye(2, dtype=complex)),
    "u1": (1, lambda lam: builtin_u(0, 0, lam)),
    "u2": (2, u2),
    "u3": (3, u3),
    "U": (3, builtin_u),
}
"""Name -> number of parameters, matrix: what `stdgates.inc` defines, and `U`."""


def _two(*steps: tuple[Any, Any]) -> Matrix:
    """Return steps on two qubits a = 0 and b = 1; a number instead of a matrix is `u1`, the name cx means cx."""
    both = {"a": (0,), "b": (1,), "ab": (0, 1)}
    return on(2, [(p(what) if isinstance(what, float) else what, both[where]) for what, where in steps])


S, T = p(PI / 2), p(PI / 4)
QELIB1: dict[str, tuple[int, Any]] = {
    "u3": (3, u3),
    "u2": (2, u2),
    "u1": (1, p),
    "cx": (0, lambda: CX),
    "id": (0, lambda: np.eye(2, dtype=complex)),
    "x": (0, lambda: u3(PI, 0, PI)),
    "y": (0, lambda: u3(PI, PI / 2, PI / 2)),
    "z": (0, lambda: Z),
    "h": (0, lambda: u2(0, PI)),
    "s": (0, lambda: S),
    "sdg": (0, S.conj),
    "t": (0, lambda: T),
    "tdg": (0, T.conj),
    "rx": (1, lambda theta: u3(theta, -PI / 2, PI / 2)),
    "ry": (1, lambda theta: u3(theta, 0, 0)),
    "rz": (1, p),
    "cz": (0, lambda: _two((H, "b"), (CX, "ab"), (H, "b"))),
    "cy": (0, lambda: _two((S.conj(), "b"), (CX, "ab"), (S, "b"))),
    "ch": (
        0,
        lambda: _two(
            (H, "b"), (S.conj(), "b"), (CX, "ab"), (H, "b"), (T, "b"), (CX, "ab"), (T, "b"), (H, "b"), (S, "b"),
            (X, "b"), (S, "a"),
        ),
    ),
    "ccx": (0, lambda: control(X, 2)),
    "crz": (1, lambda k: _two((k / 2, "b"), (CX, "ab"), (-k / 2, "b"), (CX, "ab"))),
    "cu1": (1, lambda k: _two((k / 2, "a"), (CX, "ab"), (-k / 2, "b"), (CX, "ab"), (k / 2, "b"))),
    "cu3": (
        3,
        lambda t, f, k: _two(
            ((k - f) / 2, "b"), (CX, "ab"), (u3(-t / 2, 0, -(f + k) / 2), "b"), (CX, "ab"), (u3(t / 2, f, 0), "b")
        ),
    ),
}  # fmt: skip
"""Name -> number of parameters, matrix: what `qelib1.inc` defines."""

MODIFIERS: dict[str, Any] = {
    "": lambda m: m,
    "inv @ ": lambda m: m.conj().T,
    "ctrl @ ": control,
    "negctrl @ ": lambda m: control(m, negative=True),
    "ctrl(2) @ ": lambda m: control(m, 2),
    "ctrl @ inv @ ": lambda m: control(m.conj().T),
    "inv @ negctrl(2) @ ": lambda m: control(m.conj().T, 2, negative=True),
    "negctrl @ ctrl @ ": lambda m: control(control(m), negative=True),
    "ctrl @ pow(2) @ ": lambda m: control(m @ m),
    "ctrl @ pow(-1) @ ": lambda m: control(m.conj().T),
    "ctrl @ pow(-3) @ ": lambda m: control(np.linalg.matrix_power(m.conj().T, 3)),
    "ctrl @ pow(0.5) @ ": lambda m: control(power(m, 0.5)),
    "negctrl @ pow(-0.3) @ ": lambda m: control(power(m, -0.3), negative=True),
    "pow(0.5) @ ctrl @ ": lambda m: power(control(m), 0.5),
    "inv @ ctrl @ pow(0.25) @ ctrl @ ": lambda m: control(power(control(m), 0.25)).conj().T,
}
