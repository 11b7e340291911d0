"""What can be said of an OpenQASM text before any parser sees it: size, version, includes, and what is never allowed.

A text that passes includes no file but the standard one of its version, is nested no deeper than the parsers can go,
and has no number that overflows. Whether it is a program, the parsers decide. Sources: OpenQASM 2.0 (arXiv:1707.03429)
and the OpenQASM 3 specification, whose lexer has `/* */`, `'text'` and pragmas, which that of 2.0 does not have.
"""

import math
import re
import unicodedata
from collections.abc import Container, Iterator
from typing import NamedTuple

from models.job_language.openqasm_opening import BYTE_ORDER_MARK, OPENING
from models.job_language.openqasm_words import REFUSED, TELLING

MAX_BYTES = 2_000_000
MAX_STATEMENTS = {2: 50_000, 3: 6_000}
"""Statements of one program by language version; the parser of version 3 needs about 0.6 ms for each."""

MAX_TOKENS = 1_000
"""In one statement."""

MAX_WORDS = {2: 1_000_000, 3: 100_000}
"""Tokens of one program by language version; the parser of version 3 took over 10 s for 250,000 (2,000 sums of 60)."""

WRITTEN = 20
"""In a text that we wrote, a statement may be this many times as long and as deeply nested."""

DEEPEST = {"{": 24, "(": 64, "[": 8}
MAX_PROGRAM_FAULTS = 20
MAX_DIGITS = 40
MAX_WHOLE_DIGITS = 18
"""So that a whole number has 64 bits; the parser of OpenQASM 2 ends the process on a longer index."""

MAX_CLBITS = 4_096

MAX_IN_GATE = 30_000
WIDE_GATE = 1_000
"""The parser of OpenQASM 2 needs gigabytes for a gate of more than WIDE_GATE statements that expands to more than
MAX_IN_GATE operations. Any other gate that expands to too many is counted, not built, when the program is compiled."""

INCLUDES = {2: "qelib1.inc", 3: "stdgates.inc"}

_SUSPECT = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)|[^\x00-\x9f]")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of invisible characters: controls, formats, surrogates, private ones, line and page ends."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|//[^\n]*)
    |(?P<comment>/\*)
    |(?P<string>"[^"\r\t\n]*"|'[^'\r\t\n]*')
    |(?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
        |(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?)
    |(?P<name>[^\W\d]\w*|\$[0-9]+)
    |(?P<pragma>\#pragma\b[^\n]*|\#)
    |(?P<symbol>->|==|!=|\*\*|[-+*/%^&|~!=<>{}()\[\];:,.@])""",
    re.VERBOSE,
)


class Mark(NamedTuple):
    """One fault of a text.

    Attributes:
        line: from 1.
        column: from 1, in characters.
    """

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


NO_OPENING = Mark(1, 1, "this does not look like OpenQASM: there is no OPENQASM 3.0; or OPENQASM 2.0; to begin with")
"""Added to the faults of a text that does not name its language."""


class Scan(NamedTuple):
    """What a scan found in a text.

    Attributes:
        version: of the language, 2 or 3.
        declared: a statement says what language this is: OPENQASM, the include, or one of `TELLING`.
        statements: how many there are.
        marks: all faults, in the order of the text.
    """

    version: int
    declared: bool
    statements: int
    marks: list[Mark]


def scan(text: str, most_qubits: int, *, written: bool = False) -> Scan:
    """Scan a text once.

    Args:
        most_qubits: the qubits of the device; a larger OpenQASM 2 register is refused here.
        written: we wrote the text, from a program that had passed; its conditions are written out at length.
    """
    return _Scanner(text, most_qubits, WRITTEN if written else 1).scan()


class _Enough(Exception):
    pass


class _Scanner:
    def __init__(self, text: str, most_qubits: int, factor: int) -> None:
        self.factor = factor
        self.text, self.most_qubits = text.removeprefix(BYTE_ORDER_MARK), most_qubits
        self.marks: list[Mark] = []
        self.version, self.declared, self.statements = 3, False, 0
        self.open: list[tuple[str, int]] = []
        self.sizes = {"qreg": 0, "creg": 0}
        # The gate that is being defined, and how many operations a call of each gate so far expands to.
        self.gate, self.width = "", 0
        self.effort: dict[str, int] = {}

    def mark(self, place: int, message: str) -> None:
        line = self.text.count("\n", 0, place) + 1
        self.marks.append(Mark(line, place - (self.text.rfind("\n", 0, place) + 1) + 1, message))
        if len(self.marks) >= MAX_PROGRAM_FAULTS:
            raise _Enough

    def scan(self) -> Scan:
        size = len(self.text.encode("utf-8", "surrogatepass"))
        if size > MAX_BYTES:
            message = f"the program has {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:g} MB are accepted"
            return Scan(3, False, 0, [Mark(1, 1, message)])
        if not self.text.strip():
            return Scan(3, False, 0, [Mark(1, 1, "the program is empty")])
        try:
            self.characters()
            self.tokens()
        except _Enough:
            pass
        marks = sorted(set(self.marks))
        return Scan(self.version, self.declared, self.statements, [NO_OPENING, *marks] if self.unlikely() else marks)

    def unlikely(self) -> bool:
        """Return True if the text is more likely one in another language."""
        return bool(self.marks) and not self.declared and "OPENQASM" not in self.text

    def characters(self) -> None:
        """Mark invisible characters: a text must be what it looks like."""
        for found in _SUSPECT.finditer(self.text):
            # A lone return ends a comment for one parser, and not for another.
            if found[0].isascii() or unicodedata.category(found[0]) in _UNSEEN:
                self.mark(found.start(), f"the invisible character U+{ord(found[0]):04X} is not allowed")

    def tokens(self) -> None:
        """Mark faults token by token, statement by statement."""
        statement: list[tuple[str, str, int]] = []
        for kind, token, place in self.lexed():
            if kind == "pragma":
                self.mark(place, self.hash(place) if len(token) == 1 else REFUSED["pragma"])
                continue
            if kind == "symbol" and self.bracket(token, place):
                return
            if token not in {";", "{", "}"} or kind != "symbol":
                statement.append((kind, token, place))
                if len(statement) == MAX_TOKENS * self.factor:
                    self.mark(statement[0][2], f"the statement has more than {MAX_TOKENS} words")
                    return
                continue
            if statement:
                self.statement(statement)
                self.statements += 1
                if self.statements > MAX_STATEMENTS[self.version]:
                    most = MAX_STATEMENTS[self.version]
                    self.mark(place, f"there are more than {most:,} statements, too many for OpenQASM {self.version}")
                    return
            statement = []
        if self.open:
            self.mark(self.open[-1][1], f"the bracket {self.open[-1][0]} is never closed")
        elif statement:
            self.statement(statement)
            _, token, place = statement[-1]
            self.mark(place + len(token), "a semicolon is missing")

    def lexed(self) -> Iterator[tuple[str, str, int]]:
        place = words = 0
        while place < len(self.text):
            found = _TOKEN.match(self.text, place)
            if found is None:
                character = self.text[place]
                if character.isprintable() or unicodedata.category(character) == "Zs":  # others have been found already
                    self.mark(place, self.misplaced(character))
                place += 1
                continue
            kind = found.lastgroup or ""
            end = found.end()
            if found[0] == "pragma" and self.version == 3 and not self.open:  # noqa: PLR2004 - the version
                kind, end = "pragma", (self.text.find("\n", place) + 1 or len(self.text))
            if kind == "comment":
                if self.version == 2:  # noqa: PLR2004 - the version; there the parser would read on inside
                    self.mark(place, "OpenQASM 2 has no /* */; write //")
                end = self.text.find("*/", place + 2) + 2
                if end < 2:  # noqa: PLR2004 - not found
                    self.mark(place, "the comment is never closed")
                    return
            elif kind != "space":
                words += 1
                if words > MAX_WORDS[self.version]:
                    self.mark(place, f"there are more than {words - 1:,} words, too many for OpenQASM {self.version}")
                    raise _Enough
                yield kind, found[0], place
            place = end

    def hash(self, place: int) -> str:
        if self.text.startswith("#dim", place):
            return "references to arrays (#dim) are not supported"
        return "'#' begins nothing but #pragma; a comment begins with //"

    def misplaced(self, character: str) -> str:
        if character in "\"'":
            return "the text in quotes is not closed on its line"
        if unicodedata.category(character) == "Zs":
            return f"the blank U+{ord(character):04X} is none that OpenQASM knows; write an ordinary space"
        return f"the character U+{ord(character):04X} has no place in OpenQASM"

    def bracket(self, sign: str, place: int) -> bool:
        """Follow the nesting; return True if it is no use to go on."""
        if sign in "{([":
            self.open.append((sign, place))
            depth = sum(1 for each, _ in self.open if each == sign) if len(self.open) > min(DEEPEST.values()) else 0
            if depth > DEEPEST[sign] * self.factor:
                self.mark(place, f"the brackets {sign} are nested more than {DEEPEST[sign]} deep")
                return True
        elif sign in "})]":
            right = {"}": "{", ")": "(", "]": "["}[sign]
            if not self.open or self.open[-1][0] != right:
                self.mark(place, f"the bracket {sign} closes nothing")
                return True
            self.open.pop()
            if not self.open:
                self.gate = ""
        return False

    def expand(self, word: str, second: str, place: int) -> None:
        """Count the operations in the gate that is being defined; modifiers and loops are counted later."""
        if word == "gate" and not self.gate:
            self.gate, self.width = second, 0
            self.effort[second] = 0
        elif self.gate and self.version == 2:  # noqa: PLR2004 - the version
            self.width += 1
            self.effort[self.gate] += max(1, self.effort.get(word, 1))
            if self.width > WIDE_GATE and self.effort[self.gate] > MAX_IN_GATE:
                self.mark(place, f"the gate expands to more than {MAX_IN_GATE:,} operations")
                raise _Enough

    def own(self) -> Container[str]:
        """Return words of `REFUSED` that OpenQASM 2 allows: names of defined gates, and `opaque`."""
        return {*self.effort, "opaque"} if self.version == 2 else ()  # noqa: PLR2004 - the version

    def statement(self, tokens: list[tuple[str, str, int]]) -> None:
        kind, word, place = tokens[0]
        self.expand(word, tokens[1][1] if len(tokens) > 1 else "", place)
        if word == "OPENQASM":
            self.opening(tokens)
        self.declared = self.declared or word in TELLING
        if kind == "name" and word in REFUSED and word not in self.own():
            self.mark(place, REFUSED[word])
        elif word == "@":
            self.mark(place, "annotations are not supported")
        elif word in self.sizes and self.version == 2:  # noqa: PLR2004 - the version
            self.register(word, tokens)
        if word != OPENING:
            self.words(tokens)

    def words(self, tokens: list[tuple[str, str, int]]) -> None:
        for position, (kind, word, place) in enumerate(tokens):
            if kind == "number":
                self.number(word, place)
            elif word[0] == "$" and (len(word) > MAX_WHOLE_DIGITS or int(word[1:]) >= self.most_qubits):
                self.mark(place, f"there is no such qubit; the device has {self.most_qubits}")
            elif word == "include" and kind == "name":
                self.include(tokens[position + 1 :], place, alone=position == 0)

    def opening(self, tokens: list[tuple[str, str, int]]) -> None:
        _, _, place = tokens[0]
        self.declared = True
        if self.statements:
            self.mark(place, "OPENQASM must be the first statement")
        said = tokens[1][1] if len(tokens) > 1 else ""
        if said in {"2", "2.0"}:
            self.version = 2
        elif said not in {"3", "3.0", "3.1"}:
            shown = said if re.fullmatch(r"[0-9.]{1,10}", said) else "this version"
            self.mark(place, f"OpenQASM {shown} is not known; write OPENQASM 2.0; or OPENQASM 3.0;")
        if len(tokens) > 2:  # noqa: PLR2004 - the word and the number
            _, word, place = tokens[1]
            self.mark(place + len(word), "a semicolon is missing after the version")

    def include(self, after: list[tuple[str, str, int]], place: int, *, alone: bool) -> None:
        allowed = INCLUDES[self.version]
        name = after[0][1][1:-1] if len(after) == 1 and after[0][0] == "string" else ""
        if alone and name == allowed:
            self.declared = True
            return
        if name in INCLUDES.values():
            self.mark(place, f'this file does not belong to OpenQASM {self.version}; include "{allowed}"')
        else:
            self.mark(place, f'nothing but include "{allowed}"; is allowed: no file is read')

    def number(self, word: str, place: int) -> None:
        digits = word.replace("_", "")
        if len(digits) > MAX_DIGITS:
            self.mark(place, f"the number has more than {MAX_DIGITS} digits")
        elif digits.isdecimal() and len(digits) > MAX_WHOLE_DIGITS:
            self.mark(place, f"the whole number has more than {MAX_WHOLE_DIGITS} digits")
        elif not digits[:2].lower().startswith(("0x", "0b", "0o")):
            try:
                infinite = math.isinf(float(digits))
            except ValueError:
                self.mark(place, "the number is not complete")
            else:
                if infinite:
                    self.mark(place, "the number is too large: it is infinite as a floating-point number")

    def register(self, word: str, tokens: list[tuple[str, str, int]]) -> None:
        sizes = [token for kind, token, _ in tokens if kind == "number"]
        if len(sizes) != 1 or not sizes[0].isdecimal() or len(sizes[0]) > MAX_DIGITS:
            return
        self.sizes[word] += int(sizes[0])
        most, what = (self.most_qubits, "qubits") if word == "qreg" else (MAX_CLBITS, "classical bits")
        if self.sizes[word] > most:
            found = f"{self.sizes[word]:,}"
            who = "the device has" if word == "qreg" else "the limit is"
            self.mark(tokens[0][2], f"too many {what}: the program has {found}, {who} {most}")
