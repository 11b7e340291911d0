"""exp(-i H) applied to one state, by Chebyshev polynomials of H.

Source: H. Tal-Ezer and R. Kosloff, J. Chem. Phys. 81, 3967 (1984).
"""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import scipy
from numpy.typing import NDArray

Real = NDArray[np.float64]
State = NDArray[np.complex128]

TOLERANCE = 1e-14
"""Coefficients below this are left out; the error of the state is of this size (times its norm)."""


def terms(radius: float) -> int:
    """Return how many polynomials are needed when the spectrum of H is 2 `radius` wide.

    Above `radius` the Bessel functions fall faster than exponentially, over about radius^(1/3).
    """
    return math.ceil(radius + 9 * math.cbrt(radius) + 18)


def evolve(state: State, apply: Callable[[Real], Real], low: float, high: float) -> State:
    """Return exp(-i H) applied to a state of shape (d,).

    Args:
        state: the amplitudes.
        apply: H applied to real vectors of shape (2, d); H is real and symmetric. Its result is overwritten.
        low: a lower bound of the spectrum of H.
        high: an upper bound.
    """
    centre, radius = (high + low) / 2, (high - low) / 2
    if radius == 0:
        return cast("State", state * np.exp(-1j * centre))
    bessel = scipy.special.jv(np.arange(terms(radius)), radius)
    last = np.flatnonzero(np.abs(bessel) > TOLERANCE)[-1]
    before = np.stack([state.real, state.imag])
    now = (apply(before) - centre * before) / radius
    # sums of the terms with (-i)^k = 1, -i, -1, i: kept as a real and an imaginary coefficient
    even, odd = bessel[0] * before, np.zeros_like(before)
    scratch = np.empty_like(before)
    for order in range(1, last + 1):
        total, sign = (odd, 1) if order % 2 else (even, 0)
        coefficient = 2 * bessel[order] * (-1) ** ((order + sign) // 2)
        np.multiply(now, coefficient, out=scratch)
        total += scratch
        if order < last:
            following = apply(now)
            np.multiply(now, centre, out=scratch)
            following -= scratch
            following *= 2 / radius
            following -= before
            before, now = now, following
    # odd powers of -i: order 1 gives -i, order 3 gives +i; the signs above leave the factor i
    result: State = (even[0] - odd[1]) + 1j * (even[1] + odd[0])
    result *= np.exp(-1j * centre)
    return result
