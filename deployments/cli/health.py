"""`quledger health`: what works, what does not, and what to do about it."""

from typing import Annotated

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.output import Json, print_output
from flows.checkup import Checkup
from flows.telling.teller import Teller
from models.health import Health
from tasks.services import current

_STYLES = {"ok": "green", "odd": "yellow", "down": "bold red", "unknown": "dim"}


def health(*, tell: Annotated[bool, Parameter(negative="")] = False, as_json: Json = False) -> int:
    """Ask all parts of the laboratory how they are, and say what is down; end with code 1 if something is.

    It answers within five seconds, whatever hangs: database (a row is written and read), storages (a document is
    written, read and removed), Prefect and its schedules, drains, disks, clocks, the mirror and the log files.
    Example: `quledger health --json`.

    Args:
        tell: Also tell webhook, mail and Prefect if it has changed, and what else waits to be told (docs/told.md).
    """
    services = current()
    found = Checkup(services).ask()
    value = {"ok": not found.down, **found.model_dump(mode="json")}
    print_output(value, lambda: _print(found), as_json=as_json)
    if tell:
        Teller(services).tell_health(found)
    return 1 if found.down else 0


def _print(found: Health) -> None:
    width = max(len(part.name) for part in found.parts)
    for part in found.parts:
        does = f"; {part.do}" if part.do else ""
        render.print_line(f"{part.name:<{width}}  {part.status:<7}  {part.says}{does}", style=_STYLES[part.status])
