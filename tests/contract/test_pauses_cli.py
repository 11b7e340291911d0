"""`quledger pause` and `resume`, as the operator gives them."""

from pathlib import Path

import pytest

from tests.program import Program

EXAMPLE = "examples/rabi_oscillation.json"


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """A laboratory."""
    return Program(tmp_path / "home", capsys)


def test_a_backend_is_paused_and_resumed(program: Program):
    """Everybody who asks reads why; jobs are taken, and say that they wait."""
    assert program.said("pause", "singlequdit", "--reason", "laser alignment") == (
        "singlequdit is paused: laser alignment\n0 of its jobs under way, 0 wait\n"
    )
    code, job, err = program("submit", "singlequdit", EXAMPLE, "--no-check")
    assert (code, err) == (0, "quledger: the job waits, singlequdit is paused: laser alignment\n")
    assert "singlequdit is paused: laser alignment" in program.said("backends")
    (row,) = [each for each in program.json("backends") if each["display_name"] == "singlequdit"]
    assert (row["pause"]["reason"], row["pause"]["until"], row["pending_jobs"]) == ("laser alignment", None, 1)
    shown = program.said("status", job.strip())
    assert "singlequdit is paused: laser alignment" in shown
    assert f"Next: quledger why {job.strip()}" in shown
    assert program.json("resume", "singlequdit") == {"backend": "singlequdit", "was_paused": True}
    assert program.said("resume", "singlequdit") == "singlequdit was not paused\n"
    assert "paused" not in program.said("backends")


def test_a_pause_says_until_when(program: Program):
    """As a time or as a span; also as JSON."""
    assert program.said("pause", "rydberg", "--until", "2999-01-01T00:00+01:00", "--drain-down") == (
        "rydberg is paused until 2998-12-31 23:00:00 UTC\n0 of its jobs under way, 0 wait\n"
    )
    said = program.json("pause", "rydberg", "--until", "2h", "--reason", "a\nb\x1b[31m")
    assert (said["backend"], said["drain_down"], said["reason"]) == ("rydberg", False, "a\\u000ab\\u001b[31m")


def test_what_cannot_be_is_refused(program: Program):
    """Nothing is written then."""
    program.said("db", "upgrade")
    assert "no backend is called 'nosuch'" in program.refused("pause", "nosuch")
    assert "no backend is called 'nosuch'" in program.refused("resume", "nosuch")
    assert "--until: 'soon' is no time" in program.refused("pause", "rydberg", "--until", "soon")
    assert "would be over already" in program.refused("pause", "rydberg", "--until", "2020-01-01T00:00Z")
    assert "paused" not in program.said("backends")
