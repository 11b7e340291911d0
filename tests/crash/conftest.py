"""Prints the crash matrix: what became of each death."""

import pytest

MATRIX: dict[tuple[str, str], str] = {}
"""(crash point, way of dying) -> what the recovery found."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix of this run."""
    if not MATRIX:
        return
    ways = ("kill", "term", "raise")
    terminalreporter.section("crash matrix")
    terminalreporter.write_line(f"{'crash point':<26}" + "".join(f"{way:<24}" for way in ways))
    for point in dict.fromkeys(point for point, _ in MATRIX):
        cells = "".join(f"{MATRIX.get((point, way), '-'):<24}" for way in ways)
        terminalreporter.write_line(f"{point:<26}{cells}")
