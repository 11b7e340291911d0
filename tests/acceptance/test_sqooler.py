"""The published sqooler package, in an environment of its own, hands in jobs and reads what we write."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab

ROOT = Path(__file__).parents[2]
PEER = ROOT / ".venv-peer" / "bin" / "python"
CLIENT = ROOT / "tests" / "peer" / "client.py"

pytestmark = pytest.mark.skipif(not PEER.exists(), reason="the peer's environment is missing: make peer")


def peer(lab: Lab, *arguments: str) -> Any:
    """Run one call of the peer's client on the laboratory's storage."""
    done = subprocess.run(
        [PEER, CLIENT, str(lab.store), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_sqooler_submits_and_reads_its_result(lab: Lab):
    """A job that sqooler's LocalProvider uploads is DONE for its client, with the right shots and outcomes."""
    lab.run("drain", "--until-empty")  # publishes the backends: the peer hands in no job to one that it does not know
    job = json.loads((ROOT / "examples" / "rydberg_blockade.json").read_text())
    good = peer(lab, "submit", "rydberg", json.dumps(job))
    bad = peer(lab, "submit", "rydberg", json.dumps({"experiment_0": {}}))
    assert peer(lab, "status", "rydberg", good)["status"] == "INITIALIZING"
    assert lab.json("drain", "--until-empty") == {"DONE": 1, "ERROR": 1}

    status = peer(lab, "status", "rydberg", good)
    assert (status["job_id"], status["status"], status["error_message"]) == (good, "DONE", "None")
    result = peer(lab, "result", "rydberg", good)
    assert result["backend_name"] == "default_rydberg_simulator"
    assert [len(each["data"]["memory"]) for each in result["results"]] == [1000, 1000]
    assert "1 1" in result["results"][0]["data"]["memory"]
    assert "1 1" not in result["results"][1]["data"]["memory"]

    failed = peer(lab, "status", "rydberg", bad)
    assert failed["status"] == "ERROR"
    assert "experiment_0" in failed["error_message"]


def test_sqooler_sees_our_backends(lab: Lab):
    """Sqooler lists the published backends, reads their configuration and finds them operational."""
    lab.run("drain", "--until-empty")
    assert set(peer(lab, "backends")) == {"singlequdit", "multiqudit", "fermions", "rydberg"}
    config = peer(lab, "config", "multiqudit")
    assert (config["n_qubits"], config["max_shots"]) == (5, 1_000_000)
    assert config["basis_gates"] == ["rlx", "rlz", "rlz2", "rlxly", "rlzlz", "multiqudit_full"]
    status = peer(lab, "operational", "multiqudit")
    assert (status["operational"], status["backend_name"]) == (True, "default_multiqudit_simulator")
