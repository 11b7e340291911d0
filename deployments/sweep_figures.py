"""Figures of results as SVG files, and as a line in a terminal."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from deployments.group_results import Measured, varied
from flows.artifacts.axes import ends, ticks
from flows.artifacts.figures import LETTER, MARGIN, TOP, WIDTH, histogram, picture, shorten
from flows.artifacts.job_figure import COLOURS, job_figure
from flows.artifacts.outcome_rows import bars_of
from flows.artifacts.outcomes import Counted, Mean, Outcomes, Value, outcomes_of
from models.errors import ResultMissing, printable

PLOT, GRID = 320, 420
"""Heights in pixels: of a curve, and of a heat map at most."""

MAX_EXPERIMENTS = 200
BLOCKS = "▁▂▃▄▅▆▇█"

Points = Sequence[tuple[float, Sequence[Mean]]]
"""Places on the axis, and the mean of each wire or bit there."""


def job_svg(document: Mapping[str, Any]) -> str:
    """Return the figure of a result document: a histogram, or heat map and curve of several experiments.

    Raises:
        ResultMissing: there is nothing to draw.
    """
    return _outcomes_svg(outcomes_of(dict(document), MAX_EXPERIMENTS))


def group_svg(found: Sequence[Measured]) -> str:
    """Return the figure of a group: a curve over the parameter that varies, a heat map over the first two of several.

    Raises:
        ResultMissing: there is nothing to draw.
    """
    done = [each for each in found if each.found is not None and each.found.shots]
    axes = list(varied(done))
    if len(axes) == 1:
        outcomes = [each.found for each in done]
        what = measured_what(done)
        return curve(axes[0], points_of(done, axes[0]), what, wires_are="bit" if _are_bits(outcomes) else "wire")
    if axes:
        return grid(axes[0], axes[1], done)
    return _outcomes_svg({f"{place}": each.found for place, each in enumerate(done) if each.found is not None})


def measured_what(done: Sequence[Measured]) -> str:
    """Return what a group has measured at each place: means, or expectation values."""
    return "Expectation value" if all(isinstance(each.found, Value) for each in done) else "Mean"


def _outcomes_svg(outcomes: Outcomes) -> str:
    if len(outcomes) > 1:
        return job_figure(outcomes)
    for name, found in outcomes.items():
        if isinstance(found, Counted) and found.shots:
            return histogram(bars_of(found), found.shots, f"{printable(name)}: {found.summary}")
    raise ResultMissing("there is nothing to draw: that takes counts, or several values")


def in_axis(found: Sequence[Measured], axis: str) -> list[Measured]:
    """Return what has a place on the axis of a parameter, in its order."""
    return sorted((each for each in found if axis in each.parameters), key=lambda each: float(each.parameters[axis]))


def points_of(found: Sequence[Measured], axis: str) -> Points:
    """Return the means of each experiment over a parameter, in the order of its values."""
    placed = [(float(each.parameters[axis]), each.found) for each in in_axis(found, axis)]
    return [(x, there.means()) for x, there in placed if there is not None]


def curve(axis: str, points: Points, what: str, *, wires_are: str) -> str:
    """Return a figure of means with their standard errors over a parameter, a line for each of the first wires.

    Args:
        what: it is that has the errors.
    """
    shown = [mean for _, means in points for mean in means[: len(COLOURS)]]
    if not shown:
        raise ResultMissing("there is nothing to draw: the outcomes are no numbers")
    low, high = ends([mean.value - mean.error for mean in shown], [mean.value + mean.error for mean in shown])
    first, last = ends([x for x, _ in points], [x for x, _ in points])
    marks = ticks(low, high, 6)
    left = MARGIN + round(LETTER * max(len(f"{mark:.4g}") for mark in marks)) + 8
    top, bottom = TOP + MARGIN, TOP + MARGIN + PLOT

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (WIDTH - MARGIN - left) * (x - first) / (last - first), bottom - PLOT * (y - low) / (high - low)

    parts = [f'<rect class="axis" x="{left}" y="{top}" width="{WIDTH - MARGIN - left}" height="{PLOT}"/>']
    for mark in marks:
        y = at(first, mark)[1]
        parts.append(f'<path class="axis" d="M{left} {y:.1f}H{WIDTH - MARGIN}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{mark:.4g}</text>')
    parts += [_below(at(mark, low)[0], bottom, f"{mark:.4g}") for mark in ticks(first, last, 8)]
    most = max(len(means) for _, means in points)
    if what == "Mean" and most == 1:
        what = f"Mean of {wires_are} 0"
    for wire, colour in zip(range(most), COLOURS, strict=False):
        line = [(at(x, means[wire].value), means[wire], x) for x, means in points if wire < len(means)]
        path = " ".join(f"{x:.1f},{y:.1f}" for (x, y), _, _ in line)
        bars = "".join(
            f"M{at(x, 0)[0]:.1f} {at(x, mean.value - mean.error)[1]:.1f}V{at(x, mean.value + mean.error)[1]:.1f}"
            for _, mean, x in line
        )
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for (x, y), _, _ in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>')
        parts.append(f'<path d="{bars}" stroke="{colour}" fill="none"/><g fill="{colour}">{dots}</g>')
        if most > 1:
            parts.append(f'<text x="{left + 80 * wire}" y="{top - 6}" style="fill:{colour}">{wires_are} {wire}</text>')
    parts.append(_below((left + WIDTH - MARGIN) / 2, bottom + 18, shorten(printable(axis))))
    return picture(f"{what} ± standard error over {shorten(printable(axis))}", bottom + 48 + MARGIN, parts)


def grid(across: str, up: str, found: Sequence[Measured]) -> str:
    """Return a heat map of the mean of the first wire over two parameters; several of one place are averaged."""
    cells: defaultdict[tuple[float, float], list[float]] = defaultdict(list)
    for each in found:
        if across in each.parameters and up in each.parameters and each.found and (means := each.found.means()):
            place = float(each.parameters[across]), float(each.parameters[up])
            cells[place].append(means[0].value)
    if not cells:
        raise ResultMissing("there is nothing to draw: the outcomes are no numbers")
    columns, rows = sorted({x for x, _ in cells}), sorted({y for _, y in cells}, reverse=True)
    mean = {place: sum(values) / len(values) for place, values in cells.items()}
    low, high = min(mean.values()), max(mean.values())
    left = MARGIN + round(LETTER * max(len(f"{y:.4g}") for y in rows)) + 8
    wide, tall = (WIDTH - MARGIN - left) / len(columns), min(28.0, GRID / len(rows))
    bottom = TOP + tall * len(rows)
    parts = []
    for row, y in enumerate(rows):
        if row % math.ceil(14 / tall) == 0:
            parts.append(
                f'<text x="{left - 8}" y="{TOP + (row + 0.5) * tall + 4:.1f}" text-anchor="end">{y:.4g}</text>'
            )
        for column, x in enumerate(columns):
            if (x, y) in mean:
                opacity = 0.05 + 0.95 * (mean[x, y] - low) / (high - low) if high > low else 1.0
                parts.append(
                    f'<rect class="bar" fill-opacity="{opacity:.2f}" x="{left + column * wide:.1f}"'
                    f' y="{TOP + row * tall:.1f}" width="{wide:.2f}" height="{tall:.2f}"/>'
                )
    parts.append(
        f'<rect class="axis" x="{left}" y="{TOP}" width="{WIDTH - MARGIN - left}" height="{bottom - TOP:.1f}"/>'
    )
    every = math.ceil(len(columns) / 10)
    parts += [
        _below(left + (place + 0.5) * wide, bottom, f"{x:.4g}") for place, x in enumerate(columns) if place % every == 0
    ]
    across, up = shorten(printable(across)), shorten(printable(up))
    parts.append(_below((left + WIDTH - MARGIN) / 2, bottom + 18, across))
    title = f"Mean from {low:.4g} (faint) to {high:.4g}: {up} (upwards) over {across}"
    return picture(title, round(bottom) + 48 + MARGIN, parts)


def sparklines(found: Sequence[Counted | Value]) -> list[str]:
    """Return a line of blocks for each of the first wires: how its mean changes, with its lowest and highest value."""
    lines = []
    means = [each.means() for each in found if each.shots]
    is_value = any(isinstance(each, Value) for each in found)
    what = "value" if is_value else f"mean of {'bit' if _are_bits(found) else 'wire'} "
    for wire in range(min(len(COLOURS), max(map(len, means), default=0))):
        values = [each[wire].value for each in means if wire < len(each)]
        lines.append(f"{what}{'' if is_value else wire}  {blocks(values)}  {min(values):.4g} to {max(values):.4g}")
    return lines


def blocks(values: Sequence[float]) -> str:
    """Return a block for each value, the lowest for the least."""
    low, span = min(values), max(values) - min(values)
    most = len(BLOCKS) - 1
    return "".join(BLOCKS[round(most * (value - low) / span) if span > 0 else 0] for value in values)


def _below(x: float, bottom: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{escape(words)}</text>'


def _are_bits(found: Sequence[Counted | Value | None]) -> bool:
    return any(isinstance(each, Counted) and each.is_bits for each in found)
