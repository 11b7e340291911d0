"""The laboratory as a wheel: all that it needs is in it, and its command works wherever it is called from."""

import email
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.installation import ROOT

PACKAGES = ("flows", "tasks", "models", "storage", "deployments")
NOT_IMPORTED = {"httptools", "psycopg", "uvloop"}
"""Found by name: by uvicorn, and as the driver of a database."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as it is published."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_all_of_the_product_and_nothing_else(wheel: Path) -> None:
    """Modules, templates, migrations, files of deployments; no test, no document, nothing that was made here."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert names == {*listed.split(), "quledger-0.1.0.data/scripts/quledger"}


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own, which has the wheel, and else the packages of this one."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    uv = Path(sys.executable).with_name("uv")
    alone = ["--quiet", "--no-config", "--no-index", "--no-deps", "--python", str(place / "bin" / "python")]
    subprocess.run([uv, "pip", "install", *alone, str(wheel)], check=True)
    (site,) = (place / "lib").glob("python*/site-packages")
    # A line of such a file is a folder that is searched; files like it in that folder are not read.
    (site / "packages.pth").write_text(next(each for each in sys.path if each.endswith("site-packages")))
    return place / "bin" / "quledger"


def test_it_runs_whatever_lies_around(program: Path, tmp_path: Path) -> None:
    """A folder with modules of our names, which PYTHONPATH names too; a home that is not there yet."""
    around = tmp_path / "around"
    (around / "tasks").mkdir(parents=True)
    for name in ("models.py", "storage.py", "flows.py", "deployments.py", "tasks/__init__.py"):
        (around / name).write_text('raise SystemExit("not ours")\n')
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "nobody"), "PYTHONPATH": str(around)}
    environment |= {"QULEDGER_HOME": str(tmp_path / "new" / "home")}

    def said(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], cwd=around, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), arguments
        return done.stdout

    assert said("--version") == "0.1.0\n"
    job = said("submit", "singlequdit", str(ROOT / "examples" / "rabi_oscillation.json")).strip()
    assert json.loads(said("status", job, "--json"))["state"] == "QUEUED"
    assert "no differences" in said("verify")


def test_what_is_imported_is_declared_and_the_other_way_round(wheel: Path) -> None:
    """At run time; optional packages are those of the extra `qubits`, and the page names each with its reason."""
    with zipfile.ZipFile(wheel) as archive:
        about = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(about))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["qubits"]]
    declared = {canonicalize_name(Requirement(each).name) for each in asked}
    needed = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert len(needed) == len(project["dependencies"])
    whose = packages_distributions()
    imported = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for name in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            imported |= {canonicalize_name(each) for each in whose.get(name, []) if name not in PACKAGES}
    page = (ROOT / "docs" / "packaging.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w-]+)` \|", page.partition("## What it needs")[2], re.MULTILINE))
    assert declared - imported == NOT_IMPORTED
    # What a declared package raises or returns is imported from where that has it.
    assert imported - _with_all_they_need(declared) == set()
    assert named == declared


def _with_all_they_need(names: set[str]) -> set[str]:
    """Return packages with those that they need in turn, as they are installed here."""
    found, to_ask = set(names), list(names)
    while to_ask:
        for each in map(Requirement, requires(to_ask.pop()) or []):
            name = canonicalize_name(each.name)
            if name not in found and (each.marker is None or each.marker.evaluate({"extra": ""})):
                found.add(name)
                to_ask.append(name)
    return found
