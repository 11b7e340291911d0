"""What everything else stands on: the pins, the lock, the Makefile."""

import os
import re
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest
from fastapi import FastAPI
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "tests/peer/requirements.lock"]


def entries(lock: str) -> list[str]:
    """Return the entries of a lock, one line each: the requirement, then its hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pinned(lock: str) -> dict[str, Requirement]:
    """Return what a lock pins, by normalised name."""
    requirements = [Requirement(entry.partition(" --hash")[0]) for entry in entries(lock)]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def test_prefect_server_starts_with_the_locked_fastapi() -> None:
    """Prefect's server application can be built from the versions that are installed."""
    from prefect.server.api.server import create_app  # noqa: PLC0415 - not in every process that collects the tests

    app = create_app(ephemeral=True, ignore_cache=True)

    assert isinstance(app, FastAPI)
    assert {"/api", "/api/health"} & {getattr(route, "path", None) for route in app.routes}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_every_package_by_version_and_hash(lock: str) -> None:
    """Every entry of a lock names one exact version and the sha256 of its files."""
    entry = re.compile(r"[a-z0-9-]+==[^\s;]+( ; [^\\]+?)?( --hash=sha256:[0-9a-f]{64})+")

    assert [line for line in entries(lock) if not entry.fullmatch(line)] == []
    assert len(entries(lock)) > 10


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_index_host_or_path(lock: str) -> None:
    """A lock says what to install and never from where."""
    text = (ROOT / lock).read_text(encoding="utf-8")

    assert (
        re.findall(r"^.*(?:://| @ |-index|--find-links|--trusted-host|file:|\.whl|\.tar).*$", text, re.MULTILINE) == []
    )


def test_lock_satisfies_pyproject() -> None:
    """Whatever pyproject.toml asks for, at run time, to build, test or lint, is in the lock in a version it allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = project["project"]["dependencies"] + project["build-system"]["requires"]
    asked += [line for group in project["project"]["optional-dependencies"].values() for line in group]
    locked = pinned("requirements.lock")

    for wanted in map(Requirement, asked):
        version = next(iter(locked[canonicalize_name(wanted.name)].specifier)).version
        assert wanted.specifier.contains(version), f"{wanted} is locked as {version}: run `make lock`"


TOLD = {
    "nothing": ([], {}),
    "an index of one's own": (
        ["global.index-url='https://user:word@one.example/simple'", "global.cert='/etc/ca.pem'", "global.retries='9'"],
        {
            "UV_DEFAULT_INDEX": "https://user:word@one.example/simple",
            "SSL_CERT_FILE": "/etc/ca.pem",
            "UV_HTTP_RETRIES": "9",
        },
    ),
    "what is said last": (
        [":env:.index-url='three'", "global.index-url='one'", "install.index-url='two'"],
        {"UV_DEFAULT_INDEX": "three"},
    ),
    "several": (
        [r"global.extra-index-url='\none\ntwo'", "install.find-links='/a /b'", "wheel.no-deps='true'"],
        {"UV_INDEX": "one two", "UV_FIND_LINKS": "/a,/b"},
    ),
    "how pip speaks": (["global.no-color='true'", ":env:.cache-dir='/tmp/x'"], {}),
    "what uv has no word for": (["global.prefer-binary='true'", "global.index-url='one'"], None),
    "what is no setting": (["half a line"], None),
}


@pytest.mark.parametrize("given", TOLD)
def test_uv_is_told_what_pip_is_set_to(given: str) -> None:
    """What `pip config list` says of where packages are reaches uv in full; otherwise pip is left to do it."""
    settings, expected = TOLD[given]

    told = runpy.run_path(str(ROOT / ".ci" / "packages.py"))["told_by"](settings)

    assert told == (None if expected is None else expected | {"UV_SYSTEM_CERTS": "1"})


def test_make_lists_every_target() -> None:
    """Plain `make` prints one line for each target that can be made, and nothing else."""
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    printed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout

    listed = [re.fullmatch(r"make (\S+) +\S.*", line) for line in printed.splitlines()]
    assert [match and match[1] for match in listed] == " ".join(phony).split()
