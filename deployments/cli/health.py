"""`quledger health`: what works, what does not, and what to do about it."""

from deployments.cli import render
from deployments.cli.output import Json, print_output
from flows.checkup import Checkup
from models.health import Health
from models.settings import Settings
from tasks.services import Services

_STYLES = {"ok": "green", "odd": "yellow", "down": "bold red", "unknown": "dim"}


def health(*, as_json: Json = False) -> int:
    """Ask all parts of the laboratory how they are, and say what is down; end with code 1 if something is.

    It answers within five seconds, whatever hangs: database (a row is written and read), storages (a document is
    written, read and removed), Prefect and its schedules, drains, disks, clocks, the mirror and the log files.
    """
    found = Checkup(Services(Settings.read())).ask()
    value = {"ok": not found.down, **found.model_dump(mode="json")}
    print_output(value, lambda: _print(found), as_json=as_json)
    return 1 if found.down else 0


def _print(found: Health) -> None:
    width = max(len(part.name) for part in found.parts)
    for part in found.parts:
        does = f"; {part.do}" if part.do else ""
        render.print_line(f"{part.name:<{width}}  {part.status:<7}  {part.says}{does}", style=_STYLES[part.status])
