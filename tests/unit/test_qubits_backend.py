"""What comes out of programs for qubits, against amplitudes computed here."""

import asyncio
import json
import subprocess
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import BadSetting, JobRejected
from tasks.backends.qubits import running
from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import DEFAULT, Device
from tasks.backends.registry import load, names, needs
from tasks.sandbox.job_process import Sandbox
from tasks.sandbox.rlimits import Limits as SandboxLimits
from tests.unit.openqasm_programs import HEAD2, HEAD3

ROOT = Path(__file__).parents[2]
BELL = HEAD3 + "qubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n"
TRIANGLE = Device.read(
    json.dumps(
        {
            "device_id": "triangle",
            "n_qubits": 3,
            "couplings": [[0, 1], [1, 2]],
            "basis_gates": ["cx", "rz", "sx", "x"],
            "readout": [{"qubit": q, "prob_meas1_prep0": 0.02, "prob_meas0_prep1": 0.08} for q in range(3)],
            "gate_errors": [{"gate": "cx", "error": 0.01}],
        }
    )
)


def run(document: Any, name: str = "qubits", seed: int = 1, backend: Any = None) -> list[dict[str, Any]]:
    """Take a document through all three steps and return `data` of each experiment."""
    backend = backend or load(name)
    program = backend.compile(backend.validate(document), seed)
    assert json.loads(json.dumps(program)) == program
    return [json.loads(json.dumps(result))["data"] for result in backend.execute(program)]


def one(program: str, shots: int = 4000, **options: Any) -> dict[str, Any]:
    """Run one program with a fixed seed and return its `data`."""
    return run({"program": program, "shots": shots, "seed": 5, **options})[0]


def faults(document: Any, backend: Any = None) -> list[str]:
    """Return why a document is refused, wherever that is found."""
    with pytest.raises(JobRejected) as caught:
        run(document, backend=backend)
    return [str(fault) for fault in caught.value.faults]


def distance(counts: dict[str, float], exact: dict[str, float]) -> float:
    """Return the total-variation distance of counts from a distribution."""
    shots = sum(counts.values())
    return sum(abs(counts.get(key, 0) / shots - exact.get(key, 0)) for key in {*counts, *exact}) / 2


def ry(angle: float) -> Any:
    """Return the matrix of a rotation about y."""
    half = angle / 2
    return np.array([[np.cos(half), -np.sin(half)], [np.sin(half), np.cos(half)]])


def test_the_distribution_is_that_of_the_amplitudes():
    """Rotations by different angles on five qubits give the product of their probabilities."""
    angles = [0.3, 1.1, 1.9, 2.4, 0.8]
    turns = "".join(f"ry({angle}) q[{qubit}];\n" for qubit, angle in enumerate(angles))
    state = reduce(np.kron, [ry(angle)[:, 0] for angle in reversed(angles)])
    exact = {format(number, "05b"): float(a**2) for number, a in enumerate(state)}
    data = one(HEAD3 + "qubit[5] q;\nbit[5] c;\n" + turns + "c = measure q;\n", 100_000)
    assert distance(data["counts"], exact) < 0.015
    assert sum(data["counts"].values()) == 100_000


def test_bits_stand_where_they_were_declared():
    """Classical bit 0 is rightmost, and the register that was declared last is leftmost, in counts and memory."""
    program = HEAD3 + "qubit[3] q;\nbit[2] a;\nbit b;\nx q[0];\nx q[2];\na[1] = measure q[0];\nb = measure q[1];\n"
    data = one(program, 10)
    assert data["counts"] == {"010": 10}
    assert data["memory"] == ["010"] * 10


def test_memory_and_counts_are_the_same_outcomes():
    """The memory holds each outcome as often as it is counted; without a memory the counts are the same."""
    data = one(BELL, 1000)
    assert {bits: data["memory"].count(bits) for bits in set(data["memory"])} == data["counts"]
    assert one(BELL, 1000, memory=False) | {"memory": data["memory"]} == data
    assert one(BELL, 1000, memory=False)["memory"] == []


@pytest.mark.parametrize(
    ("program", "exact"),
    [
        (
            "qubit q;\nbit[2] c;\nh q;\nc[0] = measure q;\nreset q;\nx q;\nc[1] = measure q;\n",
            {"10": 0.5, "11": 0.5},
        ),
        (
            (
                "qubit[2] q;\nbit[2] c;\nry(pi/3) q[0];\nc[0] = measure q[0];\n"
                "if (c[0]) { x q[1]; }\nc[1] = measure q[1];\n"
            ),
            {"00": 0.75, "11": 0.25},
        ),
        ("qubit[3] q;\nbit[3] c;\nfor int i in [0:2] { x q[i]; }\nc = measure q;\n", {"111": 1.0}),
        ("qubit q;\nbit c;\nh q;\nc = measure q;\nwhile (c) { h q; c = measure q; }\n", {"0": 1.0}),
        ("qubit q;\nbit c;\nwhile (!c) { h q; c = measure q; }\n", {"1": 1.0}),
        ("qubit q;\nbit c;\nh q;\nc = measure q;\nif (c) { } else { }\nc = measure q;\n", {"0": 0.5, "1": 0.5}),
        (
            (
                "qubit[3] q;\nbit[2] c;\nbit d;\nh q[0];\nh q[1];\nc[0] = measure q[0];\nc[1] = measure q[1];\n"
                "if (c[0]) { if (c[1]) { x q[2]; } }\nd = measure q[2];\n"
            ),
            {"000": 0.25, "001": 0.25, "010": 0.25, "111": 0.25},
        ),
    ],
    ids=["reset", "if", "for", "while", "while at the end", "if of nothing", "if in if"],
)
def test_what_outcomes_decide_is_run_shot_by_shot(program: str, exact: dict[str, float]):
    """Resets, branches and loops give the distribution that follows from the outcomes on the way."""
    assert distance(one(HEAD3 + program)["counts"], exact) < 0.03


def test_openqasm_2_has_its_gates():
    """The include of OpenQASM 2 brings the gates that everybody uses, swap and cswap among them."""
    program = (
        HEAD2 + "qreg q[3];\ncreg c[3];\nx q[0];\nx q[1];\ncswap q[0], q[1], q[2];\nswap q[0], q[1];\nmeasure q -> c;\n"
    )
    assert one(program, 7)["counts"] == {"110": 7}


def test_programs_run_side_by_side():
    """Several programs share the device; each gets counts of its own, and together they are the joint ones."""
    other = HEAD3 + "qubit[2] q;\nbit c;\nx q[1];\nc = measure q[1];\n"
    data = run({"program": [BELL, other], "job_type": "multi_manual", "shots": 1000, "seed": 3})[0]
    assert set(data["counts"]) == {"100", "111"}
    assert data["divided_counts"]["1"] == {"1": 1000}
    assert data["divided_counts"]["0"] == {bits[1:]: count for bits, count in data["counts"].items()}


def test_expectation_values_are_those_of_the_state():
    """Products of Paulis on a Bell pair: sampled within five standard errors, and exact from the state vector."""
    operator = [
        {"pauli": "X 0 X 1", "coeff": 1.5},
        {"pauli": "Y 0 Y 1", "coeff": 0.5},
        {"pauli": "Z 0", "coeff": 2.0},
        {"pauli": "I", "coeff": 0.25},
    ]
    document = {"program": BELL, "job_type": "estimation", "operator": operator, "shots": 4000, "seed": 2}
    sampled, exact = run(document)[0], run(document | {"method": "state_vector"})[0]
    assert exact["exp_value"] == pytest.approx(1.5 - 0.5 + 0.25, abs=1e-9)
    assert exact["stds"] == 0
    assert 0 < sampled["stds"] < 0.05
    assert abs(sampled["exp_value"] - exact["exp_value"]) < 5 * sampled["stds"]
    assert all(sum(group["counts"].values()) == 4000 for group in sampled["groups"])


def test_estimation_follows_the_layout():
    """Each factor is measured where routing has left its qubit."""
    program = HEAD3 + "qubit[4] q;\nx q[0];\nry(0.7) q[3];\ncx q[0], q[3];\ncx q[1], q[2];\n"
    operator = [{"pauli": f"Z {qubit}", "coeff": 10.0**qubit} for qubit in range(4)]
    document = {
        "program": program,
        "job_type": "estimation",
        "operator": operator,
        "shots": 10,
        "method": "state_vector",
    }
    exact = -1 + 10 + 100 - 1000 * np.cos(0.7)
    for layout in ([0, 1, 2, 3], [11, 0, 5, 3]):
        (data,) = run(document | {"qubit_allocation": {str(place): qubit for place, qubit in enumerate(layout)}})
        assert data["exp_value"] == pytest.approx(exact, abs=1e-6)
        assert data["transpiled"]["layout"] == layout


def test_readout_is_mitigated_on_physical_qubits():
    """Both methods bring a GHZ state that was read with errors, in reverse order, near to what it is."""
    ghz = HEAD3 + "qubit[6] q;\nbit[6] c;\nh q[0];\n" + "".join(f"cx q[{k}], q[{k + 1}];\n" for k in range(5))
    allocation = {str(qubit): 11 - qubit for qubit in range(6)}
    document = {"program": ghz + "c = measure q;\n", "shots": 20_000, "seed": 4, "qubit_allocation": allocation}
    exact = {"000000": 0.5, "111111": 0.5}
    for method in ("pseudo_inverse", "least_square"):
        (data,) = run(document | {"ro_error_mitigation": method}, "noisyqubits")
        assert distance(data["counts"], exact) > 0.1
        assert distance(data["mitigated"], exact) < 0.03
        assert sum(data["mitigated"].values()) == pytest.approx(20_000)
        assert sum(data["counts"].values()) == 20_000


def test_a_perfect_device_needs_no_mitigation():
    """Without errors the mitigated counts are the counts."""
    data = one(BELL, ro_error_mitigation="pseudo_inverse")
    assert data["mitigated"] == pytest.approx(data["counts"])


def test_gate_errors_show_only_on_a_noisy_device():
    """A chain of perfect gates gives one outcome; with gate errors others appear."""
    program = HEAD3 + "qubit[2] q;\nbit[2] c;\n" + "cx q[0], q[1];\n" * 40 + "c = measure q;\n"
    document = {"program": program, "shots": 500, "seed": 1, "skip_transpilation": True}
    assert run(document, backend=Qubits("a", TRIANGLE, noisy=False))[0]["counts"] == {"00": 500}
    assert len(run(document, backend=Qubits("a", TRIANGLE, noisy=True))[0]["counts"]) > 2


def test_what_is_transpiled_runs_on_the_device():
    """The text that ran has only gates of the device, on pairs that are coupled."""
    program = HEAD3 + "qubit[5] q;\nbit[5] c;\nh q[0];\n" + "".join(f"cx q[0], q[{k}];\n" for k in range(1, 5))
    data = one(program + "c = measure q;\n")
    assert set(data["transpiled"]["operations"]) <= {*DEFAULT.basis_gates, "measure"}
    pairs = [line[3:-1].split(", ") for line in data["transpiled"]["program"].splitlines() if line.startswith("cx")]
    assert all(abs(int(one[1:]) - int(two[1:])) == 1 for one, two in pairs)
    assert data["transpiled"]["two_qubit_gates"] == len(pairs)


def test_a_reset_of_an_untouched_qubit_does_nothing():
    """The circuit has one final state and runs once, whatever the shots; on physical qubits it stays where it is."""
    program = "qubit[2] q;\nbit[2] c;\nreset q;\nbarrier q;\nh q[0];\nreset q[1];\ncx q[0], q[1];\nc = measure q;\n"
    for options in ({}, {"skip_transpilation": True}, {"optimization_level": 0}):
        assert distance(one(HEAD3 + program, 10**6, memory=False, **options)["counts"], {"00": 0.5, "11": 0.5}) < 0.01
    exact = {"job_type": "estimation", "operator": [{"pauli": "X 0 X 1", "coeff": 1}], "method": "state_vector"}
    assert one(HEAD3 + program, 1, **exact)["exp_value"] == pytest.approx(1)
    data = one(HEAD3 + "bit c;\nreset $3;\nx $3;\nc = measure $3;\n", 10)
    assert (data["counts"], data["transpiled"]["final_layout"][3]) == ({"1": 10}, 3)
    assert "$3" in data["transpiled"]["program"]
    assert one(HEAD3 + "qubit q;\nbit c;\nreset q;\nx q;\nreset q;\nc = measure q;\n", 10)["counts"] == {"0": 10}


def test_a_qubit_that_nothing_touches_costs_nothing():
    """Such as those of a whole device that a circuit was placed on; shots of two qubits may be many."""
    bell = "bit[2] c;\nrz(pi/2) $3;\nsx $3;\nrz(pi/2) $3;\ncx $3, $11;\nc[0] = measure $3;\nc[1] = measure $11;\n"
    device = Device.model_validate(DEFAULT.model_dump() | {"couplings": ((3, 11),)})
    noisy = Qubits("line", device, noisy=True)
    document = {"program": HEAD3 + bell, "shots": 5 * 10**5, "skip_transpilation": True}
    assert noisy.predicted_cost(noisy.validate(document)) < 5e9
    assert noisy.predicted_cost(noisy.validate(document | {"shots": 10**5, "skip_transpilation": False})) < 5e9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"program": HEAD3 + "qubit[13] q;\nbit c;\nc = measure q[0];\n"}, "the device has 12"),
        ({"program": HEAD3 + "qubit[2] q;\nbit[2] c;\nh q[0];\n"}, "measures nothing"),
        ({"qubit_allocation": {"0": 1}}, "2 qubits"),
        ({"n_qubits": 1}, "2 qubits"),
        ({"program": [BELL] * 7, "job_type": "multi_manual"}, "have 14, the device has 12"),
        ({"job_type": "estimation", "operator": [{"pauli": "X 2", "coeff": 1}]}, "operator[0]"),
        (
            {"program": HEAD3 + "qubit q;\nbit c;\nh q;\nreset q;\nc = measure q;\n", "method": "state_vector"},
            "no single final state",
        ),
        (
            {"program": HEAD3 + "qubit q;\nbit c;\nc = measure q;\nh q;\nc = measure q;\n", "shots": 10**7},
            "for each shot",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], words: str):
    """A program that does not fit its device, options or limits is refused with the reason."""
    assert any(words in fault for fault in faults({"program": BELL, "shots": 10, **options}))


def test_every_fault_has_its_place():
    """One bad statement does not hide the next: each has experiment, program, line and column."""
    bad = HEAD3 + "qubit[2] q;\nbit[2] c;\nfoo q[0];\nx q[7];\ncx q[0];\nrx(1/0) q[0];\nc = measure r;\n"
    found = faults({"experiment_0": {"program": BELL, "shots": 0}, "experiment_1": {"program": bad, "shots": 1}})
    assert [fault.split(":")[0] for fault in found] == ["experiment_0, shots"]
    found = faults({"experiment_0": {"program": BELL, "shots": 1}, "experiment_1": {"program": bad, "shots": 1}})
    places = [fault.split(": ")[1] for fault in found]
    assert places == [f"line {line}, column {column}" for line, column in [(5, 1), (6, 5), (7, 1), (8, 1), (9, 13)]]
    assert all(fault.startswith("experiment_1, program: ") for fault in found)


@pytest.mark.slow
def test_an_endless_loop_is_stopped(monkeypatch: pytest.MonkeyPatch):
    """A while loop that never ends at run time costs seconds, and the reason is said."""
    monkeypatch.setattr(running, "WHILE_SECONDS", 1)
    program = HEAD3 + "qubit q;\nbit c;\nx q;\nc = measure q;\nwhile (c) { c = measure q; }\n"
    assert "did not end within 1 s" in faults({"program": program, "shots": 10})[0]


def test_the_compiled_text_is_what_runs():
    """Another process, which has nothing but the program of the compilation, gets the same outcomes from its text."""
    loose = (
        HEAD3
        + "qubit[3] q;\nbit a;\nbit[2] c;\nbit b;\nx q[0];\na = measure q[0];\nif (a) { x q[2]; }\nb = measure q[2];\n"
    )
    document = {f"experiment_{n}": {"program": text, "shots": 300, "seed": 9} for n, text in enumerate([BELL, loose])}
    backend = load("qubits")
    program = json.loads(json.dumps(backend.compile(backend.validate(document), 1)))
    first = list(Qubits("qubits", DEFAULT, noisy=False).execute(program))
    assert first[1]["data"]["counts"] == {"1001": 300}
    assert first == list(backend.execute(program))


def test_devices_in_a_folder_are_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each description in the folder of devices is a backend of its file's name; a bad one says what is wrong."""
    (tmp_path / "triangle.json").write_text(TRIANGLE.model_dump_json())
    (tmp_path / "bad.json").write_text('{"device_id": "bad", "n_qubits": 0}')
    (tmp_path / "No-Name.json").write_text("{}")
    monkeypatch.setenv("QULEDGER_DEVICES", str(tmp_path))
    assert {"qubits", "noisyqubits", "triangle", "bad"} <= set(names())
    assert "No-Name" not in names()
    backend = load("triangle")
    assert backend.config.num_wires == 3
    assert "with its gate and readout errors" in backend.config.description
    assert "with its readout errors" in load("noisyqubits").config.description
    assert needs("triangle")
    assert needs("rydberg") == ()
    with pytest.raises(BadSetting, match=r"bad.*n_qubits"):
        load("bad")


@pytest.mark.slow
def test_a_job_finds_all_that_it_needs_imported(capfd: pytest.CaptureFixture[str]):
    """The fork server of these backends can import what they need, and its children run a job after that."""

    async def run() -> dict[str, Any]:
        document = json.dumps({"experiment_0": {"program": BELL, "shots": 20}}).encode()
        limits = SandboxLimits(cpu_seconds=60, wall_seconds=60)
        async with Sandbox() as sandbox, sandbox.job("qubits", document, job_id="j", limits=limits) as job:
            return await job.call("execute", seed=1)

    (result,) = json.loads(asyncio.run(run())["document"])["results"]
    assert sum(result["data"]["counts"].values()) == 20
    assert "cannot preload" not in capfd.readouterr().err


@pytest.mark.slow
def test_others_do_not_import_qiskit():
    """Listing all backends, loading those of others and printing the help import nothing of Qiskit."""
    code = (
        "import sys; from tasks.backends import registry as backends; import deployments.cli.app, flows.run_job\n"
        "[backends.load(name) for name in backends.usable()]\n"
        "assert not [name for name in sys.modules if name.startswith(('qiskit', 'openqasm3'))]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
