"""The table of a sweep, a CSV file: each cell as a number where it is written as one."""

import csv
import io
import itertools
from collections.abc import Iterator

from models.errors import InputError, echo
from models.groups import MAX_PARAMETERS, MAX_ROWS, cell_fault, column_fault
from models.sweeps import Row, RowFault, cell_of
from models.words import count_of

MAX_BYTES = 20_000_000
"""The largest file that is read."""

_SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What spreadsheets write between columns in some countries."""


def read_table(content: bytes) -> tuple[list[str], list[Row]]:
    """Return the names of the columns of a CSV file, and its rows; empty lines are none.

    A row whose cells cannot be used says so, and keeps none of them.

    Raises:
        InputError: there is no table in it; all that is wrong with its heading is named.
    """
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        # The heading, and one row more than are taken: what follows is not read.
        lines = list(itertools.islice(filter(None, csv.reader(text, strict=True)), MAX_ROWS + 2))
    except UnicodeDecodeError as error:
        raise InputError(f"the table is not UTF-8 text (byte {error.start})") from None
    except csv.Error as error:
        raise InputError(f"the table is no CSV: {error}") from None
    if len(lines) < 2:  # noqa: PLR2004 - the heading and a row
        raise InputError("the table has no rows; its first line names the columns")
    if len(lines) - 1 > MAX_ROWS:
        raise InputError(f"the table has more rows than are taken: at most {MAX_ROWS}")
    columns = [name.strip() for name in lines[0]]
    if wrong := list(_wrong(columns)):
        raise InputError(f"the heading of the table: {'; '.join(wrong)}")
    return columns, [_row(number, columns, cells) for number, cells in enumerate(lines[1:], 1)]


def _wrong(columns: list[str]) -> Iterator[str]:
    if len(columns) > MAX_PARAMETERS:
        yield f"there are {len(columns)} columns; at most {MAX_PARAMETERS} are taken"
        return
    if len(columns) == 1 and (mark := next((each for each in _SEPARATORS if each in columns[0]), "")):
        yield f"columns are separated by commas, and {echo(columns[0])} has {_SEPARATORS[mark]}"
        return
    for place, name in enumerate(columns, 1):
        if fault := column_fault(name):
            yield f"column {place} is called {echo(name)}: {fault}"
        elif name in columns[: place - 1]:
            yield f"two columns are called {echo(name)}"


def _row(number: int, columns: list[str], cells: list[str]) -> Row:
    if len(cells) != len(columns):
        return Row(
            number, {}, (RowFault("", f"it has {count_of(len(cells), 'cell')}; the heading has {len(columns)}"),)
        )
    faults = []
    read = {}
    for name, text in zip(columns, cells, strict=True):
        cell = cell_of(text.strip())
        if fault := "the cell is empty" if cell == "" else cell_fault(cell):
            faults.append(RowFault(name, fault))
        else:
            read[name] = cell
    return Row(number, {} if faults else read, tuple(faults))
