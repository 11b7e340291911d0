"""An empty database of Prefect's, made once for all tests of a run: to make one takes it ten seconds of CPU."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

_folders: list[Path] = []


def keep_in(folder: Path) -> None:
    """Say where the database is kept, which all processes of a run share."""
    _folders.append(folder)


def fill(home: Path) -> None:
    """Put an empty database into a `PREFECT_HOME` that has none."""
    kept = _folders[-1] / "empty-prefect"
    with (_folders[-1] / "empty-prefect.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = kept.with_suffix(".new")
            others = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
            subprocess.run(
                [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"],
                env=others | {"PREFECT_HOME": str(made), "DO_NOT_TRACK": "1"},
                check=True,
                capture_output=True,
            )
            made.rename(kept)
    home.mkdir(parents=True, exist_ok=True)
    for part in kept.glob("prefect.db*"):
        shutil.copyfile(part, home / part.name)
