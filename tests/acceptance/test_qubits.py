"""Jobs for qubits through a real Prefect: good ones, bad ones, and the good one after a bad one."""

import json
from typing import Any

import pytest

from tests.installation import Installation

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
BELL = HEAD + "qubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0], q[1];\nc = measure q;\n"
ENERGY = {
    "name": "energy",
    "job_type": "estimation",
    "program": [BELL],
    "operator": [{"pauli": "X 0 X 1", "coeff": 1.0}, {"pauli": "Z 0 Z 1", "coeff": 0.5}],
    "shots": 100,
    "transpiler_info": {},
    "simulator_info": {"seed_simulation": 7},
    "mitigation_info": {},
}
BAD = {
    "file": ('OPENQASM 2.0;\ninclude "/etc/passwd";\nqreg q[1];\n', "validation", "no file is read"),
    "gate": (HEAD + "qubit q;\nbit c;\nfoo q;\nc = measure q;\n", "validation", "line 5, column 1"),
    "bomb": (
        HEAD + "gate g0 a { x a; x a; }\n"
        + "".join(f"gate g{n} a {{ g{n - 1} a; g{n - 1} a; }}\n" for n in range(1, 40))
        + "qubit q;\nbit c;\ng39 q;\nc = measure q;\n",
        "compilation",
        "operations",
    ),
    "endless": (
        HEAD + "qubit q;\nbit c;\nx q;\nc = measure q;\nwhile (c) { c = measure q; }\n",
        "execution",
        "did not end within",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def drained(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> tuple[Installation, dict[str, str]]:
    """A laboratory that has drained bad and good jobs one after the other, handed in by file, by document, by inbox."""
    installation = Installation(tmp_path_factory.mktemp("lab"), prefect_api)
    jobs = {
        name: installation.submit("qubits", {"experiment_0": {"program": text, "shots": 10}})
        for name, (text, _, _) in BAD.items()
    }
    jobs["bell"] = installation.json("submit", "qubits", "examples/bell.qasm", "--shots", "1000", "--seed", "5")[
        "job_id"
    ]
    jobs["energy"] = "0123456789abcdef01234567"
    installation.queue("qubits", f"{jobs['energy']}.json", json.dumps(ENERGY).encode())
    assert installation.json("drain", "--until-empty", QULEDGER_CONCURRENCY="1") == {"DONE": 2, "ERROR": 4}
    return installation, jobs


def data(installation: Installation, job_id: str) -> dict[str, Any]:
    """Return what the one experiment of a job gave."""
    (result,) = installation.read(f"results/qubits/{job_id}.json")["results"]
    return result["data"]


def test_a_bell_pair_from_a_file(drained: tuple[Installation, dict[str, str]]):
    """The README's example gives both outcomes about equally often, and the terminal shows them."""
    installation, jobs = drained
    found = data(installation, jobs["bell"])
    assert set(found["counts"]) == {"00", "11"}
    assert sum(found["counts"].values()) == len(found["memory"]) == 1000
    assert 400 < found["counts"]["00"] < 600
    assert "cx $" in found["transpiled"]["program"]
    assert str(found["counts"]["00"]) in installation.run("result", jobs["bell"]).stdout
    assert "00" in installation.run("result", jobs["bell"], "--csv").stdout


def test_an_energy_in_the_other_form(drained: tuple[Installation, dict[str, str]]):
    """A job in OQTOPUS' form that a front end queues gives the energy of the Bell pair, as artifacts too."""
    installation, jobs = drained
    assert data(installation, jobs["energy"])["exp_value"] == pytest.approx(1.5)
    assert "1.5 ± 0" in installation.run("result", jobs["energy"]).stdout
    (run,) = installation.prefect("/flow_runs/filter", {"flow_runs": {"name": {"any_": [jobs["energy"]]}}})
    artifacts = installation.prefect("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    assert any("expectation value" in str(artifact["data"]) for artifact in artifacts)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_program_ends_where_it_is_bad(drained: tuple[Installation, dict[str, str]], name: str):
    """A bad program ends its job in ERROR at the stage that finds it, with the reason, and the next one runs."""
    installation, jobs = drained
    _, stage, words = BAD[name]
    status = installation.read(f"status/qubits/{jobs[name]}.json")
    assert status["status"] == "ERROR"
    assert words in status["error_message"]
    failed = installation.history(jobs[name])[-1]["data"]
    assert (failed["stage"], failed["blame"]) == (stage, "user")
    for secret in ("Traceback", "passwd", "root:", str(installation.home)):
        assert secret not in json.dumps([status, failed])
