"""A drain says what it waits for before its first job."""

import io

import pytest
from rich.console import Console

from deployments.processes import drain
from tests.waiting import until


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "Waiting for the embedded Prefect server to start (some 15 s) ...\n"),
        ("http://127.0.0.1:4200/api", "Waiting for Prefect to answer ...\n"),
    ],
)
def test_who_has_no_terminal_is_told_too(given: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a line, if it takes long; a log would keep one that is said each time."""
    monkeypatch.setenv("PREFECT_API_URL", given)
    monkeypatch.setattr(drain, "PATIENCE", 0.0)
    written = io.StringIO()
    with drain._waiting(Console(file=written, width=200)):
        until(lambda: written.getvalue() == said)
    monkeypatch.setattr(drain, "PATIENCE", 600.0)
    with drain._waiting(Console(file=written, width=200)):
        pass
    assert written.getvalue() == said
