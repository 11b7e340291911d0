"""Which plug-ins there are is looked up once, and again as soon as something is installed or removed."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.backends import registry


def age(folder: Path, seconds: int) -> None:
    """Let a folder have been changed so long ago."""
    changed = folder.stat().st_mtime - seconds
    os.utime(folder, (changed, changed))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages, which nobody has changed for long, and all others neither."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    age(tmp_path, 3600)
    return tmp_path


def install(site: Path, name: str) -> Path:
    """Install a package that offers a backend of this name, as pip does: first the folder, then what is in it."""
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    assert name not in registry.names()
    (about / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = nowhere:Nothing\n")
    return about


def test_what_is_installed_and_removed_is_seen_at_once(site: Path):
    """Also by a process that has asked before, and in the midst of an installation."""
    assert "machine" not in registry.names()
    about = install(site, "machine")
    assert registry.names()[-1] == "machine"
    age(site, 1800)
    assert registry.names()[-1] == "machine"
    shutil.rmtree(about)
    assert "machine" not in registry.names()


def test_where_nothing_changes_it_is_read_once(site: Path, monkeypatch: pytest.MonkeyPatch):
    """A submission need not read what all packages offer; with a clock that goes wrong it does."""
    install(site, "machine")
    age(site, 1800)
    asked: list[Any] = []
    read = registry.entry_points
    monkeypatch.setattr(registry, "entry_points", lambda **group: asked.append(group) or read(**group))
    assert [registry.names()[-1] for _ in range(3)] == ["machine"] * 3
    assert len(asked) == 1
    age(site, -7200)
    assert [registry.names()[-1] for _ in range(3)] == ["machine"] * 3
    assert len(asked) == 4


def test_a_name_that_no_backend_can_have_is_told_from_one_that_nobody_offers(site: Path):
    """A package of such a name is passed over; who asks for it is told why."""
    install(site, "my-machine")
    assert str(registry.unknown("my-machine")).endswith(
        "a package offers it, but names are of small letters and digits alone"
    )
    assert "package" not in str(registry.unknown("your-machine"))
