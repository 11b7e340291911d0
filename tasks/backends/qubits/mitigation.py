"""Readout mitigation: from what was read to what was there, every qubit erring on its own.

What is read is distributed as A p, with p the distribution before the readout and A the tensor product of the
readout matrices of the qubits. Both methods give a distribution (nothing negative, the shots as its sum):

- `pseudo_inverse`: the distribution nearest to A^-1 (counts). Source: J. A. Smolin, J. M. Gambetta and G. Smith,
  Phys. Rev. Lett. 108, 070502 (2012); the inverse alone has negative entries, and at twelve qubits so much noise in
  thousands of outcomes that never happened that it helps little.
- `least_square`: the distribution p for which A p is nearest to the counts.

"Nearest" is the Euclidean distance. Up to 20 bits A acts on all outcomes. Beyond, it is cut down to the outcomes that
were observed, with columns that add up to 1 again. Source: P. D. Nation, H. Kang, N. Sundaresan and J. M. Gambetta,
PRX Quantum 2, 040326 (2021).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import Fault, JobRejected

Real = NDArray[np.float64]
Method = Literal["pseudo_inverse", "least_square"]

WHOLE_BITS = 20
"""Up to so many bits the distribution of all outcomes is computed (8 MB)."""

MAX_OBSERVED = 4096
"""Beyond `WHOLE_BITS` a job may have so many different outcomes: their matrix takes 128 MB."""

LEAST_INFORMATION = 1e-3
"""A qubit with |1 - P(1|0) - P(0|1)| below this is left as it was read: with 10^7 shots, the most there are, the
statistical error of what is inferred would be a third of the whole range."""

SMALLEST = 1e-12
"""Outcomes with a smaller share of the shots are rounding errors and left out."""

_FACTOR_BITS = 5  # matrices of 32 x 32 are the fastest
_STEPS = 1000
_SETTLED = 1e-7  # total change of the distribution in one step; 10^7 shots know it to 3e-4


class _Channel(NamedTuple):
    """A as what it does; `norm` is an upper bound of its largest singular value."""

    forward: Callable[[Real], Real]
    adjoint: Callable[[Real], Real]
    inverse: Callable[[Real], Real]
    norm: float


def mitigate(
    counts: Mapping[str, int],
    clbit_to_physical: Sequence[int | None],
    readout: Real,
    method: Method,
) -> dict[str, float]:
    """Return the counts as they would be without readout errors: not negative, with the shots as their sum.

    A qubit that was read into two bits is misread in each of them independently.

    Args:
        counts: bit string -> shots; classical bit 0 is the rightmost character.
        clbit_to_physical: for each classical bit, 0 first, the physical qubit that was read into it; None if none was.
        readout: shape (qubits, 2, 2), [q][measured, prepared] = P(measured | prepared).
        method: see the module.

    Raises:
        JobRejected: there are more than 4096 different outcomes of more than 20 bits.
        ValueError: a bit string has another length than `clbit_to_physical`.
    """
    shots = sum(counts.values())
    if shots == 0:
        return {}
    if any(len(bits) != len(clbit_to_physical) for bits in counts):
        raise ValueError(f"a bit string has another length than {len(clbit_to_physical)} bits")
    read = [place for place, qubit in enumerate(clbit_to_physical) if qubit is not None][::-1]  # leftmost bit first
    matrices = [_usable(readout[clbit_to_physical[place]]) for place in read]
    observed: dict[str, int] = {}
    for bits, count in counts.items():
        key = "".join(bits[-1 - place] for place in read)
        observed[key] = observed.get(key, 0) + count
    if len(read) <= WHOLE_BITS:
        found = _whole(observed, matrices, shots, method)
    else:
        found = _observed(observed, matrices, shots, method)
    return {_spread(key, read, len(clbit_to_physical)): share * shots for key, share in found.items()}


def usable(matrix: Real) -> bool:
    """Return whether a readout with this matrix says anything of the qubit."""
    return bool(abs(np.linalg.det(matrix)) >= LEAST_INFORMATION)


def nearest_distribution(quasi: Real) -> Real:
    """Return the distribution with the smallest Euclidean distance to a vector, shape (outcomes,)."""
    kept = quasi
    while True:  # drop what falls below zero, spread what is too much evenly over the rest
        shift = (kept.sum() - 1) / len(kept)
        still = kept[kept > shift]
        if len(still) == len(kept):
            found: Real = np.maximum(quasi - shift, 0)
            return found
        kept = still


def _usable(matrix: Real) -> Real:
    return matrix if usable(matrix) else np.eye(2)


def _spread(key: str, read: Sequence[int], width: int) -> str:
    """Return the bit string with the bits that were never read, which are 0."""
    if len(read) == width:
        return key
    bits = ["0"] * width
    for bit, place in zip(key, read, strict=True):
        bits[-1 - place] = bit
    return "".join(bits)


def _solve(channel: _Channel, shares: Real, method: Method) -> Real:
    """Return the distribution before the channel."""
    start = nearest_distribution(channel.inverse(shares))
    return start if method == "pseudo_inverse" else _least_squares(channel, shares, start)


def _least_squares(channel: _Channel, shares: Real, start: Real) -> Real:
    """Return the distribution p with the smallest |A p - shares|, by projected gradients with momentum.

    Source: A. Beck and M. Teboulle, SIAM J. Imaging Sci. 2, 183 (2009); the momentum starts again whenever it leads
    uphill: B. O'Donoghue and E. Candes, Found. Comput. Math. 15, 715 (2015).
    """
    step = 1 / channel.norm**2
    best, ahead, pace = start, start, 1.0
    for _ in range(_STEPS):
        gradient = channel.adjoint(channel.forward(ahead) - shares)
        found = nearest_distribution(ahead - step * gradient)
        change = found - best
        if float((ahead - found) @ change) > 0:
            pace = 1.0
        faster = (1 + math.sqrt(1 + 4 * pace**2)) / 2
        best, ahead, pace = found, found + (pace - 1) / faster * change, faster
        if float(np.abs(change).sum()) < _SETTLED:
            break
    return best


def _whole(observed: Mapping[str, int], matrices: Sequence[Real], shots: int, method: Method) -> dict[str, float]:
    """Return the shares of all outcomes; the matrices are those of the bits, leftmost first."""
    bits = len(matrices)
    if not bits:
        return {"": 1.0}
    shares = np.zeros(2**bits)
    for key, count in observed.items():
        shares[int(key, 2)] = count / shots
    found = _solve(_tensor(matrices), shares, method)
    return {format(place, f"0{bits}b"): float(found[place]) for place in np.flatnonzero(found > SMALLEST).tolist()}


def _tensor(matrices: Sequence[Real]) -> _Channel:
    """Return the tensor product, the first matrix acting on the most significant bit."""
    inverses = [np.asarray(np.linalg.inv(matrix), dtype=np.float64) for matrix in matrices]
    norm = math.prod(float(np.linalg.norm(matrix, 2)) for matrix in matrices)
    return _Channel(_acting(matrices), _acting([m.T for m in matrices]), _acting(inverses), norm)


def _acting(matrices: Sequence[Real]) -> Callable[[Real], Real]:
    """Return what multiplies a vector by the tensor product."""
    factors: list[Real] = [np.ones((1, 1))] * math.ceil(len(matrices) / _FACTOR_BITS)
    for place, matrix in enumerate(matrices):
        factors[place // _FACTOR_BITS] = np.kron(factors[place // _FACTOR_BITS], matrix).astype(np.float64)

    def act(vector: Real) -> Real:
        for factor in factors:  # each time the axis in front goes to the end, so that the order is the old one at last
            vector = (factor @ vector.reshape(len(factor), -1)).T.reshape(-1)
        return vector

    return act


def _observed(observed: Mapping[str, int], matrices: Sequence[Real], shots: int, method: Method) -> dict[str, float]:
    """Return the shares of the outcomes that were observed."""
    keys = sorted(observed)
    if len(keys) > MAX_OBSERVED:
        message = (
            f"the {len(matrices)} bits show {len(keys)} different outcomes; readout mitigation of more than "
            f"{WHOLE_BITS} bits takes at most {MAX_OBSERVED}: take fewer shots, measure fewer qubits, or say none"
        )
        raise JobRejected(Fault(field="ro_error_mitigation", message=message, code="runtime"))
    shares = np.array([observed[key] for key in keys]) / shots
    found = _solve(_among(keys, matrices), shares, method)
    return {key: share for key, share in zip(keys, found.tolist(), strict=True) if share > SMALLEST}


def _among(keys: Sequence[str], matrices: Sequence[Real]) -> _Channel:
    """Return the channel between these outcomes only, its columns adding up to 1."""
    one = np.array([[bit == "1" for bit in key] for key in keys], dtype=float)
    logs = np.log(np.maximum(np.array(matrices), 1e-300))  # (bits, measured, prepared); 0 stays 0 in the product
    both = logs[:, 1, 1] - logs[:, 1, 0] - logs[:, 0, 1] + logs[:, 0, 0]
    matrix = (one * both) @ one.T
    matrix += (one @ (logs[:, 1, 0] - logs[:, 0, 0]))[:, None] + one @ (logs[:, 0, 1] - logs[:, 0, 0])
    matrix += logs[:, 0, 0].sum()
    np.exp(matrix, out=matrix)
    matrix /= matrix.sum(axis=0)
    norm = math.sqrt(float(matrix.sum(axis=1).max()))  # |A|^2 <= |A|_1 |A|_inf, and |A|_1 = 1
    return _Channel(
        lambda vector: matrix @ vector,
        lambda vector: matrix.T @ vector,
        lambda vector: np.linalg.solve(matrix, vector),
        norm,
    )
