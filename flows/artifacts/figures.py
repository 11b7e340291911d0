"""Small SVG pictures, embedded in the pages of Prefect's UI: what they are drawn on, and histograms."""

import base64
from collections.abc import Sequence
from html import escape

from models.errors import printable

WIDTH, BAR_HEIGHT, COUNT_WIDTH = 700, 20, 110
LETTER, MARGIN, TOP = 7.3, 16, 40
"""In pixels; a letter of the monospaced font at 12 pixels."""

MAX_LETTERS = 32
"""Of an outcome."""

_STYLE = (
    "<style>:root{--paper:#f8fafc;--ink:#1e293b;--faint:#cbd5e1;--bar:#2563eb}"
    "@media (prefers-color-scheme:dark){:root{--paper:#0f172a;--ink:#e2e8f0;--faint:#475569;--bar:#60a5fa}}"
    "text{fill:var(--ink)}.paper{fill:var(--paper)}.bar{fill:var(--bar)}"
    ".axis{stroke:var(--faint);stroke-width:1;fill:none}</style>"
)
"""A picture has paper and ink of its own, dark ones where the reader wants dark pages: it can be read on any page."""


def picture(title: str, height: int, parts: Sequence[str]) -> str:
    """Return a picture of these SVG elements as SVG text.

    Args:
        height: in pixels; the width is `WIDTH`.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace"'
        f' font-size="12">{_STYLE}<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
        f'<text x="{MARGIN}" y="24" font-size="13" font-weight="bold">{escape(title)}</text>{"".join(parts)}</svg>'
    )


def histogram(counts: Sequence[tuple[str, int]], shots: int, title: str) -> str:
    """Return a picture of counts: one horizontal bar for each outcome, in the given order.

    Args:
        shots: of the experiment, also those whose outcome is not shown.
    """
    most = max((count for _, count in counts), default=1)
    labels = [shorten(outcome) for outcome, _ in counts]
    left = MARGIN + round(LETTER * max((len(label) for label in labels), default=0)) + 8
    room = WIDTH - left - COUNT_WIDTH
    parts = []
    for row, (label, (_, count)) in enumerate(zip(labels, counts, strict=True)):
        top = TOP + row * BAR_HEIGHT
        width = max(1, round(room * count / most)) if count else 0
        parts += [
            f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="bar" x="{left}" y="{top + 2}" width="{width}" height="{BAR_HEIGHT - 4}"/>',
            f'<text x="{left + width + 6}" y="{top + 14}">{count} ({count / shots:.1%})</text>',
        ]
    return picture(title, TOP + len(counts) * BAR_HEIGHT + MARGIN, parts)


def shorten(outcome: str) -> str:
    """Return an outcome, cut to what fits into a picture, without what XML has no character for."""
    return printable(outcome, MAX_LETTERS)


def inline_image(svg: str, text: str) -> str:
    """Return Markdown with the picture embedded in it."""
    return f"![{text}]({_address(svg)})"


def folded(summary: str, parts: Sequence[str]) -> str:
    """Return Markdown that shows one line, and these pieces of HTML when it is clicked."""
    # One block without an empty line: what follows one would not be folded.
    return "\n".join([f"<details>\n<summary>{escape(summary)}</summary>", *parts, "</details>"])


def html_image(svg: str, text: str) -> str:
    """Return HTML with the picture embedded in it."""
    return f'<p><img alt="{escape(text)}" src="{_address(svg)}"></p>'


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode('utf-8')).decode('ascii')}"
