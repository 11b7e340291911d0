"""What the commands about users, projects and tokens share: who gives them, and options with several values."""

import os
import pwd
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import ValidationError

from deployments.cli.tables import Cell
from models.errors import BadName
from models.identity.limits import NO_LIMITS, Limits

_Most = int | Literal["none"] | None


@Parameter(name="*")
@dataclass(frozen=True)
class LimitOptions:
    """Options that set a limit each; `none` takes it away, and one that is not given stays as it is."""

    jobs_queued: Annotated[_Most, Parameter(help="Jobs that wait at one time.")] = None
    shots_a_day: Annotated[_Most, Parameter(help="Shots of the jobs of 24 hours.")] = None
    seconds_a_day: Annotated[_Most, Parameter(help="Seconds that jobs ran within 24 hours.")] = None
    bytes: Annotated[_Most, Parameter(help="Of all documents and payloads.")] = None
    requests_a_minute: Annotated[_Most, Parameter(help="To the API.")] = None


NOT_CHANGED = LimitOptions()


def actor() -> str:
    """Return who gives the command, as events say it: the machine's name of the user."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def each_of(values: list[str] | None) -> list[str]:
    """Return the values of an option that may be given several times, or once with commas, in order and once each."""
    return list(dict.fromkeys(part.strip() for value in values or [] for part in value.split(",") if part.strip()))


def limit_changes(options: LimitOptions) -> dict[str, int | None]:
    """Return which limits are to be set anew; None takes one away.

    Raises:
        BadName: names every option whose number cannot be.
    """
    changes = {name: None if value == "none" else value for name, value in asdict(options).items() if value is not None}
    try:
        NO_LIMITS.changed(changes)
    except ValidationError as error:
        wrong = [f"--{str(fault['loc'][0]).replace('_', '-')}" for fault in error.errors()]
        raise BadName(f"{', '.join(wrong)}: say a whole number from 0 to 2^53, or none") from None
    return changes


def limits_text(limits: Limits) -> str | Cell:
    """Return the limits that there are, on one line."""
    named = limits.model_dump(exclude_none=True)
    if not named:
        return Cell("-", "dim")
    return ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in named.items())
