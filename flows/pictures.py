"""Histograms as small SVG pictures, which a page of Prefect's UI shows without asking anybody."""

import base64
from collections.abc import Sequence
from html import escape

WIDTH, BAR_HEIGHT, LABEL_WIDTH, COUNT_WIDTH = 640, 18, 140, 70
"""In pixels."""

MOST_LETTERS = 18
"""Of an outcome."""


def histogram(counts: Sequence[tuple[str, int]], title: str) -> str:
    """Return a picture of counts as SVG text: one horizontal bar for each outcome, in the given order."""
    most = max((count for _, count in counts), default=1)
    room = WIDTH - LABEL_WIDTH - COUNT_WIDTH
    lines = []
    for row, (outcome, count) in enumerate(counts):
        top = 26 + row * BAR_HEIGHT
        width = max(1, round(room * count / most))
        label = outcome if len(outcome) <= MOST_LETTERS else outcome[: MOST_LETTERS - 1] + "…"
        lines += [
            f'<text x="{LABEL_WIDTH - 8}" y="{top + 13}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABEL_WIDTH}" y="{top + 2}" width="{width}" height="{BAR_HEIGHT - 4}" fill="#3b82f6"/>',
            f'<text x="{LABEL_WIDTH + width + 6}" y="{top + 13}">{count}</text>',
        ]
    height = 34 + len(counts) * BAR_HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace"'
        f' font-size="12" fill="#64748b"><text x="8" y="16" font-weight="bold">{escape(title)}</text>'
        + "".join(lines)
        + "</svg>"
    )


def inline(svg: str, text: str) -> str:
    """Return a picture as Markdown that carries it within itself."""
    content = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    return f"![{text}](data:image/svg+xml;base64,{content})"
