"""A sine is fitted to what was measured, such as the fringe of a Ramsey sequence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEAST_POINTS = 5
"""There are four parameters."""

_GRID = 16
"""Frequencies that are tried first, for each point."""

_REFINEMENTS = 60


class Fringe(NamedTuple):
    """`offset + amplitude · cos(frequency · x + phase)`, the amplitude not below 0, the phase within ±pi.

    Attributes:
        frequency: angular, in radians for each unit of x.
        residual: root of the mean square of what is left, in units of the errors where these are given.
    """

    offset: float
    amplitude: float
    frequency: float
    phase: float
    residual: float

    def at(self, x: float) -> float:
        """Return the fitted value at x."""
        return self.offset + self.amplitude * float(np.cos(self.frequency * x + self.phase))


def fit_fringe(x: Sequence[float], y: Sequence[float], errors: Sequence[float] | None = None) -> Fringe:
    """Fit a sine by least squares.

    Frequencies up to that of two points a period are tried; the best one is refined.

    Args:
        errors: standard errors of `y`; those that are 0 count as the smallest other one.

    Raises:
        ValueError: there are too few points, or they do not differ in x.
    """
    points, values = np.asarray(x, float), np.asarray(y, float)
    if len(points) != len(values) or len(points) < LEAST_POINTS:
        raise ValueError(f"a fringe needs {LEAST_POINTS} points or more, each with its x")
    span = float(np.ptp(points))
    if not span:
        raise ValueError("all points have the same x")
    weights = _weights(errors, len(points))
    highest = np.pi * (len(points) - 1) / span
    grid = np.linspace(highest / len(points) / 4, highest, _GRID * len(points))
    rests = [_solved(points, values, weights, each)[1] for each in grid]
    best = int(np.argmin(rests))
    frequency = _refined(points, values, weights, grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)])
    (offset, cosine, sine), rest = _solved(points, values, weights, frequency)
    amplitude, phase = float(np.hypot(cosine, sine)), float(np.arctan2(-sine, cosine))
    return Fringe(float(offset), amplitude, float(frequency), phase, float(np.sqrt(rest / len(points))))


Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _weights(errors: Sequence[float] | None, count: int) -> Numbers:
    if errors is None:
        return np.ones(count)
    given = np.asarray(errors, float)
    positive = given[given > 0]
    return 1 / np.where(given > 0, given, positive.min()) if len(positive) else np.ones(count)


def _solved(x: Numbers, y: Numbers, weights: Numbers, frequency: float) -> tuple[Numbers, float]:
    """Return offset and both amplitudes at a frequency, and the sum of the squares that are left."""
    columns = np.stack([np.ones_like(x), np.cos(frequency * x), np.sin(frequency * x)], axis=1) * weights[:, None]
    found: Numbers = np.linalg.lstsq(columns, y * weights, rcond=None)[0].astype(np.float64)
    left = y * weights - columns @ found
    return found, float(left @ left)


def _refined(x: Numbers, y: Numbers, weights: Numbers, low: float, high: float) -> float:
    for _ in range(_REFINEMENTS):
        third = (high - low) / 3
        if _solved(x, y, weights, low + third)[1] < _solved(x, y, weights, high - third)[1]:
            high -= third
        else:
            low += third
    return (low + high) / 2
