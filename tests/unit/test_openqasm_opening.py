"""Whether a text is OpenQASM is seen in one pass, however it is written."""

from typing import Any, Self, SupportsIndex

import pytest

from models.job_language.openqasm_opening import is_openqasm


class Counted(str):  # noqa: SLOT000 - it counts
    """A text that counts how many of its characters are looked at."""

    looked_at: int

    def __new__(cls, text: str) -> Self:
        """Begin at nothing."""
        made = super().__new__(cls, text)
        made.looked_at = 0
        return made

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.looked_at += len(found)
        # The part that is looked at counts for the whole.
        return self if len(found) == len(self) else found

    def find(self, part: str, start: SupportsIndex | None = None, end: SupportsIndex | None = None) -> int:  # type: ignore[override]
        found = super().find(part, start, end)
        self.looked_at += (len(self) if found < 0 else found + len(part)) - int(start or 0)
        return found


@pytest.mark.parametrize(
    "text",
    [
        "OPENQASM 3.0;", "OPENQASM", "  \t\n\r\n OPENQASM 2.0;", "// a\n// b\nOPENQASM 3;", "/* a */OPENQASM 3;",
        "/**//***/ /* a\n * b */ // c\n  OPENQASM 3;", "/*/ a */ OPENQASM 3;", "\u00a0\u2003OPENQASM 3;",
        "OPENQASM/**/3.0;", "//OPENQASM 2.0;\nOPENQASM 3.0;",
    ],
)  # fmt: skip
def test_a_text_that_begins_with_the_word_is(text: str) -> None:
    """Blanks and comments may stand before it."""
    assert is_openqasm(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "// OPENQASM 3.0;", "/* OPENQASM 3.0;", "/*/ OPENQASM 3.0;", "OPENQASMX 3.0;", "OPENQASM_",
        "OPENQASM3",
        "openqasm 3.0;", "[OPENQASM", "x OPENQASM 3.0;", "/ /OPENQASM", "/", "//", "/*", "OPENQAS",
        " " * 200_000 + "OPENQASM 3;",
    ],
)  # fmt: skip
def test_any_other_text_is_not(text: str) -> None:
    """The word inside a comment, or as part of another one, does not count."""
    assert not is_openqasm(text)


@pytest.mark.parametrize(
    "piece", [" ", "\n", "/**/", "// a\n", "/* a */ ", "/*", "//", "/", "/* ", "*/", "OPENQASM", " // /* \n"]
)
@pytest.mark.parametrize("end", ["x", "", "[[]],]", "OPENQASM 3;"])
def test_the_work_grows_as_the_text_does(piece: str, end: str) -> None:
    """No character is looked at more than a few times, whatever comes before and after it."""
    for times in (100, 1_000, 10_000):
        text = Counted(piece * times + end)
        is_openqasm(text)
        assert text.looked_at <= 3 * len(text) + 100
