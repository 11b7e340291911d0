"""Tables in a terminal: what tells rows apart keeps its width, and text is cut, wrapped or put below its row.

Widths are counted in cells: a Chinese character has two, a combining accent none. What no terminal can show is spelt
out, so that no name moves the cursor or turns a line round. Into a file or a pipe nothing is cut, and a row is a line.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console
from rich.text import Text

from deployments.cli.terminal import written
from models.errors import printable

GAP = "  "
INDENT = " " * 4
LEAST_NAME = 12
"""A name is never cut to fewer cells."""

LEAST_TEXT = 24
"""Where a row has less room left for its text, the text goes below it."""


class ColumnKind(Enum):
    """What happens to a column where there is too little room."""

    KEY = "it keeps its width, even if the line gets too long"
    NAME = "it is cut, but not below `LEAST_NAME`"
    DETAIL = "it goes below its row"
    TEXT = "it is wrapped, or cut, in the room that is left, or goes below its row"


class Column(NamedTuple):
    """One column; its name is the heading."""

    name: str
    kind: ColumnKind = ColumnKind.KEY


class Cell(NamedTuple):
    """What stands in one row of a column, and the style in which rich shows it."""

    text: str
    style: str = ""


Row = Sequence[str | Cell]


def show_table(  # noqa: PLR0913 - what is shown, and how
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    heading: bool = True,
    wrap: bool = True,
    least_text: int = LEAST_TEXT,
) -> None:
    """Print a table as wide as the console, or as wide as it needs if the output is no terminal.

    Args:
        wrap: what is too long for its room goes on in the next line; otherwise it is cut.
    """
    width = console.width if console.file.isatty() else None
    # What has to be spelt out is wider then.
    encoding = getattr(console.file, "encoding", None) or "utf-8"
    shown = [[_in(encoding, _clean(cell)) for cell in row] for row in rows]
    for line in table_lines(columns, shown, width, heading=heading, wrap=wrap, least_text=least_text):
        console.print(line, soft_wrap=True, highlight=False)


def table_lines(  # noqa: PLR0913 - as above
    columns: Sequence[Column],
    rows: Sequence[Row],
    width: int | None,
    *,
    heading: bool = True,
    wrap: bool = True,
    least_text: int = LEAST_TEXT,
) -> Iterator[Text]:
    """Yield the lines of a table of at most so many cells; None lets it be as wide as it needs."""
    cells = [[_clean(cell) for cell in row] for row in rows]
    heads = [Cell(column.name, "bold") for column in columns]
    lines = [*([heads] if heading else []), *cells]
    natural = [max((cell_len(row[at].text) for row in lines), default=0) for at in range(len(columns))]
    widths = natural if width is None else _widths(columns, natural, width, least_text)
    beside = [at for at, cells_wide in enumerate(widths) if cells_wide is not None]
    below = [at for at, cells_wide in enumerate(widths) if cells_wide is None]
    for row in lines:
        yield from _beside([(row[at], widths[at] or 0, columns[at].kind) for at in beside], wrap=wrap)
        rest = GAP.join(row[at].text for at in below if row[at].text)
        if rest and width is not None:
            room = max(width - len(INDENT), LEAST_TEXT)
            style = "bold" if row is heads else "dim"
            for part in _wrapped(rest, room) if wrap else [cut(rest, room)]:
                yield Text(INDENT + part, style=style)


def cut(text: str, width: int) -> str:
    """Return the text in at most so many cells, its end replaced by an ellipsis where it is too long."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def _clean(cell: str | Cell) -> Cell:
    text, style = cell if isinstance(cell, Cell) else (cell, "")
    text = printable(text, 6 * len(text) + 1)  # spelt out, one character takes six
    # An accent without a letter would stand on the gap before it.
    return Cell("\N{DOTTED CIRCLE}" + text if text and cell_len(text[0]) == 0 else text, style)


def _in(encoding: str, cell: Cell) -> Cell:
    return cell._replace(text=written(cell.text, encoding))


def _widths(columns: Sequence[Column], natural: Sequence[int], width: int, least_text: int) -> list[int | None]:
    """Return how many cells each column gets; None where it goes below its row."""
    most = max(LEAST_NAME, width // 5)
    widths = [
        min(wanted, most) if column.kind is ColumnKind.NAME else wanted
        for column, wanted in zip(columns, natural, strict=True)
    ]
    below: set[ColumnKind] = set()
    room = width
    for moved in ((), (ColumnKind.TEXT,), (ColumnKind.TEXT, ColumnKind.DETAIL)):
        below = set(moved)
        beside = [at for at, column in enumerate(columns) if column.kind not in below]
        texts = [at for at in beside if columns[at].kind is ColumnKind.TEXT]
        room = width - len(GAP) * (len(beside) - 1) - sum(widths[at] for at in beside if at not in texts)
        if room >= sum(min(natural[at], least_text) for at in texts):
            for at in texts:
                widths[at] = min(natural[at], room)
            break
    else:
        # Even what is left is too long: names give way, as far as they may.
        for at, column in enumerate(columns):
            if column.kind is ColumnKind.NAME and room < 0:
                shorter = max(min(widths[at], LEAST_NAME), widths[at] + room)
                room += widths[at] - shorter
                widths[at] = shorter
    return [None if column.kind in below else widths[at] for at, column in enumerate(columns)]


def _beside(cells: Sequence[tuple[Cell, int, ColumnKind]], *, wrap: bool) -> Iterator[Text]:
    """Yield the lines of one row; only text may take several."""
    parts = [
        _wrapped(cell.text, width) if kind is ColumnKind.TEXT and wrap else [cut(cell.text, width)]
        for cell, width, kind in cells
    ]
    for nth in range(max((len(each) for each in parts), default=0)):
        line = Text()
        for (cell, width, _), each in zip(cells, parts, strict=True):
            text = each[nth] if nth < len(each) else ""
            if line:
                line.append(GAP)
            line.append(text, style=cell.style)
            line.append(" " * (width - cell_len(text)))
        line.rstrip()
        yield line


def _wrapped(text: str, width: int) -> list[str]:
    """Return the text in lines of at most so many cells, broken at blanks where it has some."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cell_len(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = chop_cells(word, max(width, 2)) or [""]
        lines += whole
    return [*lines, line] if line or not lines else lines
