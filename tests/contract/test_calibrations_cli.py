"""The commands about calibrations, as an operator gives them, and what the front door answers."""

from pathlib import Path

import pytest

from models.calibrations import version_of
from tests.program import Program
from tests.unit.sandbox_fakes import CONFIG

ONE, OTHER = (version_of(CONFIG, {"readout": error}) for error in (0.01, 0.02))


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """A laboratory in which a backend had two calibrations."""
    program = Program(tmp_path / "home", capsys)
    with program.services() as services:
        for version in (ONE, OTHER):
            services.calibrations.publish("fake", version)
    return program


def test_versions_are_listed_shown_and_withdrawn(program: Program):
    """By the beginning of a hash; the reason is shown wherever the version is."""
    first, second = program.json("backends", "history", "fake")
    assert (first["sha256"], first["until"], second["until"]) == (ONE.sha256, second["since"], None)
    shown = program.json("backends", "show", ONE.sha256[:8])
    assert (shown["backend"], shown["content"]["calibration"]) == ("fake", {"readout": 0.01})
    said = program.json("backends", "withdraw", ONE.sha256[:8], "--reason", "laser off")
    assert (said["sha256"], said["reason"], said["results"]) == (ONE.sha256, "laser off", 0)
    assert program.json("backends", "history", "fake")[0]["reason"] == "laser off"
    assert "laser off" in program.said("backends", "history", "fake")
    assert program.json("results", "--withdrawn") == []
    again = program.json("backends", "reinstate", ONE.sha256[:8], "--reason", "it was on")
    assert (again["sha256"], again["withdrawn_at"], again["reason"]) == (ONE.sha256, None, "")
    assert "laser off" not in program.said("backends", "history", "fake")
    assert "was not withdrawn" in program.refused("backends", "reinstate", ONE.sha256, "--reason", "it was on")
    assert program.said("results", "--standing-on", ONE.sha256) == "There are no such results.\n"
    assert program.said("backends", "show", ONE.sha256) == f"{ONE.text}\n"
    assert program.said("backends", "history", "rydberg").startswith("Nothing was recorded")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (("results",), "say either --standing-on HASH or --withdrawn"),
        (("results", "--withdrawn", "--standing-on", "abcd"), "say either"),
        (("results", "--withdrawn", "--limit", "0"), "the limit is a number"),
        (("results", "--standing-on", "feedbeef"), "no calibration has the hash"),
        (("backends", "withdraw", "ab", "--reason", "x"), "no calibration has the hash"),
        (("backends", "withdraw", ONE.sha256, "--reason", "x" * 501), "the reason has 1 to 500 characters that"),
        (("backends", "reinstate", ONE.sha256, "--reason", "\x07"), "the reason has 1 to 500 characters that"),
        (("backends", "reinstate", "feedbeef", "--reason", "x"), "no calibration has the hash"),
        (("backends", "history", "nosuch"), "no backend is called"),
        (("backends", "history", "../x"), "no backend is called"),
    ],
)
def test_what_cannot_be_asked_is_said(program: Program, call: tuple[str, ...], why: str):
    """With code 2, in one line."""
    assert why in program.refused(*call)
