"""The figure of a group: the means over the parameter that was swept, or a heat map over the first two of several."""

import math
from collections import defaultdict
from collections.abc import Sequence

from deployments.api.pages.drawing import (
    MARGIN,
    WIDTH,
    label_width,
    line,
    path,
    picture,
    rectangle,
    saying,
    shorten,
    text,
)
from deployments.api.pages.figures import Figure
from deployments.group_results import Measured, varied
from deployments.sweep_figures import Points, measured_what, points_of
from flows.artifacts.axes import ends, ticks
from flows.artifacts.outcomes import Counted
from models.errors import printable

PLOT, LEGEND, BELOW = 240, 26, 48
"""Heights: of the means, of what names the colours, of what stands below an axis."""

MAX_SERIES, MAX_CELLS = 6, 100
IDENTITY = "swept"


def group_figure(found: Sequence[Measured]) -> Figure | None:
    """Return the figure of a group; None where nothing was swept, or nothing measured that is a number."""
    done = [each for each in found if each.found is not None and each.found.shots]
    axes = list(varied(done))
    if not axes:
        return None
    across = shorten(printable(axes[0]))
    if len(axes) > 1:
        up = shorten(printable(axes[1]))
        svg, span = _grid(axes[0], axes[1], done)
        caption = f"Mean of the first wire or bit, {span}: {up} upwards, {across} across"
    else:
        is_bits = any(isinstance(each.found, Counted) and each.found.is_bits for each in done)
        svg = _curve(across, points_of(done, axes[0]), "bit" if is_bits else "wire")
        caption = f"{measured_what(done)} with its standard error over {across}"
    return Figure(caption, svg) if svg else None


def _curve(axis: str, points: Points, wires_are: str) -> str:
    drawn = [mean for _, means in points for mean in means[:MAX_SERIES]]
    if not drawn:
        return ""
    low, high = ends([mean.value - mean.error for mean in drawn], [mean.value + mean.error for mean in drawn])
    first, last = ends([x for x, _ in points], [x for x, _ in points])
    if not math.isfinite(high - low) or not math.isfinite(last - first):
        return ""
    series = min(MAX_SERIES, max(len(means) for _, means in points))
    marks = ticks(low, high, 6)
    left, right = label_width([f"{mark:.4g}" for mark in marks]), WIDTH - MARGIN
    top = (LEGEND if series > 1 else 0) + MARGIN
    bottom = top + PLOT

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (right - left) * (x - first) / (last - first), bottom - PLOT * (y - low) / (high - low)

    parts = [rectangle(left, top, right - left, PLOT, "ground")]
    for mark in marks:
        y = at(first, mark)[1]
        parts += [line(left, y, right, y, "grid"), text(left - 8, y + 4, f"{mark:.4g}", anchor="end")]
    parts += [text(at(mark, low)[0], bottom + 18, f"{mark:.4g}", anchor="middle") for mark in ticks(first, last, 8)]
    parts.append(text((left + right) / 2, bottom + 36, axis, anchor="middle", kind="what"))
    for wire in range(series):
        kind = f"series series-{wire}"
        placed = [(x, means[wire]) for x, means in points if wire < len(means)]
        parts.append(path([at(x, mean.value) for x, mean in placed], f"{kind} faint"))
        for x, mean in placed:
            across, y = at(x, mean.value)
            parts.append(
                line(across, at(x, mean.value - mean.error)[1], across, at(x, mean.value + mean.error)[1], kind)
            )
            dot = f'<circle class="dot {kind}" cx="{across:.1f}" cy="{y:.1f}" r="3"/>'
            parts.append(saying(dot, f"{axis} {x:.6g}: {mean.value:.4g} ± {mean.error:.2g}"))
        if series > 1:
            parts.append(f'<circle class="dot {kind}" cx="{left + 90 * wire + 4:.1f}" cy="13" r="4"/>')
            parts.append(text(left + 90 * wire + 14, 17, f"{wires_are} {wire}"))
    span = f"{axis} from {points[0][0]:.4g} to {points[-1][0]:.4g}"
    about = f"{len(points)} points, {span}; means from {low:.4g} to {high:.4g}."
    return picture(IDENTITY, bottom + BELOW, f"Means over {axis}", about, parts)


def _grid(across: str, up: str, found: Sequence[Measured]) -> tuple[str, str]:
    """Return the heat map, empty where there is none to draw, and what its shades mean."""
    cells: defaultdict[tuple[float, float], list[float]] = defaultdict(list)
    for each in found:
        if across in each.parameters and up in each.parameters and each.found and (means := each.found.means()):
            cells[float(each.parameters[across]), float(each.parameters[up])].append(means[0].value)
    columns, rows = sorted({x for x, _ in cells}), sorted({y for _, y in cells}, reverse=True)
    mean = {place: sum(values) / len(values) for place, values in cells.items()}
    if not mean or max(len(columns), len(rows)) > MAX_CELLS or not all(map(math.isfinite, mean.values())):
        return "", ""
    low, high = min(mean.values()), max(mean.values())
    left, top = label_width([f"{y:.4g}" for y in rows]), MARGIN
    wide, tall = (WIDTH - MARGIN - left) / len(columns), min(28.0, 2 * PLOT / len(rows))
    bottom = top + tall * len(rows)
    parts = [rectangle(left, top, WIDTH - MARGIN - left, bottom - top, "ground")]
    for (x, y), value in mean.items():
        opacity = 0.08 + 0.92 * (value - low) / (high - low) if high > low else 1.0
        place = left + columns.index(x) * wide, top + rows.index(y) * tall
        box = (
            f'<rect class="cell" fill-opacity="{opacity:.2f}" x="{place[0]:.1f}" y="{place[1]:.1f}" width="{wide:.2f}"'
            f' height="{tall:.2f}"/>'
        )
        parts.append(
            saying(box, f"{shorten(printable(across))} {x:.6g}, {shorten(printable(up))} {y:.6g}: {value:.4g}")
        )
    every = math.ceil(14 / tall)
    parts += [
        text(left - 8, top + (place + 0.5) * tall + 4, f"{y:.4g}", anchor="end")
        for place, y in enumerate(rows)
        if place % every == 0
    ]
    every = math.ceil(len(columns) / 10)
    parts += [
        text(left + (place + 0.5) * wide, bottom + 18, f"{x:.4g}", anchor="middle")
        for place, x in enumerate(columns)
        if place % every == 0
    ]
    parts.append(
        text((left + WIDTH - MARGIN) / 2, bottom + 36, shorten(printable(across)), anchor="middle", kind="what")
    )
    span = f"from {low:.4g} (faint) to {high:.4g}"
    about = f"{len(columns)} by {len(rows)} values; means {span}."
    return picture(IDENTITY, bottom + BELOW, "Means over two parameters", about, parts), span
