"""The figure of a job of several experiments: how often each outcome came in each of them, and the means."""

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from flows.artifacts.axes import ends, ticks
from flows.artifacts.figures import LETTER, MARGIN, TOP, WIDTH, picture, shorten
from flows.artifacts.outcome_rows import Row, rows_of
from flows.artifacts.outcomes import Counted, Mean, Outcomes
from models.words import count_of

ROW, GAP, PLOT = 14, 34, 150
"""Heights in pixels: of one outcome, between the two parts, of the means."""

COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#06b6d4")
"""Of the means of the first wires; each can be told from dark and light paper."""

MAX_TICKS, MAX_MARKS = 12, 6
"""Below the figure, and beside the means."""

FAINTEST = 0.04


def job_figure(outcomes: Outcomes) -> str:
    """Return the figure of at least two experiments as SVG text, from left to right in their order."""
    is_bits = any(isinstance(found, Counted) and found.is_bits for found in outcomes.values())
    counters = [found.counts if isinstance(found, Counted) else Counter() for found in outcomes.values()]
    rows = rows_of(counters, is_bits=is_bits)
    means = [found.means() if not isinstance(found, Counted) or found.shots else [] for found in outcomes.values()]
    low, high = _range(means)
    marks = ticks(low, high, MAX_MARKS) if any(means) else []
    words = [*(shorten(row.label) for row in rows), *(f"{mark:.4g}" for mark in marks)]
    left = MARGIN + round(LETTER * max(map(len, words), default=0)) + 8
    step = (WIDTH - MARGIN - left) / len(outcomes)
    bottom = TOP + ROW * len(rows)
    parts = _heat_map(rows, left, step)
    what = []
    if rows:
        strongest = max(max(row.shares) for row in rows)
        what.append(f"share of outcomes (up to {strongest:.1%})")
        bottom += GAP
    if any(means):
        is_value = not any(isinstance(found, Counted) for found in outcomes.values())
        what.append("expectation value ± standard error" if is_value else "mean ± standard error")
        parts += _marks(marks, (low, high), (left, bottom))
        parts += _plot(means, (low, high), (left, bottom), step, "bit" if is_bits else "wire")
        bottom += PLOT
    parts += _ticks(list(outcomes), left, step, bottom)
    return picture(f"{count_of(len(outcomes), 'experiment')}: {', '.join(what)}", bottom + GAP + MARGIN, parts)


def _heat_map(rows: Sequence[Row], left: int, step: float) -> list[str]:
    strongest = max((max(row.shares) for row in rows), default=1)
    parts = []
    for number, row in enumerate(rows):
        top = TOP + number * ROW
        parts.append(f'<text x="{left - 8}" y="{top + 11}" text-anchor="end">{escape(shorten(row.label))}</text>')
        for column, share in enumerate(row.shares):
            if share:
                opacity = max(FAINTEST, math.sqrt(share / strongest))  # else hardly more than the strongest is seen
                parts.append(
                    f'<rect class="bar" fill-opacity="{opacity:.2f}" x="{left + column * step:.1f}" y="{top}"'
                    f' width="{step:.2f}" height="{ROW - 1}"/>'
                )
    if rows:
        height, width = ROW * len(rows), WIDTH - MARGIN - left
        parts.append(f'<rect class="axis" x="{left}" y="{TOP}" width="{width}" height="{height}"/>')
    return parts


def _range(means: Sequence[Sequence[Mean]]) -> tuple[float, float]:
    """Return the ends of the axis of the means, error bars included."""
    shown = [mean for each in means for mean in each[: len(COLOURS)]]
    return ends([mean.value - mean.error for mean in shown], [mean.value + mean.error for mean in shown])


def _height(value: float, span: tuple[float, float], top: int) -> float:
    low, high = span
    return top + PLOT * (high - value) / (high - low)


def _marks(marks: Sequence[float], span: tuple[float, float], corner: tuple[int, int]) -> list[str]:
    """Return the frame of the means and its horizontal lines with their numbers."""
    left, top = corner
    parts = [f'<rect class="axis" x="{left}" y="{top}" width="{WIDTH - MARGIN - left}" height="{PLOT}"/>']
    for mark in marks:
        y = _height(mark, span, top)
        parts.append(f'<path class="axis" d="M{left} {y:.1f}H{WIDTH - MARGIN}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{mark:.4g}</text>')
    return parts


def _plot(
    means: Sequence[Sequence[Mean]], span: tuple[float, float], corner: tuple[int, int], step: float, what: str
) -> list[str]:
    left, top = corner
    wires = max(len(each) for each in means)
    parts = []

    def height(value: float) -> float:
        return _height(value, span, top)

    for wire, colour in zip(range(wires), COLOURS, strict=False):
        points = [(left + (column + 0.5) * step, each[wire]) for column, each in enumerate(means) if wire < len(each)]
        line = " ".join(f"{x:.1f},{height(mean.value):.1f}" for x, mean in points)
        bars = "".join(
            f"M{x:.1f} {height(mean.value - mean.error):.1f}V{height(mean.value + mean.error):.1f}"
            for x, mean in points
        )
        dots = "".join(f'<circle cx="{x:.1f}" cy="{height(mean.value):.1f}" r="2.5"/>' for x, mean in points)
        parts += [
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>',
            f'<path d="{bars}" stroke="{colour}" fill="none"/><g fill="{colour}">{dots}</g>',
        ]
        if wires > 1:
            x = left + 8 + 80 * wire
            parts.append(f'<text x="{x}" y="{top - 8}" style="fill:{colour}">{what} {wire}</text>')
    if wires > len(COLOURS):
        parts.append(f'<text x="{left + 8 + 80 * len(COLOURS)}" y="{top - 8}">of {wires}</text>')
    return parts


def _ticks(names: Sequence[str], left: int, step: float, bottom: int) -> list[str]:
    """Return the numbers of the experiments below the figure, so many that they do not overlap."""
    every = -(-len(names) // MAX_TICKS)
    shown = range(0, len(names), every)
    middle = (left + WIDTH - MARGIN) / 2
    parts = [
        f'<text x="{left + (place + 0.5) * step:.1f}" y="{bottom + 18}" text-anchor="middle">'
        f"{escape(shorten(names[place].removeprefix('experiment_')))}</text>"
        for place in shown
    ]
    return [*parts, f'<text x="{middle:.1f}" y="{bottom + 36}" text-anchor="middle">experiment</text>']
