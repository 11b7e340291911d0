"""The gates that an OpenQASM 2 text defines, renamed to what no library has.

A parser with a built-in library takes a gate for the library's because of its name. Where `qelib1.inc` is included, its
names mean the file's gates until the program defines them anew; any other name always means the program's gate.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from models.job_language.openqasm import INCLUDES, Mark

QELIB1 = frozenset(
    [
        "u3",
        "u2",
        "u1",
        "cx",
        "id",
        "x",
        "y",
        "z",
        "h",
        "s",
        "sdg",
        "t",
        "tdg",
        "rx",
        "ry",
        "rz",
        "cz",
        "cy",
        "ch",
        "ccx",
        "crz",
        "cu1",
        "cu3",
    ]
)
"""What `qelib1.inc` defines (arXiv:1707.03429, figure 2)."""

KEYWORDS = frozenset(
    [
        "OPENQASM",
        "include",
        "qreg",
        "creg",
        "gate",
        "opaque",
        "if",
        "barrier",
        "measure",
        "reset",
        "pi",
        "sin",
        "cos",
        "tan",
        "exp",
        "ln",
        "sqrt",
    ]
)

_WORD = re.compile(r'//[^\n]*|"[^"\n]*"|\.?[0-9][\w.]*|(?P<name>[A-Za-z]\w*)|(?P<other>\S)', re.ASCII)
_NAME = re.compile(r"[a-z]\w*", re.ASCII)


class Renamed(NamedTuple):
    """A text with other names.

    Attributes:
        own: the program's name for each new one.
        registers: the names of registers, which stay.
        moved: for each line (from 1) where the replaced names begin, and by how much each is longer than before.
    """

    text: str
    own: dict[str, str]
    registers: frozenset[str]
    moved: dict[int, list[tuple[int, int]]]

    def before(self, mark: Mark) -> Mark:
        """Return a fault in the new text as one in the program's: its names, and its place."""
        shift = column = 0
        for begin, longer in self.moved.get(mark.line, ()):
            if begin < mark.column - 1:
                shift += longer
                column = begin
        named = re.sub(r"[a-z]\w*", lambda found: self.own.get(found[0], found[0]), mark.message)
        shift = min(shift, mark.column - 1 - column) if shift > 0 else shift
        return Mark(mark.line, max(1, mark.column - shift), named)


def renamed(text: str) -> Renamed:
    """Rename the gates that an OpenQASM 2 text defines."""
    found = _Names(text)
    prefix = "own"
    while any(word.startswith(prefix) for word in found.words):
        prefix += "_"
    names = [name for name in found.gates if _NAME.fullmatch(name) and name not in KEYWORDS]
    own = {name: f"{prefix}{place}" for place, name in enumerate(names)}
    new, moved = _replaced(text, own, QELIB1 if found.included else frozenset()) if own else (text, {})
    return Renamed(new, {new: old for old, new in own.items()}, frozenset(found.registers), moved)


class _Names:
    """The names in a text: all words, and those of gates (in order) and registers that it defines."""

    def __init__(self, text: str) -> None:
        self.words: set[str] = set()
        self.gates: dict[str, None] = {}
        self.registers: dict[str, None] = {}
        self.included = False
        kinds = {"gate": self.gates, "opaque": self.gates, "qreg": self.registers, "creg": self.registers}
        previous = ""
        for found in _WORD.finditer(text):
            if found[0].startswith("//"):
                continue
            if found["name"] is not None:
                self.words.add(found[0])
                kinds.get(previous, {})[found[0]] = None
            elif previous == "include" and found[0] == f'"{INCLUDES[2]}"':
                self.included = True
            previous = found["name"] or ""


def miscalled(text: str, parameters: Mapping[str, int]) -> Iterator[Mark]:  # noqa: C901 - one step for each place
    """Yield faults that a parser overlooks: calls of opaque gates, and calls without brackets of gates with parameters.

    Args:
        text: OpenQASM 2.
        parameters: how many parameters each gate takes that the text does not define.
    """
    wanted = dict(parameters)
    opaque: set[str] = set()
    place, called, defined = (
        "starts",
        "",
        "",
    )  # where the last word stands, and the gate that is called or defined there
    begin = 0
    for found in _WORD.finditer(text):
        word = found[0]
        if word.startswith("//"):
            continue
        if place == "called" and word != "(":
            yield _mark(text, begin, f"'{called}' takes {_counted(wanted[called])}, but got 0")
        if word in {";", "{", "}"} or (place == "condition" and word == ")"):
            place = "starts"
        elif place == "starts":
            place = _STARTS.get(word, "called" if wanted.get(word) else "inside")
            called, begin = word, found.start()
            if word in opaque:
                yield _mark(text, begin, f"the gate '{word}' is opaque: there is no definition to simulate")
        elif place == "opaque":
            opaque.add(word)
            place = "inside"
        elif place == "name":
            defined, place = word, "opens"
            wanted[defined] = 0
        elif place == "opens":
            place = "formal" if word == "(" else "inside"
        elif place == "formal":
            wanted[defined] += found["name"] is not None
            place = "inside" if word == ")" else "formal"
        elif place == "called":
            place = "inside"


_STARTS = {"if": "condition", "gate": "name", "opaque": "opaque"}


def _mark(text: str, begin: int, message: str) -> Mark:
    return Mark(text.count("\n", 0, begin) + 1, begin - text.rfind("\n", 0, begin), message)


def _counted(parameters: int) -> str:
    return "1 parameter" if parameters == 1 else f"{parameters} parameters"


def _occurrences(text: str, own: dict[str, str], included: frozenset[str]) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each name to replace, and its new one; an included name is the file's until the program has defined it."""
    current = {name: new for name, new in own.items() if name not in included}
    previous = defined = end = ""
    for found in _WORD.finditer(text):
        name = found["name"] or ""
        if previous in {"gate", "opaque"} and name in own:
            defined, end = name, "}" if previous == "gate" else ";"
            yield found, own[name]
        elif name in current:
            yield found, current[name]
        elif found["other"] == end and defined:
            current[defined] = own[defined]
            defined = ""
        if not found[0].startswith("//"):
            previous = name


def _replaced(text: str, own: dict[str, str], included: frozenset[str]) -> tuple[str, dict[int, list[tuple[int, int]]]]:
    """Return the text with other names, and by how much they moved what follows them."""
    parts: list[str] = []
    moved: dict[int, list[tuple[int, int]]] = {}
    end, line, start, shift = 0, 1, 0, 0  # the line and where it begins, and how far its last name has moved
    for found, new in _occurrences(text, own, included):
        parts += [text[end : found.start()], new]
        breaks = text.count("\n", end, found.start())
        if breaks:
            line, start, shift = line + breaks, text.rfind("\n", 0, found.start()) + 1, 0
        more = len(new) - len(found[0])
        moved.setdefault(line, []).append((found.start() - start + shift, more))
        shift += more
        end = found.end()
    return "".join([*parts, text[end:]]), moved
