"""`quledger config`: what is set, and what the processes of jobs are kept from on this machine."""

import json
import shlex
from typing import Any

from deployments.cli import render
from deployments.cli.output import Json, print_output
from models.settings import Settings
from tasks.sandbox.walls import Wall, offered, table


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
    render.print_line("# What the process of a job is kept from here (docs/trust.md):", style="")
    for wall in walls:
        by = wall.by or "NOT WALLED OFF on this machine"
        but = "" if wall.of_undeclared or not wall.by else "; not for a plug-in that declares nothing"
        render.print_line(f"# - {wall.what}: {by}{but}", style="")


def print_settings(values: dict[str, Any]) -> None:
    """Print settings as a shell sets them: what is no text as JSON, what is unset as empty."""
    for name, value in values.items():
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        render.print_line(f"QULEDGER_{name.upper()}={shlex.quote(text) if text else ''}", style="")
