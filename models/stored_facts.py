"""Facts as they are stored: JSON, of whatever version of their class."""

import json
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from models.facts import Fact

_Data = dict[str, Any]
_FACT: TypeAdapter[Fact] = TypeAdapter(Fact)

UPCASTS: dict[tuple[str, int], Callable[[_Data], _Data]] = {("claimed", 1): lambda data: data | {"version": 2}}
"""(kind, old version) -> function from the stored data to the data of the next version."""


def fact_from_json(text: str) -> Fact:
    """Return the fact in stored JSON, upcast to the version that this code knows.

    Raises:
        pydantic.ValidationError: the JSON is no fact.
    """
    data = json.loads(text)
    while (upcast := UPCASTS.get((data.get("kind"), data.get("version")))) is not None:
        data = upcast(data)
    return _FACT.validate_python(data, strict=False)
