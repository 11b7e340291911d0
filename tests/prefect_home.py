"""An empty database of Prefect's, made once for each of its versions: to make one takes it ten seconds of CPU."""

import fcntl
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

KEPT = Path(__file__).parents[1] / ".cache" / f"empty-prefect-{version('prefect')}"


def fill(home: Path) -> None:
    """Put an empty database into a `PREFECT_HOME` that has none."""
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.with_name(f"{KEPT.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not KEPT.exists():
            made = KEPT.with_name(f"{KEPT.name}.new")
            shutil.rmtree(made, ignore_errors=True)
            others = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
            subprocess.run(
                [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"],
                env=others | {"PREFECT_HOME": str(made), "DO_NOT_TRACK": "1"},
                check=True,
                capture_output=True,
            )
            made.rename(KEPT)
    home.mkdir(parents=True, exist_ok=True)
    for part in KEPT.glob("prefect.db*"):
        shutil.copyfile(part, home / part.name)
