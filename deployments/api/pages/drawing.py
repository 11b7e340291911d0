"""What figures are drawn with: SVG that stands in a page and is coloured by its style sheet."""

from collections.abc import Sequence
from html import escape

WIDTH = 720
"""Of every figure, in its own units; a page makes it as wide as there is room."""

MARGIN = 12
LETTER = 7.3
"""Width of a letter of the monospaced font at 12 units."""

MAX_LETTERS = 32
"""Of a label; the table beside the figure has all of it."""

MORE_LETTERS = 8


NARROW = 440
"""Width of a figure that is to be read on a telephone without moving it."""


def picture(  # noqa: PLR0913 - what stands in every figure
    name: str, height: float, title: str, description: str, parts: Sequence[str], *, width: int = WIDTH
) -> str:
    """Return a figure as SVG text.

    Args:
        name: part of the ids in it; each figure of a page has another one.
        title: what a screen reader calls it.
        description: what can be seen in it, in a sentence.
    """
    kind = "figure" if width == WIDTH else "figure narrow"
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {_number(height)}" role="img" aria-labelledby="{name}-title'
        f' {name}-text"><title id="{name}-title">{escape(title)}</title><desc id="{name}-text">{escape(description)}'
        f"</desc>{''.join(parts)}</svg>"
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    """Return a line of text.

    Args:
        anchor: which end of it stands at `x`: start, middle or end.
        kind: class of the style sheet.
    """
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"{style}>{escape(words)}</text>'


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a rectangle."""
    return (
        f'<rect class="{kind}" x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"/>'
    )


def saying(element: str, words: str) -> str:
    """Return an element that shows these words where the mouse rests on it."""
    return f"<g><title>{escape(words)}</title>{element}</g>"


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return f'<path class="{kind}" d="M{_number(x1)} {_number(y1)}L{_number(x2)} {_number(y2)}"/>'


def shorten(label: str) -> str:
    """Return a label, cut to what fits into a figure."""
    return label if len(label) <= MAX_LETTERS else label[: MAX_LETTERS - 1] + "…"


def label_width(labels: Sequence[str]) -> float:
    """Return the room that labels need to the left of a figure."""
    return MARGIN + LETTER * max((len(label) for label in labels), default=1) + MORE_LETTERS


def _number(value: float) -> str:
    """Return a coordinate to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return a line through points."""
    steps = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return f'<path class="{kind}" d="M{steps}"/>'
