"""Prefect's settings in a process that was forked, made of those that were read before.

To read them takes longer than many a program takes for all else. It is done only where nothing but Prefect's home and
the address of its server differ; any other setting is read.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

HOME, API = "PREFECT_HOME", "PREFECT_API_URL"
USUAL = {HOME: re.compile(r"(/[\w-]+)+"), API: re.compile(r"http://127\.0\.0\.1:\d+/api")}
FILES = (".env", "prefect.toml", "pyproject.toml")
"""What Prefect would read in the current folder."""


def of_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    """Return Prefect's variables."""
    return {name: value for name, value in environment.items() if name.startswith("PREFECT_")}


class KnownSettings:
    """What Prefect has read in one environment, and what it would read in another that is nearly the same."""

    def __init__(self, environment: Mapping[str, str], context: Any) -> None:
        """Keep what it has read.

        Args:
            context: a `SettingsContext`.
        """
        self._environment, self._context = of_prefect(environment), context

    def now(self) -> Any:
        """Return the context that Prefect would make now; None where that has to be read."""
        environment = of_prefect(os.environ)
        differ = {name for name in self._environment if environment.get(name) != self._environment[name]}
        usual = differ <= {*USUAL} and all(USUAL[name].fullmatch(environment.get(name, "")) for name in differ)
        if environment.keys() != self._environment.keys() or not usual or any(map(os.path.exists, FILES)):
            return None
        # The address of the UI is made of that of the API.
        words = [
            (self._environment[name].removesuffix("/api"), environment[name].removesuffix("/api")) for name in differ
        ]
        settings = _with_words(self._context.settings, words)
        settings.home.mkdir(mode=0o700, exist_ok=True)
        return self._context.model_copy(update={"settings": settings})


def _root(value: str) -> str:
    return value.removesuffix("/api")


def _with_words(value: Any, words: list[tuple[str, str]]) -> Any:
    """Return a copy in which words are replaced by others, wherever they are."""
    if isinstance(value, BaseModel):
        copy = value.model_copy()
        vars(copy).update({name: _with_words(each, words) for name, each in vars(value).items()})
        return copy
    if isinstance(value, dict):
        return {key: _with_words(each, words) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(_with_words(each, words) for each in value)
    if isinstance(value, SecretStr):
        return SecretStr(_with_words(value.get_secret_value(), words))
    if isinstance(value, str | Path):
        text = str(value)
        for old, new in words:
            text = text.replace(old, new)
        return value if text == str(value) else type(value)(text)
    return value
