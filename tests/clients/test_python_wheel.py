"""The Python client as a package of its own: what is in its wheel, what it needs, and how long its import takes."""

import ast
import email
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "clients" / "python"
SOURCE = PACKAGE / "src" / "quledger_client"
MAX_BYTES, MAX_SECONDS = 100_000, 0.15

NOT_ON_WINDOWS = {"fcntl", "grp", "pwd", "resource", "select", "termios", "tty"}

IMPORT = """
import sys, time
begun = time.process_time()
import quledger_client
print(time.process_time() - begun, "httpx" in sys.modules, quledger_client.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as it is published."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PACKAGE, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_is_small_and_needs_httpx_alone(wheel: Path):
    """It holds every module, and the mark that it is typed."""
    assert wheel.stat().st_size < MAX_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = email.message_from_bytes(
            archive.read(next(each for each in names if each.endswith(".dist-info/METADATA")))
        )
    modules = {path.relative_to(SOURCE.parent).as_posix() for path in SOURCE.rglob("*.py")}
    assert modules | {"quledger_client/py.typed"} == {each for each in names if ".dist-info/" not in each}
    needed = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert needed == ["httpx<1,>=0.28"]
    assert {"all", "pandas", "pennylane", "plot", "qiskit"} <= set(metadata.get_all("Provides-Extra", []))


def test_its_import_is_quick(wheel: Path, tmp_path: Path):
    """Seconds of a processor; httpx, which takes longer than all else, is imported with the first request."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    took = []
    for _ in range(3):
        said = subprocess.run(
            [sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        seconds, has_httpx, place = said.stdout.split()
        assert (has_httpx, Path(place).parents[1]) == ("False", tmp_path)
        took.append(float(seconds))
    assert min(took) < MAX_SECONDS


def test_nothing_of_it_is_of_one_system_alone():
    """Windows has none of these modules."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert NOT_ON_WINDOWS.isdisjoint(name.partition(".")[0] for name in names), path.name


@pytest.mark.slow
@pytest.mark.skipif("QULEDGER_TEST_CLIENT_JOBS" not in os.environ, reason="it downloads packages: make clients")
def test_it_works_in_an_environment_of_its_own(wheel: Path, tmp_path: Path):
    """Installed with pandas and matplotlib and without the laboratory, its own tests pass."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for command in (
        ["-m", "pip", "install", "--quiet", f"{wheel}[pandas,plot]", "pytest"],
        ["-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", str(PACKAGE), "tests"],
    ):
        done = subprocess.run(
            [python, *command],
            cwd=PACKAGE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
