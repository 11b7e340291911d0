"""What somebody reads who has taken a wrong step on the first day."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.processes.ports import expect_free
from models.errors import BadSetting
from tasks.backends.qubits import published
from tests.program import Program


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """A laboratory of the first day."""
    return Program(tmp_path / "home", capsys)


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_all_ports_that_are_taken_are_named_with_the_options_that_name_others(taken: int):
    """Another `quledger up` has both."""
    why = f"port {taken} of 127.0.0.1 cannot be listened on (Address already in use); name another one with"
    with pytest.raises(BadSetting) as refused:
        expect_free({"--port": taken, "--free-port": 0, "--api-port": taken})
    assert str(refused.value) == f"{why} --port; {why} --api-port"


def test_a_store_without_jobs_is_not_taken_for_one_that_was_taken_over(program: Program, tmp_path: Path):
    """A path with a slip leads to an empty folder."""
    (tmp_path / "job.json").write_text('{"experiment_0": {"instructions": [], "num_wires": 1, "shots": 1}}')
    said = program.said("adopt")
    assert said.startswith("would be taken over: nothing\nThere are no jobs in file:///")
    assert "no jobs in" not in program.said("adopt", "rydberg")
    program.said("submit", "singlequdit", str(tmp_path / "job.json"), "--no-check")
    program.said("reconcile")
    assert program.said("adopt") == "would be taken over: nothing: the log knows all jobs\n"


def test_a_device_whose_packages_are_missing_is_no_unknown_one(program: Program, monkeypatch: pytest.MonkeyPatch):
    """Without the group `qubits` its names are not listed, and whoever asks for one is told why."""
    monkeypatch.setattr(published, "REQUIRED", ("no_such_module",))
    published._installed.cache_clear()
    try:
        said = program.refused("pause", "noisyqubits")
        assert "no backend is called 'noisyqubits'; there are: singlequdit, multiqudit, fermions, rydberg; " in said
        assert "quledger[qubits] brings it" in said
        assert "Qiskit" not in program.refused("pause", "qubit")
    finally:
        published._installed.cache_clear()
