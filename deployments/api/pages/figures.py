"""The figures of a result: a histogram for one experiment, a heat map and the means for several; and their numbers."""

from collections import Counter
from typing import Any, NamedTuple

from deployments.api.pages.drawing import (
    LETTER,
    MARGIN,
    NARROW,
    WIDTH,
    label_width,
    line,
    picture,
    rectangle,
    saying,
    shorten,
    text,
)
from deployments.api.pages.sweeps import heat_map, mean_plot
from flows.artifacts.axes import ticks
from flows.artifacts.outcome_rows import are_levels
from flows.artifacts.outcomes import Counted, Outcomes, Value, outcomes_of
from models.errors import printable
from models.words import count_of

MAX_EXPERIMENTS = 200
"""In the figures of one job."""

MAX_SINGLE = 24
"""Experiments of a sweep that are shown one by one too."""

MAX_ROWS = 400
"""Of the table of numbers."""

MAX_BARS = 128
"""Levels beyond so many are counted in intervals."""

PLOT, ABOVE, MAX_WIDTH, BAR = 210, 16, 60, 22
"""Heights: of a histogram of levels, and of what stands above it; the most width
of its bars; height of one bar of another histogram."""


class Figure(NamedTuple):
    """A figure of a page.

    Attributes:
        caption: what stands below it.
        svg: markup; all that users have named in it is escaped.
    """

    caption: str
    svg: str


class NumberRow(NamedTuple):
    """A row of the table of numbers; of an expectation value `outcome` is empty and `share` its standard error."""

    experiment: str
    outcome: str
    number: str
    share: str


class Shown(NamedTuple):
    """All that a page shows of a result.

    Attributes:
        figures: of the whole job.
        single: of its experiments one by one, where there are several; `of_single` says of how many.
        rows: the numbers, the first `MAX_ROWS` of them.
        more: what is not shown, as sentences.
    """

    figures: list[Figure]
    single: list[Figure]
    rows: list[NumberRow]
    more: list[str]
    is_value: bool
    of_single: str = ""


def shown(document: dict[str, Any]) -> Shown:
    """Return what a page shows of a result document."""
    outcomes = outcomes_of(document, MAX_EXPERIMENTS)
    more = []
    if len(document["results"]) > MAX_EXPERIMENTS:
        more.append(f"The first {MAX_EXPERIMENTS} of {count_of(len(document['results']), 'experiment')} are shown.")
    single = [experiment_figure(place, name, found) for place, (name, found) in enumerate(outcomes.items())]
    rows = _rows(outcomes)
    if len(rows) > MAX_ROWS:
        more.append(f"The table has the first {MAX_ROWS} of {len(rows):,} rows; the downloads have all.")
    is_value = any(isinstance(found, Value) for found in outcomes.values())
    if len(outcomes) > 1:
        all_of = count_of(len(outcomes), "experiment")
        of_single = f"{f'The first {MAX_SINGLE} of ' if len(outcomes) > MAX_SINGLE else ''}{all_of} one by one"
        return Shown(_of_several(outcomes), single[:MAX_SINGLE], rows[:MAX_ROWS], more, is_value, of_single)
    return Shown(single, [], rows[:MAX_ROWS], more, is_value)


def _of_several(outcomes: Outcomes) -> list[Figure]:
    figures = []
    if map_ := heat_map("heat", outcomes):
        figures.append(Figure("Share of each outcome in each experiment", map_))
    if plot := mean_plot("means", outcomes):
        of_values = all(isinstance(found, Value) for found in outcomes.values())
        what = "Expectation value" if of_values else "Mean"
        figures.append(Figure(f"{what} with its standard error in each experiment", plot))
    return figures


def experiment_figure(place: int, name: str, found: Counted | Value) -> Figure:
    """Return the figure of one experiment; an expectation value has words alone."""
    name = printable(name)
    caption = f"{name}: {found.summary}"
    if isinstance(found, Value) or not found.shots:
        return Figure(caption, "")
    if len(means := found.means()) == 1:
        caption += f"; mean {means[0].value:.4g} ± {means[0].error:.2g}"
    draw = levels_histogram if not found.is_bits and are_levels(found.counts) else bars
    return Figure(caption, draw(f"single-{place}", name, found))


def levels_histogram(identity: str, name: str, found: Counted) -> str:
    """Return a histogram over levels: numbers from left to right, shots upwards."""
    bins = level_bins(found.counts)
    first, last, size = bins[0][0], bins[-1][0], bins[1][0] - bins[0][0] if len(bins) > 1 else 1
    most = max(count for _, count in bins)
    marks = ticks(0, most, 5, whole=True)
    left = label_width(["shots", *(f"{mark:,.0f}" for mark in marks)])
    top = MARGIN + ABOVE
    bottom = top + PLOT
    step = (WIDTH - MARGIN - left) / len(bins)
    height = PLOT / most
    parts = [text(left - 8, MARGIN, "shots", anchor="end", kind="what")]
    for mark in marks:
        y = bottom - mark * height
        parts.append(line(left, y, WIDTH - MARGIN, y, "grid"))
        parts.append(text(left - 8, y + 4, f"{mark:,.0f}", anchor="end"))
    for place, (level, count) in enumerate(bins):
        if count:
            says = f"{level if size == 1 else f'{level} to {level + size - 1}'}: {count_of(count, 'shot')}"
            width = min(MAX_WIDTH, step - min(3, step / 4))
            x = left + (place + 0.5) * step - width / 2
            parts.append(saying(rectangle(x, bottom - count * height, width, count * height, "bar"), says))
    for mark in ticks(first, max(last, first + 1) if len(bins) > 1 else first, 12, whole=True):
        x = left + ((mark - first) / size + 0.5) * step
        parts.append(text(x, bottom + 18, f"{mark:.0f}", anchor="middle"))
    parts.append(line(left, bottom, WIDTH - MARGIN, bottom, "axis"))
    parts.append(text((left + WIDTH - MARGIN) / 2, bottom + 36, "level", anchor="middle", kind="what"))
    strongest = max(bins, key=lambda pair: pair[1])
    description = (
        f"Shots by level from {first} to {last + size - 1} of {count_of(found.shots, 'shot')};"
        f" most, {strongest[1]}, at {strongest[0]}."
    )
    return picture(identity, top + PLOT + 48, f"Histogram of {name}", description, parts)


def level_bins(counts: Counter[str]) -> list[tuple[int, int]]:
    """Return the shots of each level from the first to the last that was seen, or of intervals of equal size."""
    by_level = {int(outcome): count for outcome, count in counts.items()}
    first, last = min(by_level), max(by_level)
    size = -(-(last - first + 1) // MAX_BARS)
    sums: Counter[int] = Counter()
    for level, count in by_level.items():
        sums[(level - first) // size] += count
    return [(first + place * size, sums[place]) for place in range((last - first) // size + 1)]


def bars(identity: str, name: str, found: Counted) -> str:
    """Return a histogram over outcomes that are no levels: one horizontal bar each, the most frequent ones."""
    counts = found.frequent
    rest = found.shots - sum(count for _, count in counts)
    shown_counts = [*counts, ("others", rest)] if rest else counts
    most = max(count for _, count in shown_counts)
    labels = [shorten(printable(outcome)) for outcome, _ in shown_counts]
    left = label_width(labels)
    room = NARROW - left - MARGIN - LETTER * (len(f"{most:,} (100.0%)") + 1)
    parts = [line(left, MARGIN, left, MARGIN + BAR * len(labels), "axis")]
    for row, (label, (_, count)) in enumerate(zip(labels, shown_counts, strict=True)):
        top = MARGIN + row * BAR
        width = max(1.0, room * count / most)
        parts += [
            text(left - 8, top + 15, label, anchor="end"),
            rectangle(left, top + 3, width, BAR - 6, "bar"),
            text(left + width + 6, top + 15, f"{count:,} ({count / found.shots:.1%})"),
        ]
    strongest = max(counts, key=lambda pair: pair[1])
    description = (
        f"{count_of(len(found.counts), 'outcome')} of {count_of(found.shots, 'shot')};"
        f" the most frequent is {shorten(printable(strongest[0]))} with {strongest[1] / found.shots:.1%}."
    )
    return picture(identity, MARGIN * 2 + BAR * len(labels), f"Histogram of {name}", description, parts, width=NARROW)


def _rows(outcomes: Outcomes) -> list[NumberRow]:
    rows = []
    for name, found in outcomes.items():
        if isinstance(found, Value):
            rows.append(NumberRow(printable(name), "", f"{found.exp_value:.6g}", f"{found.std:.2g}"))
            continue
        for outcome, count in found.frequent:
            rows.append(NumberRow(printable(name), printable(outcome), f"{count:,}", f"{count / found.shots:.2%}"))
    return rows
