"""The notebooks of the docs run as they stand, in an environment that has the client and not the laboratory."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import ROOT, Installation
from tests.waiting import until

FOLDER = ROOT / "docs" / "notebooks"
PYTHON = ROOT / ".venv-notebooks" / "bin" / "python"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
MADE = ROOT / ".cache" / "notebooks"

slow = pytest.mark.skipif(os.environ.get("QULEDGER_TEST_DOCS") != "all", reason="`make docs` runs them")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Path]:
    """The home of a laboratory that is served on this machine."""
    installation = Installation(tmp_path_factory.mktemp("notebooks"), prefect_api)
    programs = [installation.start("serve", "--port", "0"), installation.start("drain")]
    try:
        until(lambda: "/ui (pages)" in programs[0].printed(), 120, told=programs[0].printed)
        yield installation.home
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(60)


@slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name: str, home: Path, tmp_path: Path):
    """No cell fails, and there is a figure."""
    MADE.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "QULEDGER_HOME": str(home),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
    }
    made = MADE / f"{name}.ipynb"
    command = [PYTHON, FOLDER / "execute.py", FOLDER / f"{name}.ipynb", made, MADE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    assert (MADE / f"{name}.png").stat().st_size > 2000
    if name == "ramsey":
        assert float(re.findall(r"contrast (0\.\d+|1\.\d+)", made.read_text("utf-8"))[0]) == pytest.approx(1, abs=0.03)


def test_they_are_kept_without_what_they_have_shown():
    """So a change of one can be read."""
    assert len(NOTEBOOKS) >= 3
    for name in NOTEBOOKS:
        for cell in json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
