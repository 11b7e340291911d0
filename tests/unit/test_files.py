"""The shape of the code that no linter checks: no two files import each other, and none is long."""

import graphlib
from pathlib import Path

import grimp

from tests import order

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "storage", "tasks", "flows", "deployments")
MAX_LINES = 350


def test_no_file_imports_itself_through_others() -> None:
    """The imports between files, also those inside functions, run in one direction."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=str(ROOT / ".cache" / "import-linter"))
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    assert list(graphlib.TopologicalSorter(imports).static_order())


def test_no_file_is_long() -> None:
    """A file that has grown beyond this holds more than one thing."""
    files = [path for folder in (*PACKAGES, "benchmarks", "clients", "tests") for path in (ROOT / folder).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}

    assert len(lines) > 300
    assert {path: number for path, number in lines.items() if number > MAX_LINES} == {}


def test_long_tests_are_begun_early() -> None:
    """Each of the files exists, and of any selection the longest comes first and a short one last."""
    assert [name for name in order.LONG if not (ROOT / "tests" / name).is_file()] == []
    short = [f"unit/{number}" for number in range(10)]
    assert order.in_order([*short, order.LONG[5], order.LONG[2], *short[:3]]) == [
        order.LONG[2],
        *short[:4],
        order.LONG[5],
        *short[4:],
    ]
    assert order.in_order(short) == short
