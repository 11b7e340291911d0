"""What the commands share: options, and output for people or for programs."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value.")]

Labels = Annotated[list[str] | None, Parameter(negative="")]
"""An option that may be given several times, each as NAME=VALUE."""


def print_output(value: Any, print_text: Callable[[], None], *, as_json: bool) -> None:
    """Print the output of a command: `value` as one line of JSON, or what `print_text` prints for people."""
    if as_json:
        print(json.dumps(value))
    else:
        print_text()
