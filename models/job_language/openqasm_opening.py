"""Whether a text is OpenQASM at all, told by its first word; a drain and a form ask this of any text."""

MAX_OPENING = 100_000
"""The word OPENQASM has to end within this many characters."""

OPENING = "OPENQASM"

BYTE_ORDER_MARK = "\ufeff"
"""What some editors put before the first character of a text; it is no part of it."""


def is_openqasm(text: str) -> bool:
    """Return whether the first word outside comments is OPENQASM; each character is read once."""
    text = text[:MAX_OPENING]
    place = len(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else 0
    while True:
        place = _after_blanks(text, place)
        if text.startswith("//", place):
            place, found = _after(text, "\n", place)
        elif text.startswith("/*", place):
            place, found = _after(text, "*/", place + 2)
        else:
            break
        if not found:
            return False
    end = place + len(OPENING)
    return text.startswith(OPENING, place) and not (text[end : end + 1].isalnum() or text[end : end + 1] == "_")


def _after_blanks(text: str, place: int) -> int:
    """Return the place of the first character at or after `place` that is not blank."""
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _after(text: str, mark: str, place: int) -> tuple[int, bool]:
    """Return the place behind the next `mark`, and whether there is one; else the end of the text."""
    found = text.find(mark, place)
    return (found + len(mark), True) if found >= 0 else (len(text), False)
