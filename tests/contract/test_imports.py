"""What a command may import: the start of a process is most of what a command about one job takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.submissions import Submission
from tasks.jobs.submission import submit_all
from tests.finished import experiment, finish
from tests.program import Program

ROOT = Path(__file__).parents[2]

HEAVY = {
    *("alembic", "asyncpg", "cryptography", "dropbox", "fastapi", "filelock", "fsspec", "httpx", "jinja2"),
    *("numpy", "pandas", "prefect", "psycopg", "pyarrow", "pymongo", "qiskit", "s3fs", "scipy", "stamina", "uvicorn"),
    "sqlalchemy.dialects.postgresql",
}
"""What takes 20 ms and more to import, and what no command about one job or one page needs on SQLite and a folder."""

BEFORE_A_COMMAND = ("--version", "--help")
OF_NO_COMMAND = HEAVY | {"pydantic", "sqlalchemy"}

MAY_IMPORT: dict[str, set[str]] = {
    "list --help": set(),
    "list": set(),
    "list --state done --limit 1000 --json": set(),
    "list --at 1d": set(),
    "status first": set(),
    "history first": set(),
    "why third": set(),
    "result first": set(),
    "result first --plot": set(),
    "result first --csv": {"numpy", "pandas", "pyarrow"},
    "diff first second": set(),
    "verify first": set(),
    "wait first": set(),
    "label first a=b": {"filelock"},
    "group": set(),
    "group g": set(),
    "results --withdrawn": set(),
    "backends": {"numpy", "scipy"},
    "backends history singlequdit": set(),
    "cancel --user ann": set(),
    "retry --state error": set(),
    "pause fermions --reason x": {"filelock"},
    "user list": set(),
    "db current": set(),
    "config": set(),
    "schema": {"numpy", "scipy"},
    "retention --results-days 9": set(),
    "storages": set(),
    "export first --archive {folder}/a.zip --no-programs": set(),
    "export first --jobs {folder}/a.parquet": {"numpy", "pandas", "pyarrow"},
    "rerun first --exact --dry-run": {"numpy", "scipy"},
    "health": {"numpy", "scipy"},
    "sumbit": set(),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory with three jobs of one group, two of which are DONE."""
    home = tmp_path_factory.mktemp("home")
    with Program(home, None).services() as services:
        for job_id in ("first", "second", "third"):
            submit_all(
                services,
                [Submission(backend="singlequdit", document=b"{}", user="ann", job_id=job_id, group="g")],
            )
        finish(services, "first", experiment("a", "0", "1", "0"))
        finish(services, "second", experiment("a", "0", "0", "0"))
    return home


def test_no_command_imports_what_it_does_not_need(home: Path, tmp_path: Path):
    """Each as it is called, in a process that has imported nothing else."""
    commands = {line.format(folder=tmp_path): may for line, may in MAY_IMPORT.items()}
    done = subprocess.run(
        [sys.executable, "-m", "tests.imported_modules"],
        input="\n".join([*BEFORE_A_COMMAND, "", *commands]),
        env={name: value for name, value in os.environ.items() if not name.startswith(("QULEDGER", "PREFECT"))}
        | {"QULEDGER_HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    imported = {line: set(modules) for line, (_, modules) in found.items()}
    may_not = {line: HEAVY - may for line, may in commands.items()} | dict.fromkeys(BEFORE_A_COMMAND, OF_NO_COMMAND)
    assert {line: wrong for line, heavy in may_not.items() if (wrong := imported[line] & heavy)} == {}
    assert {line: code for line, (code, _) in found.items() if code == 2} == {"sumbit": 2}
