"""`quledger adopt`: takes over a store that another spooler has served."""

import contextlib
from collections import Counter
from typing import Annotated

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.existing import existing_or_empty
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Column, ColumnKind, show_table
from models.adoption import Plan
from models.errors import BadName, echo
from models.names import is_display_name
from tasks.jobs.adoption import Adopter, Adoption
from tasks.services import Services, current

COLUMNS = (
    Column("job"),
    Column("backend", ColumnKind.NAME),
    Column("storage", ColumnKind.NAME),
    Column("plan"),
    Column("why", ColumnKind.TEXT),
)


def adopt(*names: str, apply: Annotated[bool, Parameter(negative="")] = False, as_json: Json = False) -> int:
    """Show which jobs of a store the log does not know, and what would become of them; with `--apply`, take them over.

    What has ended stays as its readers know it; what waits or was left in the middle is run by the next drain. Stop the
    other spooler before. The exit code is 1 where something is left. Example: `quledger adopt lab --apply`.

    Args:
        names: Storages, or backends; without any, all storages.
        apply: Take the jobs over; without it nothing is changed.
    """
    found: list[Adoption] = []
    empty: list[str] = []
    with contextlib.nullcontext(current()) if apply else existing_or_empty() as services:
        storages, backends = _meant(services, names)
        for name in storages:
            adopter = Adopter(services, name, backends)
            before = len(found)
            found += adopter.run() if apply else [adoption for _, adoption in adopter.plans()]
            if not backends and len(found) == before and not adopter.known:
                empty.append(services.stores.of(name).url)
    value = {"applied": apply, "jobs": [each._asdict() for each in found]}
    print_output(value, lambda: _show(found, empty, applied=apply), as_json=as_json)
    return 1 if any(each.plan is Plan.LEFT for each in found) else 0


def _meant(services: Services, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the storages and the backends that are named."""
    known = services.stores.names
    storages = [name for name in known if name in names]
    backends = [name for name in names if name not in known]
    if wrong := [name for name in backends if not is_display_name(name)]:
        named = ", ".join(filter(None, known)) or "one without a name"
        raise BadName(f"{', '.join(map(echo, wrong))}: no storage and no backend is called so; storages: {named}")
    return storages or list(known), backends


def _show(found: list[Adoption], empty: list[str], *, applied: bool) -> None:
    if found:
        show_table(
            render.console, COLUMNS, [(each.job_id, each.backend, each.storage, each.plan, each.why) for each in found]
        )
    counts = Counter(each.plan for each in found)
    nothing = "nothing" if empty else "nothing: the log knows all jobs"
    said = ", ".join(f"{counts[plan]} {plan}" for plan in Plan if counts[plan]) or nothing
    render.print_line(f"{'taken over' if applied else 'would be taken over'}: {said}", style="")
    for url in empty:
        render.print_line(f"There are no jobs in {url}; is it where the other spooler has them?", style="")
    if found and not applied:
        render.print_line("Nothing was changed. Stop the other spooler, and say --apply.")
