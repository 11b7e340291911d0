"""Histograms as small SVG pictures, embedded in the pages of Prefect's UI."""

import base64
from collections.abc import Sequence
from html import escape

WIDTH, BAR_HEIGHT, COUNT_WIDTH = 700, 20, 110
LETTER, MARGIN, TOP = 7.3, 16, 40
"""In pixels; a letter of the monospaced font at 12 pixels."""

MAX_LETTERS = 32
"""Of an outcome."""

PAPER, INK, BAR = "#f8fafc", "#1e293b", "#2563eb"
"""The picture has its own background, so that it can be read on dark and light pages."""


def histogram(counts: Sequence[tuple[str, int]], shots: int, title: str) -> str:
    """Return a picture of counts as SVG text: one horizontal bar for each outcome, in the given order.

    Args:
        shots: of the experiment, also those whose outcome is not shown.
    """
    most = max((count for _, count in counts), default=1)
    labels = [shorten(outcome) for outcome, _ in counts]
    left = MARGIN + round(LETTER * max((len(label) for label in labels), default=0)) + 8
    room = WIDTH - left - COUNT_WIDTH
    lines = []
    for row, (label, (_, count)) in enumerate(zip(labels, counts, strict=True)):
        top = TOP + row * BAR_HEIGHT
        width = max(1, round(room * count / most))
        lines += [
            f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{left}" y="{top + 2}" width="{width}" height="{BAR_HEIGHT - 4}" fill="{BAR}"/>',
            f'<text x="{left + width + 6}" y="{top + 14}">{count} ({count / shots:.1%})</text>',
        ]
    height = TOP + len(counts) * BAR_HEIGHT + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace"'
        f' font-size="12" fill="{INK}"><rect width="{WIDTH}" height="{height}" rx="6" fill="{PAPER}"/>'
        f'<text x="{MARGIN}" y="24" font-size="13" font-weight="bold">{escape(title)}</text>'
        + "".join(lines)
        + "</svg>"
    )


def shorten(outcome: str) -> str:
    """Return an outcome, cut to what fits into a picture."""
    return outcome if len(outcome) <= MAX_LETTERS else outcome[: MAX_LETTERS - 1] + "…"


def inline_image(svg: str, text: str) -> str:
    """Return Markdown with the picture embedded in it."""
    content = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    return f"![{text}](data:image/svg+xml;base64,{content})"
