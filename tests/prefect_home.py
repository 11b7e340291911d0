"""What our Prefect server leaves in an empty home, made once for each version of Prefect: it takes ten seconds of CPU.

It has made its database, put its own kinds of blocks into it, and noted that it need not look at them again.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
from importlib.metadata import version
from pathlib import Path

import deployments.processes.prefect_server
from deployments.processes.prefect_server import prefect_server
from models.settings import Settings
from tests import forked

KEPT = Path(__file__).parents[1] / ".cache" / f"started-prefect-{version('prefect')}"


def fill(home: Path) -> None:
    """Make a `PREFECT_HOME` that has none one in which a server was started and stopped."""
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.with_name(f"{KEPT.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not KEPT.exists():
            made = KEPT.with_name(f"{KEPT.name}.new")
            shutil.rmtree(made, ignore_errors=True)
            _start_and_stop(made)
            with contextlib.closing(sqlite3.connect(made / "prefect" / "prefect.db")) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (made / "prefect").rename(KEPT)
            shutil.rmtree(made)
    home.mkdir(parents=True, exist_ok=True)
    for part in KEPT.iterdir():
        if part.name.startswith(("prefect.db", "memo_store")):
            shutil.copyfile(part, home / part.name)


def _start_and_stop(home: Path) -> None:
    before = dict(os.environ)
    for name in before:
        if name.startswith(("PREFECT_", "QULEDGER_")):
            del os.environ[name]
    try:
        with forked.forking(deployments.processes.prefect_server), prefect_server(Settings(home=home)):
            pass
    finally:
        os.environ.clear()
        os.environ.update(before)
