"""`quledger config`: what is set."""

from typing import Any

from deployments.cli import render
from deployments.cli.output import Json, print_output
from models.settings import Settings


def config(*, as_json: Json = False) -> int:
    """Print all settings, without secrets; each one is the environment variable `QULEDGER_<NAME>`."""
    values = Settings.read().redacted()
    print_output(values, lambda: print_settings(values), as_json=as_json)
    return 0


def print_settings(values: dict[str, Any]) -> None:
    """Print settings as environment variables."""
    for name, value in values.items():
        render.print_line(f"QULEDGER_{name.upper()}={value}", style="")
