"""The program works wherever it is called from: nothing that lies there is imported, read as a setting or changed."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prefect_home
from tests.installation import Installation, experiment

pytestmark = [pytest.mark.slow]

QULEDGER = Path(sys.executable).with_name("quledger")
GOOD = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []])}
NAMES = (
    "deployments",
    "flows",
    "models",
    "storage",
    "tasks",
    "httpx",
    "numpy",
    "pandas",
    "prefect",
    "rich",
    "sqlalchemy",
)
ROOT = Path(__file__).parents[2]
OBEYED = 'raise SystemExit("somebody else\'s module was imported: " + __file__)\n'


class Place:
    """A folder of somebody's who has modules named as ours, and uses Prefect with a database of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "theirs.db"
        self.home = folder / "prefect-home"
        self.home.mkdir(parents=True)
        with sqlite3.connect(self.database) as database:
            database.execute("CREATE TABLE mine (x)")
        for index, name in enumerate(NAMES):
            if index % 2:
                (folder / name).mkdir()
                (folder / name / "__init__.py").write_text(OBEYED)
            else:
                (folder / f"{name}.py").write_text(OBEYED)
        url = f"sqlite+aiosqlite:///{self.database}"
        settings = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url, "PREFECT_API_DATABASE_CONNECTION_URL": url}
        settings |= {"PREFECT_API_KEY": "pnu_theirs", "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false"}
        settings |= {
            "PREFECT_PROFILES_PATH": str(self.home / "profiles.toml"),
            "PREFECT_SERVER_API_BASE_PATH": "/theirs",
        }
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        (folder / "prefect.toml").write_text(f'[server.database]\nconnection_url = "{url}"\n')
        (folder / "pyproject.toml").write_text(f'[tool.prefect.server.database]\nconnection_url = "{url}"\n')
        profile = "".join(f'{name} = "{value}"\n' for name, value in settings.items() if "PROFILES" not in name)
        (self.home / "profiles.toml").write_text(f'active = "theirs"\n[profiles.theirs]\n{profile}')
        self.before = self.state()

    def state(self) -> dict[str, str]:
        """Return the hash of every file in the folder, but for what Python itself writes."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def run(self, installation: Installation, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run the installed program from here to its end."""
        return subprocess.run(
            [QULEDGER, *arguments],
            env=installation.environment | settings,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Such a folder."""
    return Place(tmp_path / "theirs")


def surroundings(place: Place) -> dict[str, str]:
    """Return variables that lead to it, as somebody has them in a shell."""
    return {
        "PYTHONPATH": f"{place.folder}{os.pathsep}",
        "PREFECT_HOME": str(place.home),
        "PREFECT_PROFILES_PATH": str(place.home / "profiles.toml"),
        "PREFECT_PROFILE": "theirs",
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{place.database}",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{place.database}",
        "PREFECT_SERVER_API_BASE_PATH": "/theirs",
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    }


def test_a_drain_obeys_nothing_that_lies_around(tmp_path: Path, place: Place):
    """From a folder of modules and settings named as ours and Prefect's, with a `PYTHONPATH` to it, a job is done.

    Prefect's database is below our own home, and not a byte of the other one has changed.
    """
    installation = Installation(tmp_path, None)
    prefect_home.fill(installation.home / "prefect")
    installation.queue("singlequdit", f"{1:024x}.json", json.dumps(GOOD).encode())
    done = place.run(installation, "drain", "--until-empty", **surroundings(place))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "drained: 1 DONE" in done.stdout
    assert place.state() == place.before
    with sqlite3.connect(installation.home / "prefect" / "prefect.db") as database:
        assert database.execute("SELECT state_type FROM flow_run WHERE name = ?", (f"{1:024x}",)).fetchall() == [
            ("COMPLETED",)
        ]


@pytest.mark.parametrize("command", [("--help",), ("backends",), ("verify",), ("reconcile",)])
def test_every_command_is_ours(tmp_path: Path, place: Place, command: tuple[str, ...]):
    """Whatever the `PYTHONPATH` holds, the program imports its own packages."""
    installation = Installation(tmp_path, None)
    installation.submit("singlequdit", GOOD)
    done = place.run(installation, *command, **surroundings(place))
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.state() == place.before


def test_modules_on_the_path_are_found_after_ours(tmp_path: Path):
    """What only the `PYTHONPATH` has can still be imported, such as a plug-in."""
    (tmp_path / "somebodys_plugin.py").write_text("HERE = True\n")
    (tmp_path / "models.py").write_text(OBEYED)
    code = (
        f"import runpy; runpy.run_path({str(ROOT / 'deployments' / 'launcher.py')!r})['search_ours_first']()\n"
        "import models.job, somebodys_plugin; print(somebodys_plugin.HERE, models.job.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", str(ROOT / "models" / "job.py")]
