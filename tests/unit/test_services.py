"""What is wired once is handed on: nobody below a flow or a command asks for it, and nobody changes it."""

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.settings import Settings
from tasks.services import Services

ROOT = Path(__file__).resolve().parents[2]
WHERE_SOMETHING_BEGINS = {"flows", "deployments/cli", "deployments/processes"}
"""Folders, without those below them."""


def users_of_current() -> Iterator[tuple[Path, ast.Module]]:
    """Yield the modules of the product that name `tasks.services.current`."""
    for package in ("models", "storage", "tasks", "flows", "deployments"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                match node:
                    case ast.ImportFrom(module="tasks.services", names=names):
                        found = any(alias.name in {"current", "*"} for alias in names)
                    case ast.Attribute(value=ast.Name(id="services"), attr="current"):
                        found = True
                    case _:
                        found = False
                if found:
                    yield path.relative_to(ROOT), tree
                    break


def test_services_are_asked_for_only_where_something_begins():
    """Below flows and commands they are an argument: what a function needs can be read from its head."""
    using = [path for path, _ in users_of_current()]
    assert {"flows/run_job.py", "flows/drain_queue.py"} <= {path.as_posix() for path in using}
    assert [path for path in using if path.parent.as_posix() not in WHERE_SOMETHING_BEGINS] == []


def test_in_flows_they_are_asked_for_by_the_flow_itself():
    """A helper beside the flow gets them from it."""
    elsewhere = []
    for path, tree in users_of_current():
        if path.parts[0] != "flows":
            continue
        calls = {node.lineno for node in ast.walk(tree) if _is_call_of(node, "current")}
        for function in tree.body:
            if isinstance(function, ast.AsyncFunctionDef) and any(
                _is_call_of(decorator, "flow") for decorator in function.decorator_list
            ):
                calls -= {node.lineno for node in ast.walk(function) if _is_call_of(node, "current")}
        elsewhere += [f"{path}:{line}" for line in calls]
    assert elsewhere == []


def _is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def test_services_do_not_change(tmp_path: Path):
    """Whoever was handed them may rely on them for as long as the process lives."""
    services = Services(Settings(home=tmp_path))
    for field in dataclasses.fields(services):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(services, field.name, None)


def test_jobs_may_not_read_what_the_settings_name(tmp_path: Path):
    """Home, folders of storages and the file of the log, by the names that they have on the disk."""
    settings = Settings(
        home=tmp_path / "home",
        storage=f'{{"a": "{(tmp_path / "a 1").as_uri()}", "b": "s3://bucket/b"}}',
        database=f"sqlite:///{tmp_path}/log%20book.db",
    )
    hidden = Services(settings).sandbox._hidden
    assert hidden[:3] == tuple(f"{tmp_path}/{name}" for name in ("home", "a 1", "log book.db"))
    assert not any("bucket" in path for path in hidden)
