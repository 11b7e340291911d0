"""Prints the crash matrix: what became of each death."""

import pytest

WAYS = ("kill", "term", "raise")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix of this run, from what each test recorded, in whatever process it ran."""
    matrix: dict[tuple[str, str], str] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                if name == "crash":
                    point, way, found = value
                    matrix[point, way] = found if outcome == "passed" else "FAILED"
    if not matrix:
        return
    terminalreporter.section("crash matrix")
    terminalreporter.write_line(f"{'crash point':<26}" + "".join(f"{way:<20}" for way in WAYS))
    for point in sorted({point for point, _ in matrix}):
        cells = "".join(f"{matrix.get((point, way), '-'):<20}" for way in WAYS)
        terminalreporter.write_line(f"{point:<26}{cells}")
