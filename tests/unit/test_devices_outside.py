"""A qubit device that is described as one that an engine outside serves."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import BadSetting, JobRejected
from tasks.backends import registry
from tasks.backends.qubits import published
from tests.unit.test_qubits_device import SMALL

PROGRAM = 'OPENQASM 3; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what describes a device of a name, with some fields changed."""
    monkeypatch.setenv("QULEDGER_DEVICES", str(tmp_path))

    def describe(name: str, **changes: Any) -> str:
        (tmp_path / f"{name}.json").write_text(json.dumps(SMALL | {"simulator": "none"} | changes))
        return name

    return describe


def test_it_is_published_as_a_machine_that_no_drain_serves(described: Any):
    """And one that is simulated is not."""
    name, other = described("kawasaki"), described("osaka", simulator="noisy")
    config = published.load(name).config
    assert (config.simulator, config.max_experiments, config.num_wires) == (False, 1, 3)
    assert config.description == "The qubit device small, run by an engine of its own. It runs OpenQASM 3."
    assert [registry.served_outside(each) for each in (name, other, "qubits", "rydberg", "nope")] == [True] + 4 * [
        False
    ]
    assert not published.is_handed_out_on_list(name)
    described("kawasaki", jobs="on_list")
    assert published.is_handed_out_on_list(name)
    assert name in registry.names()


def test_a_description_that_cannot_be_read_is_of_nothing_that_is_served(tmp_path: Path, described: Any):
    """It is said when the device is loaded."""
    described("kawasaki")
    for text in ("{", "[]", "[" * 100_000, "\0"):
        (tmp_path / "kawasaki.json").write_text(text)
        assert not registry.served_outside("kawasaki")
        with pytest.raises(BadSetting):
            published.load("kawasaki")
        assert "the device kawasaki" in registry.why_run_here("kawasaki")
    described("kawasaki")
    assert registry.why_run_here("kawasaki") == ""
    described("kawasaki", simulator="engine")
    with pytest.raises(BadSetting, match="it must be ideal, noisy, none"):
        published.load("kawasaki")
    described("kawasaki", jobs="always")
    with pytest.raises(BadSetting, match="it must be on_claim or on_list"):
        published.load("kawasaki")


def test_documents_are_checked_and_nothing_runs(described: Any):
    """One experiment a job, whatever it would cost to simulate; no exact state of a machine."""
    device = published.load(described("kawasaki", n_qubits=60, couplings="line 0-1-...-59"))
    wide = PROGRAM.replace("[2]", "[50]")
    one = {"program": wide, "shots": 1_000_000}
    assert len(device.validate({"experiment_0": one})) == 1
    assert len(device.validate(one | {"job_type": "sampling"})) == 1
    for document, why in (
        ({"experiment_0": one, "experiment_1": one}, "one in a job"),
        ({"experiment_0": one | {"method": "state_vector"}}, "no single final state"),
        ({"experiment_0": one | {"program": PROGRAM.replace("[2]", "[61]")}}, "too many qubits"),
    ):
        with pytest.raises(JobRejected, match=why):
            device.validate(document)
    with pytest.raises(TypeError, match="an engine outside"):
        device.compile((), 1)
    with pytest.raises(TypeError, match="an engine outside"):
        device.execute({})


def test_what_is_left_out_of_the_folder_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A folder that is not there, and files whose names no device can have."""
    published._warn.cache_clear()
    monkeypatch.setenv("QULEDGER_DEVICES", str(tmp_path / "devicez"))
    assert [published.names(), published.names()] == [["qubits", "noisyqubits"]] * 2
    (tmp_path / "Kawasaki.json").write_text("{}")
    (tmp_path / "qubits.json").write_text("{}")
    monkeypatch.setenv("QULEDGER_DEVICES", str(tmp_path))
    assert [published.names(), published.names()] == [["qubits", "noisyqubits"]] * 2
    why = "is no device: names are of small letters and digits, and none of ours"
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "QULEDGER_DEVICES names no folder that is there, so none of its devices is served",
        f"'Kawasaki.json' {why}",
        f"'qubits.json' {why}",
    ]
