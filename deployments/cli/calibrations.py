"""The commands about configurations and calibrations of backends, and the results that stand on them."""

from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Column, ColumnKind, show_table
from models.calibrations import Ledger
from models.errors import BadName, InputError
from models.names import is_display_name
from models.standing import periods_of, result_value, version_value, withdrawal
from storage.log import job_lists
from storage.log.job_lists import MAX_PAGE, Query
from tasks.backends import registry

HISTORY = (
    Column("since (UTC)"),
    Column("until (UTC)"),
    Column("hash"),
    Column("withdrawn (UTC)"),
    Column("reason", ColumnKind.TEXT),
)
RESULTS = (
    Column("job"),
    Column("backend", ColumnKind.NAME),
    Column("user", ColumnKind.NAME),
    Column("submitted (UTC)"),
    Column("calibration"),
    Column("withdrawn", ColumnKind.TEXT),
)
SHOWN = 16
"""Digits of a hash in a table."""


def history(backend: str, *, as_json: Json = False) -> int:
    """List which configurations and calibrations of a backend held when, and which of them were withdrawn.

    Args:
        backend: Display name of the backend.
    """
    ledger = existing().calibrations.ledger(backend, with_text=False) if is_display_name(backend) else Ledger()
    if not ledger.versions and not registry.knows(backend):
        raise registry.unknown(backend)
    rows = periods_of(ledger)

    def show_history() -> None:
        if not rows:
            render.print_line("Nothing was recorded so far; a drain records what it publishes.")
            return
        table = [(_short(row["since"]), _short(row["until"]), row["sha256"][:SHOWN], *_withdrawn(row)) for row in rows]
        show_table(render.console, HISTORY, table)

    print_output(rows, show_history, as_json=as_json)
    return 0


def show(sha256: str, *, as_json: Json = False) -> int:
    """Print a configuration and calibration as it was kept.

    Args:
        sha256: Its hash, or as much of its beginning as tells it from others.
    """
    calibrations = existing().calibrations
    found = calibrations.find(calibrations.hash_of(sha256))
    version = found.calibration
    value = version_value(found.backend, version)
    print_output(value, lambda: print(version.text or "its text was not kept"), as_json=as_json)
    return 0


def withdraw(sha256: str, *, reason: str, as_json: Json = False) -> int:
    """Withdraw a calibration: results that stand on it are not to be relied on.

    Args:
        sha256: Its hash, or as much of its beginning as tells it from others.
        reason: Why; whoever looks at such a result is told.
    """
    found = existing().calibrations.withdraw(sha256, reason, by="operator")
    version = found.calibration
    count = job_lists.count(existing().log.engine, _standing_on(version.sha256))
    value = {"backend": found.backend, "sha256": version.sha256, **withdrawal(version), "results": count}
    said = f"withdrawn ({version.reason}): {version.sha256[:SHOWN]} of {found.backend}"
    text = f"{said}; results that stand on it: {count}"
    print_output(value, lambda: print(text), as_json=as_json)
    return 0


def reinstate(sha256: str, *, reason: str, as_json: Json = False) -> int:
    """Take back the withdrawal of a calibration: its results can be relied on again.

    Example: `quledger backends reinstate 3f2a77 --reason "the laser was on, the logbook was wrong"`.

    Args:
        sha256: Its hash, or as much of its beginning as tells it from others.
        reason: Why; it is kept in the log.
    """
    found = existing().calibrations.reinstate(sha256, reason, by="operator")
    version = found.calibration
    count = job_lists.count(existing().log.engine, _standing_on(version.sha256))
    value = {"backend": found.backend, "sha256": version.sha256, **withdrawal(version), "results": count}
    text = f"not withdrawn any more: {version.sha256[:SHOWN]} of {found.backend}; results that stand on it: {count}"
    print_output(value, lambda: print(text), as_json=as_json)
    return 0


def results(
    *,
    standing_on: str = "",
    withdrawn: Annotated[bool, Parameter(negative="")] = False,
    backend: str = "",
    limit: int = 50,
    as_json: Json = False,
) -> int:
    """List the jobs whose results stand on a calibration, or on one that was withdrawn, newest first.

    Args:
        standing_on: Hash of the calibration, or as much of its beginning as tells it from others.
        withdrawn: Those that stand on any calibration that was withdrawn.
        backend: Only of this backend.
        limit: At most so many.
    """
    if bool(standing_on) is withdrawn:
        raise InputError("say either --standing-on HASH or --withdrawn")
    if not 1 <= limit <= MAX_PAGE:
        raise BadName(f"the limit is a number from 1 to {MAX_PAGE}")
    calibrations = existing().calibrations
    gone = calibrations.withdrawn()
    hashes = tuple(gone) if withdrawn else (calibrations.hash_of(standing_on),)
    query = _standing_on(*hashes, backend=backend)
    jobs = job_lists.page(existing().log.engine, query, limit=limit).jobs if hashes else []
    rows = [result_value(job, gone) for job in jobs]

    def show_results() -> None:
        table = [
            (
                row["job_id"],
                row["backend"],
                row["user"],
                _short(row["submitted_at"]),
                row["calibration"][:SHOWN],
                row["reason"] if row["withdrawn_at"] else "-",
            )
            for row in rows
        ]
        if table:
            show_table(render.console, RESULTS, table, wrap=False)
        else:
            render.print_line("There are no such results.")

    print_output(rows, show_results, as_json=as_json)
    return 0


def _standing_on(*hashes: str, backend: str = "") -> Query:
    return Query(everything=True, with_hidden=True, calibrations=hashes, backend=backend)


def _withdrawn(row: dict[str, Any]) -> tuple[str, str]:
    return _short(row["withdrawn_at"]), row["reason"] or "-"


def _short(text: str | None) -> str:
    return text[:19].replace("T", " ") if text else "-"
