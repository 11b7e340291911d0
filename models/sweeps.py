"""Sweeps: a template with places for the cells of a table, and one document, or one experiment, for each row."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from models.documents import parse_job
from models.errors import Fault, InputError, JobRejected, echo
from models.groups import MAX_CELL, MAX_PARAMETERS, Cell

_NAMED = re.compile(r"\{([^{}]{1,200})\}")
# In one way alone each, or a long cell would be tried in millions.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_LIST_FIELDS = {"name": 0, "wires": 1, "params": 2}
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")

MAX_PLACES = 10_000
"""Places for cells in one template: each row fills them all."""

MAX_STEPS = 8
"""Keys and indices that lead to what a fault names, at most."""

Path = tuple[str | int, ...]


class RowFault(NamedTuple):
    """One thing that is wrong with a row; `column` is empty where no column of it is to blame."""

    column: str
    message: str


class Row(NamedTuple):
    """One row of a sweep.

    Attributes:
        number: of the row, from 1; the heading is not counted.
        cells: by the names of the columns.
        faults: that its cells have already; it is left out then.
    """

    number: int
    cells: dict[str, Cell]
    faults: tuple[RowFault, ...] = ()


class BadSweep(InputError):
    """A sweep of which no row can be handed in: its template and its table do not fit together."""


class Template:
    """A job document with places for cells: a text `"{theta}"`, or `{theta}` within a longer text.

    Args:
        raw: its bytes, JSON.

    Raises:
        BadSweep: it is no JSON object.
    """

    def __init__(self, raw: bytes) -> None:
        try:
            value = parse_job(raw)
            self._text = json.dumps(value)
        except JobRejected as error:
            raise BadSweep(f"the template: {error}") from None
        if not isinstance(value, dict):
            raise BadSweep("the template is no job document: that is a JSON object of experiments")
        self.experiments = list(value)
        self._named = {path: found for path, text in _texts(value) if (found := _NAMED.findall(text))}
        if (places := sum(map(len, self._named.values()))) > MAX_PLACES:
            raise BadSweep(f"the template has {places} places for cells; at most {MAX_PLACES} may be")
        self._below: dict[Path, dict[str, int]] = defaultdict(dict)
        for path, found in self._named.items():
            for length in range(1, min(len(path), MAX_STEPS) + 1):
                names = self._below[path[:length]]
                for name in found:
                    names.setdefault(name, len(names))

    def unknown(self, columns: Iterable[str], carried: Iterable[str] = ()) -> list[str]:
        """Return what of the template and the columns does not fit together, a sentence each.

        Args:
            carried: columns that need no place.
        """
        known, carried = dict.fromkeys(columns), list(carried)
        if len(known) > MAX_PARAMETERS:
            return [f"there are {len(known)} columns; at most {MAX_PARAMETERS} may be"]
        named = {name: None for found in self._named.values() for name in found}
        placed = {*named, *carried}
        sentences = [
            f"the template names {echo('{' + name + '}')}, and there is no such column"
            for name in named
            if name not in known and name.isidentifier()
        ]
        sentences += [f"the column {echo(name)} has no place in the template" for name in known if name not in placed]
        return sentences + [f"there is no column {echo(name)} to carry" for name in carried if name not in known]

    def filled(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """Return the document of one row.

        A text that is a place and nothing else becomes the cell; in a longer text the cell is written out.
        """
        value: dict[str, Any] = json.loads(self._text)
        for path in self._named:
            there: Any = value
            for step in path[:-1]:
                there = there[step]
            text = there[path[-1]]
            whole = _NAMED.fullmatch(text)
            if whole and whole[1] in cells:
                there[path[-1]] = cells[whole[1]]
            else:
                there[path[-1]] = _NAMED.sub(lambda match: _written(cells, match), text)
        return value

    def row_faults(self, rejected: JobRejected, columns: Iterable[str]) -> list[RowFault]:
        """Return the faults of a row's document, each with the column whose place is there, if there is one."""
        known = set(columns)
        found = [RowFault(self._column(_path(fault), known), str(fault)) for fault in rejected.faults]
        return [*found, RowFault("", f"and {rejected.more} more faults")] if rejected.more else found

    def _column(self, path: Path, known: set[str]) -> str:
        places = self._below.get(path, {})
        found = sorted((name for name in known if name in places), key=lambda name: places[name])
        return ", ".join(found)


def of_experiments(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one document with the first experiment of each of these, in their order."""
    return {f"experiment_{place}": next(iter(document.values())) for place, document in enumerate(documents)}


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as it is handed in."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def cell_of(text: str) -> Cell:
    """Return what a cell of a table of texts says: a number where it is written as one, else the text.

    `007` is a text: as a number it would lose its zeros; so is one of more characters than a cell may have.
    """
    if len(text) > MAX_CELL:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and not re.match(r"[+-]?0\d", text):
        return float(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def made_name(stem: str, *parts: str) -> str:
    """Return the name of the group of a sweep that was given none: the same for the same table and template.

    Args:
        stem: name of the table.
        parts: all else that tells groups apart.
    """
    plain = re.sub(r"[^A-Za-z0-9_.\-]+", "-", stem).strip("-._")[:60] or "sweep"
    return f"{plain}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]}"


def row_keys(group: str, rows: Sequence[Mapping[str, Cell]]) -> list[str]:
    """Return the idempotency key of each row: it follows from the group and the cells.

    Rows that are the same are told apart by their count: they are repetitions.
    """
    seen: Counter[str] = Counter()
    keys = []
    for cells in rows:
        text = json.dumps(sorted(cells.items()))
        keys.append(_key(group, [text, seen[text]]))
        seen[text] += 1
    return keys


def key_of_rows(group: str, rows: Sequence[Mapping[str, Cell]]) -> str:
    """Return the idempotency key of one job for all of these rows."""
    return _key(group, row_keys(group, rows))


def missing(rows: Sequence[Row], present: Iterable[Mapping[str, Cell]]) -> list[Row]:
    """Return the rows that are not among those that are there; of equal ones as many as are missing."""
    there = Counter(json.dumps(sorted(cells.items())) for cells in present)
    found = []
    for row in rows:
        text = json.dumps(sorted(row.cells.items()))
        if there[text]:
            there[text] -= 1
        else:
            found.append(row)
    return found


def _key(group: str, value: Any) -> str:
    return "sweep-" + hashlib.sha256(json.dumps([group, value]).encode()).hexdigest()[:40]


def _written(cells: Mapping[str, Cell], match: "re.Match[str]") -> str:
    cell = cells.get(match[1])
    if cell is None:
        return match[0]
    return cell if isinstance(cell, str) else json.dumps(cell)


def _texts(value: Any) -> Iterator[tuple[Path, str]]:
    """Yield each text in a JSON value with the keys and indices that lead to it; keys are none."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, str):
            yield path, here
        elif isinstance(here, dict):
            waiting += [((*path, key), each) for key, each in reversed(here.items())]
        elif isinstance(here, list):
            waiting += [((*path, place), each) for place, each in reversed(list(enumerate(here)))]


def _path(fault: Fault) -> Path:
    """Return where in a job document a fault is; empty where it does not say."""
    if fault.experiment is None:
        return ()
    steps = [int(match[2]) if match[2] else match[1] for match in _STEP.finditer(fault.field or "")]
    if fault.instruction is None:
        return (fault.experiment, *steps)
    if steps and isinstance(steps[0], str):
        steps[0] = _LIST_FIELDS.get(steps[0], steps[0])
    return (fault.experiment, "instructions", fault.instruction, *steps)
