"""`quledger db`: the log's database as an operator keeps it. Nothing here reads or changes a job."""

import contextlib
import json
import math
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from sqlalchemy import Engine

from deployments.cli import render
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Column, show_table
from models import clock
from models.errors import BadSetting, printable
from models.settings import Settings
from models.words import count_of, no_or_count_of
from storage.log import upkeep
from storage.log.console import MOST_ROWS, BadQuery, Rows, ask
from storage.log.database import HEAD, engine_of, open_database

BACKUPS = "backups"
"""The folder of copies in the home."""

STATEMENT_SECONDS = 60.0


def upgrade(*, as_json: Json = False) -> int:
    """Make the database, or bring its tables to the version of this program.

    All steps are one transaction. Every other command does the same when it first opens a database; this one does
    nothing else. Back the database up before. Example: `quledger db backup && quledger db upgrade`.
    """
    url = Settings.read().database_url
    before = upkeep.version_at(url)
    open_database(url).dispose()
    changed = f"upgraded from version {before} to {HEAD}" if before else f"made at version {HEAD}"
    said = f"is at version {HEAD} already" if before == HEAD else changed
    print_output({"before": before, "version": HEAD}, lambda: print(f"the database {said}"), as_json=as_json)
    return 0


def current(*, as_json: Json = False) -> int:
    """Show at which version the database stands, and which one this program needs."""
    found = upkeep.version_at(Settings.read().database_url)
    needed = "" if found == HEAD else f"; this program needs {HEAD}: quledger db upgrade"
    print_output({"version": found, "needed": HEAD}, lambda: print(f"{found or 'none'}{needed}"), as_json=as_json)
    return 0 if found == HEAD else 3


def check(*, as_json: Json = False) -> int:
    """Look whether the database is whole: file, version, tables, triggers; end with code 3 if something differs.

    What the events say is compared by `quledger verify`.
    """
    with _database() as engine:
        faults = upkeep.faults_of(engine)
    lines = [*faults, f"checked at version {HEAD}: {no_or_count_of(len(faults), 'fault')}"]
    print_output({"version": HEAD, "faults": faults}, lambda: print("\n".join(lines)), as_json=as_json)
    return 3 if faults else 0


def backup(folder: Path | None = None, *, keep: int = 0, as_json: Json = False) -> int:
    """Copy the database while it is used, and read the copy back.

    Of SQLite it is a file that can be put in the database's place, of PostgreSQL a dump for `pg_restore`.
    Example: `quledger db backup --keep 14`.

    Args:
        folder: Where the copy is put; by default the folder `backups` in the home.
        keep: Delete all but so many of the newest copies there; 0 deletes none.
    """
    if keep < 0:
        raise BadSetting("say how many copies are kept, from 1 on; 0 keeps all")
    settings = Settings.read()
    where = (folder or settings.folder / BACKUPS).absolute()
    copy = upkeep.back_up(settings.database_url, where, clock.now())
    gone = upkeep.forget_copies(where, keep) if keep else []
    value = {
        "file": str(copy.file),
        "bytes": copy.bytes,
        "events": copy.events,
        "deleted": [str(path) for path in gone],
    }
    holds = "" if copy.events is None else f", {count_of(copy.events, 'event')}"
    deleted = f"; older ones deleted: {len(gone)}" if gone else ""
    said = f"{printable(str(copy.file))}: {copy.bytes / 1e6:,.1f} MB{holds}, read back{deleted}"
    print_output(value, lambda: print(said), as_json=as_json)
    return 0


def shell(
    query: str | None = None,
    *,
    write: Annotated[bool, Parameter(negative="")] = False,
    profile: Annotated[bool, Parameter(negative="")] = False,
    seconds: float = STATEMENT_SECONDS,
    as_json: Json = False,
) -> int:
    """Ask the database in SQL; it changes nothing unless told so.

    Example: `quledger db shell "SELECT state, count(*) FROM job GROUP BY state" --profile`.

    Args:
        query: One statement; without it they are read from standard input, each up to a semicolon at the end of a line.
        write: Let statements change what is no event and guards none. Stop everything else before.
        profile: Say how long each statement took.
        seconds: That a statement may take: one that never ends holds up those who write; 0 for any number.
    """
    if not 0 <= seconds < math.inf:
        raise BadSetting("--seconds: say a number of seconds; 0 is for any number")
    failed = False
    with _database() as engine:
        for statement in _statements() if query is None else [query]:
            try:
                _show(ask(engine, statement, write=write, seconds=seconds), profile=profile, as_json=as_json)
            except BadQuery as error:
                if query is not None:
                    raise
                failed = True
                print(f"quledger: {error}", file=sys.stderr)
    return 2 if failed else 0


@contextlib.contextmanager
def _database() -> Iterator[Engine]:
    """Yield the database as it is, of whatever version."""
    engine = engine_of(Settings.read().database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _statements() -> Iterator[str]:
    """Yield what is typed or piped in, statement by statement."""
    prompts = sys.stdin.isatty()
    lines: list[str] = []
    while True:
        if prompts:
            print("...> " if lines else "sql> ", end="", flush=True)
        line = sys.stdin.readline()
        lines.append(line)
        text = "".join(lines)
        if text.strip(" \t\r\n;") and (not line or sqlite3.complete_statement(text)):
            yield text.strip().rstrip(";")
            lines.clear()
        if not line:
            return


def _show(found: Rows, *, profile: bool, as_json: bool) -> None:
    value = found._asdict() if profile else {name: each for name, each in found._asdict().items() if name != "seconds"}
    print_output(value, lambda: _print(found, profile=profile), as_json=as_json)


def _print(found: Rows, *, profile: bool) -> None:
    if found.columns:
        rows = [[value if isinstance(value, str) else json.dumps(value) for value in row] for row in found.rows]
        show_table(render.console, [Column(name) for name in found.columns], rows)
    more = f", of which the first {MOST_ROWS:,} are shown" if found.more else ""
    took = f", {found.seconds * 1000:.1f} ms" if profile else ""
    print(f"{no_or_count_of(len(found.rows), 'row')}{' and more' if more else ''}{more}{took}")
