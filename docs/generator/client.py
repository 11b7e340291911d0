"""The page of the Python client's classes."""

import inspect
import re
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from docs.generator.markdown import page, sentence

SOURCE = Path(__file__).parents[2] / "clients" / "python" / "src"

ABOUT = """What `import quledger_client` offers, by its docstrings. [python.md](../python.md) shows how it is used.
`AsyncClient` and what comes from it have the same methods as coroutines."""

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?: {4}.*\n?|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}([\w, .]+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def client() -> str:
    """Return the page."""
    sys.path.insert(0, str(SOURCE))
    try:
        import quledger_client  # noqa: PLC0415 - it is no part of this program, and need not be installed
    finally:
        sys.path.remove(str(SOURCE))
    parts = []
    for name in quledger_client.__all__:
        if not name.startswith("Async"):
            parts += _class(name, getattr(quledger_client, name))
    return page("The Python client", ABOUT, *parts)


def _class(name: str, of: type) -> Iterator[str]:
    yield f"## `{name}`"
    if issubclass(of, Exception):
        yield f"An error, below `{of.__mro__[1].__name__}`." if name != "QuledgerError" else "An error."
    yield _described(of)
    ours = [each for each in reversed(of.__mro__) if each.__module__.startswith("quledger_client")]
    members = {member: value for each in ours for member, value in vars(each).items()}
    for member, value in members.items():
        if not member.startswith("_") and (found := _member(name, member, value)):
            yield from found


def _member(name: str, member: str, value: Any) -> list[str]:
    if isinstance(value, cached_property | property):
        return [f"### `{name}.{member}`", _described(value)]
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if not inspect.isfunction(value):
        return []
    return [f"### `{name}.{member}{_signature(value)}`", _described(value)]


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    return str(
        signature.replace(
            parameters=[each.replace(annotation=inspect.Parameter.empty) for each in parameters],
            return_annotation=inspect.Signature.empty,
        )
    )


def _described(of: Any) -> str:
    text = inspect.cleandoc(of.__doc__ or "") + "\n"
    return sentence(_SECTION.sub(_listed, text))


def _listed(section: re.Match[str]) -> str:
    entries = _ENTRY.findall(section[2])
    if not entries:
        return f"{section[1]}: {' '.join(section[2].split())}\n"
    return f"{section[1]}:\n\n" + "".join(f"- `{name}`: {' '.join(text.split())}\n" for name, text in entries) + "\n"
