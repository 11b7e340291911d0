"""Groups: jobs that belong together, such as those of one sweep, and what was swept in each."""

import math
import re
from collections.abc import Mapping, Sequence

from models.characters import spelt_out
from models.errors import Fault, InputError, echo

Cell = bool | int | float | str
"""One value of a sweep."""

MAX_NAME = 100
MAX_PARAMETERS, MAX_ROWS = 50, 10_000
MAX_CELL = 200
"""Characters of a text in a sweep, and of the name of a column."""

MAX_NUMBER = 2**63

# As a job id: it stands in URLs, commands and file names.
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.\-]{{0,{MAX_NAME - 1}}}")


class UnknownGroup(InputError):
    """No job belongs to this group."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no job belongs to a group {echo(name)}; `quledger group` lists the groups")


def is_group_name(text: str) -> bool:
    """Return whether a group may have this name."""
    return _NAME.fullmatch(text) is not None


def group_faults(group: str, parameters: Sequence[Mapping[str, Cell]]) -> list[Fault]:
    """Return what is wrong with the group of a job and its parameters."""
    faults = []
    if group and not is_group_name(group):
        allowed = f"at most {MAX_NAME} letters of A-Z and a-z, digits, '_', '.' and '-', the first a letter or digit"
        faults.append(Fault(field="group", message=f"{echo(group)} cannot be the name of a group: write {allowed}"))
    if parameters and not group:
        faults.append(Fault(field="parameters", message="they belong to a job of a group; name it"))
    if len(parameters) > MAX_ROWS:
        faults.append(Fault(field="parameters", message=f"there are {len(parameters)} rows; at most {MAX_ROWS} may be"))
        return faults
    for place, row in enumerate(parameters):
        faults += [Fault(field=f"parameters[{place}]{field}", message=wrong) for field, wrong in _wrong(row)]
    return faults


def cell_fault(cell: Cell) -> str:
    """Return why this cannot be a value of a sweep; empty if it can."""
    if isinstance(cell, str):
        wrong = len(cell) > MAX_CELL or spelt_out(cell) != cell
        return f"a text has at most {MAX_CELL} characters that can be seen" if wrong else ""
    fits = math.isfinite(cell) if isinstance(cell, float) else abs(cell) < MAX_NUMBER
    return "" if fits else "a number is finite, and a whole one has at most 63 bits"


def column_fault(name: str) -> str:
    """Return why no column of a sweep may have this name; empty if it may."""
    if not 0 < len(name) <= MAX_CELL or spelt_out(name) != name or name != name.strip():
        return f"a column has a name of 1 to {MAX_CELL} characters that can be seen, and no blank at an end"
    return "the name of a column has no { or } in it" if "{" in name or "}" in name else ""


def _wrong(row: Mapping[str, Cell]) -> list[tuple[str, str]]:
    if len(row) > MAX_PARAMETERS:
        return [("", f"there are {len(row)} parameters; at most {MAX_PARAMETERS} may be")]
    found = [(f".{name[:MAX_CELL]}", cell_fault(cell) or column_fault(name)) for name, cell in row.items()]
    return [(field, wrong) for field, wrong in found if wrong]
