"""The figures of several experiments side by side: how often each outcome came in each, and the means with errors."""

import math
from collections import Counter
from collections.abc import Sequence

from deployments.api.pages.drawing import (
    LETTER,
    MARGIN,
    WIDTH,
    label_width,
    line,
    path,
    picture,
    rectangle,
    shorten,
    text,
)
from flows.artifacts.axes import ends, ticks
from flows.artifacts.outcome_rows import Row, are_levels, rows_of
from flows.artifacts.outcomes import MAX_OUTCOMES, Counted, Mean, Outcomes
from models.errors import printable
from models.words import count_of

ROW, MAP, PLOT, LEGEND = 15, 380, 190, 26
"""Heights: of a row of a heat map at most, of all rows, of the means, of what names the colours."""

MAX_LEVELS = 100
"""Rows of a heat map whose outcomes are levels; of others there are fewer, each with its name."""

SHADES = 16
"""So many are told apart in a heat map."""

MAX_SERIES = 6
"""So many wires or bits have a line of their own."""

MAX_TICKS = 12


def heat_map(identity: str, outcomes: Outcomes) -> str:
    """Return a heat map, outcomes by experiments; empty where nothing was counted."""
    counters = [found.counts if isinstance(found, Counted) else Counter() for found in outcomes.values()]
    is_bits = any(isinstance(found, Counted) and found.is_bits for found in outcomes.values())
    is_of_levels = not is_bits and all(are_levels(counts) for counts in counters)
    rows = rows_of(counters, MAX_LEVELS if is_of_levels else MAX_OUTCOMES, is_bits=is_bits)
    if not rows:
        return ""
    tall = min(ROW, MAP / len(rows)) if is_of_levels else ROW
    strongest = max(max(row.shares) for row in rows)
    left = label_width([shorten(printable(row.label)) for row in rows])
    step = (WIDTH - MARGIN - left) / len(outcomes)
    top = LEGEND + MARGIN
    height = tall * len(rows)
    parts = [_legend(strongest), rectangle(left, top, WIDTH - MARGIN - left, height, "ground")]
    parts += [
        text(left - 8, top + (place + 0.5) * tall + 4, shorten(printable(row.label)), anchor="end")
        for place, row in _named(rows, tall)
    ]
    parts += _cells(rows, strongest, (left, top), (step, tall))
    parts.append(rectangle(left, top, WIDTH - MARGIN - left, height, "axis"))
    parts += _experiments(list(outcomes), left, step, top + height)
    most = max(rows, key=lambda row: max(row.shares))
    name = list(outcomes)[most.shares.index(strongest)]
    description = (
        f"{count_of(len(rows), 'outcome')} by {count_of(len(outcomes), 'experiment')};"
        f" the largest share is {strongest:.1%}, of {shorten(printable(most.label))} in {printable(name)}."
    )
    return picture(identity, top + height + 48, "Heat map of the outcomes", description, parts)


def shade(share: float, strongest: float) -> int:
    """Return the shade of a share, from 1 to `SHADES`; 0 for none. Small shares can still be seen: it is the root."""
    return math.ceil(SHADES * math.sqrt(share / strongest)) if share > 0 else 0


def _named(rows: Sequence[Row], tall: float) -> list[tuple[int, Row]]:
    """Return the rows that are named, counted from the last one, so many that the names do not overlap."""
    every = math.ceil((ROW - 1) / tall)
    every = every if every == 1 else next(step for step in (2, 5, 10, 20, 50) if step >= every)
    last = len(rows) - 1
    return [(place, row) for place, row in enumerate(rows) if (last - place) % every == 0]


def _cells(rows: Sequence[Row], strongest: float, corner: tuple[float, float], size: tuple[float, float]) -> list[str]:
    """Return one path for each shade: of a long sweep it is a tenth of what single cells would be."""
    (left, top), (step, tall) = corner, size
    of_shade: dict[int, list[str]] = {}
    for place, row in enumerate(rows):
        for column, share in enumerate(row.shares):
            if number := shade(share, strongest):
                x, y = left + column * step, top + place * tall
                of_shade.setdefault(number, []).append(f"M{x:.1f} {y:.2f}h{step:.2f}v{tall:.2f}h-{step:.2f}z")
    return [
        f'<path class="cell" fill-opacity="{number / SHADES:.3g}" d="{"".join(cells)}"/>'
        for number, cells in sorted(of_shade.items())
    ]


def _legend(strongest: float) -> str:
    width, right = 8, WIDTH - MARGIN - LETTER * 8
    left = right - width * SHADES
    boxes = [
        f'<rect class="cell" fill-opacity="{(place + 1) / SHADES:.3g}" x="{left + place * width:.1f}" y="8"'
        f' width="{width}" height="10"/>'
        for place in range(SHADES)
    ]
    return "".join([text(left - 6, 17, "share 0%", anchor="end"), *boxes, text(right + 6, 17, f"{strongest:.0%}")])


def mean_plot(identity: str, outcomes: Outcomes) -> str:
    """Return the means of each experiment with their standard errors; empty where outcomes are no numbers that fit."""
    means = [found.means() if not isinstance(found, Counted) or found.shots else [] for found in outcomes.values()]
    if not any(means):
        return ""
    low, high = _range(means)
    if not math.isfinite(high - low):
        return ""
    series = min(MAX_SERIES, max(map(len, means)))
    marks = ticks(low, high, 6)
    left = label_width([f"{mark:.4g}" for mark in marks])
    step = (WIDTH - MARGIN - left) / len(means)
    top = (LEGEND if series > 1 else 0) + MARGIN

    def y(value: float) -> float:
        return top + PLOT * (high - value) / (high - low)

    parts = [rectangle(left, top, WIDTH - MARGIN - left, PLOT, "ground")]
    for mark in marks:
        parts.append(line(left, y(mark), WIDTH - MARGIN, y(mark), "grid"))
        parts.append(text(left - 8, y(mark) + 4, f"{mark:.4g}", anchor="end"))
    is_bits = any(isinstance(found, Counted) and found.is_bits for found in outcomes.values())
    for number in range(series):
        points = [(left + (place + 0.5) * step, each[number]) for place, each in enumerate(means) if number < len(each)]
        kind = f"series series-{number}"
        parts.append(path([(x, y(mean.value)) for x, mean in points], f"{kind} faint"))
        errors = "".join(
            f"M{x:.1f} {y(mean.value - mean.error):.1f}V{y(mean.value + mean.error):.1f}" for x, mean in points
        )
        parts.append(f'<path class="{kind}" d="{errors}"/>')
        radius = 3 if step > MARGIN else 2
        dots = [f'<circle cx="{x:.1f}" cy="{y(mean.value):.1f}" r="{radius}"/>' for x, mean in points]
        parts.append(f'<g class="dot {kind}">{"".join(dots)}</g>')
        if series > 1:
            x = left + 90 * number
            parts.append(f'<circle class="dot {kind}" cx="{x + 4:.1f}" cy="13" r="4"/>')
            parts.append(text(x + 14, 17, f"{'bit' if is_bits else 'wire'} {number}"))
    parts += _experiments(list(outcomes), left, step, top + PLOT)
    names = [printable(name) for name, each in zip(outcomes, means, strict=True) if each]
    firsts = [each[0].value for each in means if each]
    lowest, highest = min(firsts), max(firsts)
    description = (
        f"From {lowest:.4g} in {names[firsts.index(lowest)]} to {highest:.4g} in {names[firsts.index(highest)]}"
        f"{f', of {series} lines the first' if series > 1 else ''}."
    )
    return picture(identity, top + PLOT + 48, "Means of the experiments", description, parts)


def _range(means: Sequence[Sequence[Mean]]) -> tuple[float, float]:
    """Return the ends of the axis: all error bars, and a little room."""
    drawn = [mean for each in means for mean in each[:MAX_SERIES]]
    return ends([mean.value - mean.error for mean in drawn], [mean.value + mean.error for mean in drawn])


def _experiments(names: Sequence[str], left: float, step: float, bottom: float) -> list[str]:
    """Return the names below a figure, so many that they do not overlap."""
    labels = [shorten(printable(name).removeprefix("experiment_")) for name in names]
    most = max(1, min(MAX_TICKS, int((WIDTH - left) / (LETTER * (max(map(len, labels)) + 2)))))
    every = -(-len(labels) // most)
    parts = [
        text(left + (place + 0.5) * step, bottom + 18, labels[place], anchor="middle")
        for place in range(0, len(labels), every)
    ]
    middle = (left + WIDTH - MARGIN) / 2
    return [*parts, text(middle, bottom + 36, "experiment", anchor="middle", kind="what")]
