"""From a final state to memory strings: measured wires, one multinomial draw, a random order of the shots."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Indices = NDArray[np.intp]

MAX_DRIFT = 1e-6
"""The sum of all probabilities may differ from 1 by this much (rounding); more is an error of the program."""

SMALLEST = 1e-14
"""Outcomes less probable than this are left out of a distribution: they are below the rounding of its sum."""


def probabilities_of(state: NDArray[np.complex128]) -> Real:
    """Return |amplitude|^2, same shape as the state."""
    return state.real**2 + state.imag**2


def normalised(weights: Real) -> Real:
    """Return the weights divided by their sum.

    Raises:
        ArithmeticError: the sum is not 1 within rounding.
    """
    total = float(weights.sum())
    if not abs(total - 1) <= MAX_DRIFT:
        raise ArithmeticError(f"the probabilities add up to {total!r} instead of 1")
    return weights / total


class Readout:
    """The distribution of what is measured.

    Args:
        weights: probability of each joint outcome, shape (outcomes,).
        digits: gives, for indices into `weights`, the level of each distinct measured wire, one array per wire.
        columns: for each measure instruction the position of its wire in what `digits` gives.

    Raises:
        ArithmeticError: the probabilities do not add up to 1.
    """

    def __init__(self, weights: Real, digits: Callable[[Indices], Sequence[Indices]], columns: Sequence[int]) -> None:
        self.weights = normalised(weights)
        self._digits = digits
        self._columns = columns

    @classmethod
    def of_wires(cls, weights: Real, dims: Sequence[int], measured: Sequence[int]) -> "Readout":
        """Sum out what is not measured.

        Args:
            weights: probabilities of the whole system, any shape with the product of `dims` elements.
            dims: levels of each wire, wire 0 most significant.
            measured: the wires in the order of the measure instructions; a wire may be repeated.

        Raises:
            ArithmeticError: the probabilities do not add up to 1.
        """
        order = sorted(set(measured))
        shape: list[int] = []
        kept: list[bool] = []
        for wire, levels in enumerate(dims):
            if wire not in order and kept and not kept[-1]:
                shape[-1] *= levels  # neighbours that are summed out make one axis
            else:
                shape.append(levels)
                kept.append(wire in order)
        joint = weights.reshape(shape).sum(axis=tuple(axis for axis, keep in enumerate(kept) if not keep))
        levels_of = [dims[wire] for wire in order]
        places = {wire: place for place, wire in enumerate(order)}
        return cls(
            joint.reshape(-1), lambda outcomes: np.unravel_index(outcomes, levels_of), [places[w] for w in measured]
        )

    def strings(self, outcomes: Indices) -> list[str]:
        """Return the memory string of each outcome (an index into `weights`)."""
        digits = [list(map(str, column.tolist())) for column in self._digits(outcomes)]
        return list(map(" ".join, zip(*(digits[place] for place in self._columns), strict=True)))

    def distribution(self) -> dict[str, float]:
        """Return the probability of each memory string, outcomes below 1e-14 left out; {} without a measure."""
        if not self._columns:
            return {}
        outcomes = np.flatnonzero(self.weights > SMALLEST)
        return dict(zip(self.strings(outcomes), self.weights[outcomes].tolist(), strict=True))

    def draw(self, shots: int, random: np.random.Generator) -> list[str]:
        """Return `shots` independent memory strings; none at all if nothing is measured."""
        if not self._columns:
            return []
        counts = random.multinomial(shots, self.weights)
        outcomes = np.flatnonzero(counts)
        names = self.strings(outcomes)
        if len(names) == 1:
            return names * shots
        order = np.repeat(np.arange(len(names), dtype=np.intp), counts[outcomes])
        random.shuffle(order)
        table = np.array(names, dtype=object)
        return list(table[order].tolist())


def string_length(dims: Sequence[int], measured: Sequence[int]) -> int:
    """Return the most characters a memory string can have."""
    return sum(math.floor(math.log10(max(dims[wire] - 1, 1))) + 2 for wire in measured)
