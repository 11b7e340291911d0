"""Values from outside: read as numbers as leniently as the peer does, and described in messages.

Lenient is pydantic's lax mode: `"5"`, `5.0` and `true` are numbers; `"five"`, `5.5` where a whole number is due,
`null`, NaN and infinity are not.
"""

import math
from typing import Any

from pydantic import TypeAdapter

from models.errors import echo

_LABEL = 60
_MAX_BITS = 1024
_INT = TypeAdapter(int)
_FLOAT = TypeAdapter(float)
_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def as_int(value: Any) -> int | None:
    """Return `value` as a whole number, read in pydantic's lax mode; None if it is not one."""
    if type(value) is int:
        return value
    try:
        return _INT.validate_python(value)
    except ValueError:
        return None


def as_float(value: Any) -> float | None:
    """Return `value` as a finite number, read in pydantic's lax mode; None if it is not one."""
    try:
        found = float(value) if type(value) is int else _FLOAT.validate_python(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def label(text: str) -> str:
    """Return a name from outside as it stands in a fault: printable and short."""
    if len(text) <= _LABEL and text.isprintable():
        return text
    clean = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[: _LABEL + 1])
    return clean if len(clean) <= _LABEL else clean[: _LABEL - 1] + "…"


def kind(value: Any) -> str:
    """Return the kind of JSON value in words."""
    return _KINDS.get(type(value), type(value).__name__)


def preview(value: Any) -> str:
    """Return the value as it stands in a message; a number too long to write out is described."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, list | dict):
        return kind(value)
    return "null" if value is None else echo(value)
