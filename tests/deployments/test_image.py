"""The Dockerfile: what can be known about the image without an engine."""

import re
import tomllib

from packaging.utils import canonicalize_name

from deployments.image.strip_dev_packages import packages_needed
from tests.deployments.files import FOLDER, OURS, ROOT, SECRET, in_image, pods


def dockerfile() -> list[list[str]]:
    """Return the instructions of the Dockerfile, each as its words."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line.split() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_what_the_image_copies_exists_and_is_let_in():
    """Each source of a COPY is in the repository and not ignored; what the program needs is copied."""
    copied = [line for line in dockerfile() if line[0] == "COPY" and not line[1].startswith("--from")]
    sources = {source.rstrip("/") for line in copied for source in line[1:-1]}
    for source in sources:
        assert (ROOT / source).exists()
        assert in_image(source)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*packages["packages"], "prefect.yaml", "requirements.lock"} <= sources
    for path in (".git/config", "tests/conftest.py", ".venv/x", "deployments/.env", "models/__pycache__/x.pyc", ".env"):
        assert not in_image(path), path
    assert in_image("deployments/prefect-server.env")
    assert not [line for line in dockerfile() if line[0] == "ADD"]


def test_the_image_is_made_of_the_lock_and_runs_as_nobody_special():
    """Hashes are demanded, no package is built, the last USER is a number that is not 0, no secret is an argument."""
    lines = [" ".join(line) for line in dockerfile()]
    install = next(line for line in lines if "requirements.lock" in line and line.startswith("RUN"))
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(install.split())
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    assert [line for line in last_stage if line.startswith("USER")] == ["USER 10001:10001"]
    assert not [line for line in lines if line.startswith(("ARG", "ENV")) and SECRET.search(line)]
    assert {pod["securityContext"]["runAsUser"] for role, pod in pods().items() if role in OURS} == {10001}
    python = next(line for line in lines if line.startswith("ARG PYTHON="))
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python.removeprefix("ARG PYTHON=") == required.removeprefix(">=")


def test_the_image_keeps_what_runs_and_nothing_else():
    """What is pruned is what only the tests, the linters and the build need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    kept = packages_needed()
    names = [re.split(r"[\[<>=~! ]", line)[0] for line in project["dependencies"]]
    assert {canonicalize_name(name) for name in names} <= kept
    assert {"asyncpg", "uvicorn", "sqlalchemy", "aiobotocore"} <= kept  # through others, one by an extra
    extras = {
        canonicalize_name(re.split(r"[\[<>=~! ]", line)[0])
        for group in ("lint", "build")
        for line in project["optional-dependencies"][group]
    }
    assert not extras & kept
    assert not {"pytest", "hypothesis", "mypy", "ruff", "uv"} & kept
