"""`quledger config`: what is set, and what the processes of jobs are kept from on this machine."""

import json
import os
import shlex
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from deployments.cli import render
from deployments.cli.output import Json, print_output
from models.errors import echo
from models.settings import Settings
from tasks.sandbox.walls import Wall, offered, table

PREFIX = "QULEDGER_"
_NO_SETTINGS = ("CODE", "CRASH")
"""What other parts read; neither is for people."""


def config(*, as_json: Json = False) -> int:
    """Print all settings, without secrets; each one is the environment variable `QULEDGER_<NAME>`.

    Behind them it says what a job's process is walled off from on this machine, and what not.
    """
    values, walls = Settings.read().redacted(), table(offered())
    document = values | {"walls": [wall._asdict() for wall in walls]}
    print_output(document, lambda: print_all(values, walls), as_json=as_json)
    return 0


def print_all(values: dict[str, Any], walls: tuple[Wall, ...]) -> None:
    """Print settings as environment variables, and the walls as comments, so that a shell can read all of it."""
    print_settings(values)
    for line in strange(values, os.environ):
        render.print_line(line, style="")
    render.print_line("# What the process of a job is kept from here (docs/trust.md):", style="")
    for wall in walls:
        by = wall.by or "NOT WALLED OFF on this machine"
        but = "" if wall.of_undeclared or not wall.by else "; not for a plug-in that declares nothing"
        render.print_line(f"# - {wall.what}: {by}{but}", style="")


def strange(values: Collection[str], variables: Collection[str]) -> list[str]:
    """Return a comment for each variable that looks like a setting and is none."""
    settings = [name.upper() for name in values]
    lines = []
    for name in sorted(variables):
        prefix, found = name[: len(PREFIX)].upper(), name[len(PREFIX) :].upper()
        if prefix == PREFIX and found not in (*settings, *_NO_SETTINGS):
            close = get_close_matches(found, settings, 1)
            meant = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            lines.append(f"# {echo(name)} is set, and is no setting{meant}")
    return lines


def print_settings(values: dict[str, Any]) -> None:
    """Print settings as a shell sets them: what is no text as JSON, what is unset as empty."""
    for name, value in values.items():
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        render.print_line(f"{PREFIX}{name.upper()}={shlex.quote(text) if text else ''}", style="")
