"""Tables, and what docstrings say of attributes."""

import inspect
import re
from collections.abc import Iterable

NOTE = "<!-- Made by `python -m docs.generator` from the code: change it there. -->"

_ATTRIBUTE = re.compile(r"^ {4}(\w+(?:, \w+)*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def page(title: str, *parts: str) -> str:
    """Return a whole page."""
    return "\n\n".join([f"# {title}", NOTE, *parts]) + "\n"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; what would end a cell is written otherwise."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(each) for each in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def sentence(text: str) -> str:
    """Return text of a docstring as Markdown has it."""
    return re.sub(r"``([^`]+)``", r"`\1`", text.strip())


def attributes(of: type) -> dict[str, str]:
    """Return what the docstring of a class says of its attributes, by their names."""
    _, _, section = inspect.cleandoc(of.__doc__ or "").partition("\nAttributes:\n")
    return {
        name: sentence(" ".join(text.split()))
        for names, text in _ATTRIBUTE.findall(section)
        for name in names.split(", ")
    }


def about(of: object) -> str:
    """Return the docstring of a class or function up to its sections."""
    text = inspect.cleandoc(getattr(of, "__doc__", None) or "")
    return sentence(re.split(r"\n\n(?:Args|Attributes|Examples|Raises|Returns):\n", text)[0])
