"""The published clients of OQTOPUS, unchanged and in environments of their own, against the front door and a drain."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation
from tests.waiting import until

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
CLIENT, QURI = (ROOT / f".venv-{name}" / "bin" / "python" for name in ("oqtopus", "quri"))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[dict[str, str]]:
    """A laboratory that serves and drains; yields what its users set in their environments."""
    installation = Installation(tmp_path_factory.mktemp("laboratory"), prefect_api)
    for name in ("ann", "bob"):
        installation.run("user", "add", name)
    tokens = [installation.run("token", "new", name).stdout.strip() for name in ("ann", "bob")]
    serving, draining = installation.start("serve", "--port", "0"), installation.start("drain")
    try:
        told = until(lambda: serving.printed().partition("Quledger answers at ")[2], told=serving.printed)
        until(lambda: installation.exists("backends/configs/qubits.json"), told=draining.printed)
        url = told.partition("/ui")[0] + "/oqtopus"
        yield {"OQTOPUS_URL": url, "OQTOPUS_API_TOKEN": tokens[0], "OTHER_TOKEN": tokens[1]}
    finally:
        for process in (serving, draining):
            process.terminate()
        for process in (serving, draining):
            process.wait(60)


def calls(python: Path, script: Path, environment: dict[str, str]) -> Any:
    """Return what a client's calls came back with."""
    done = subprocess.run(
        [python, script],
        env={"PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.skipif(not CLIENT.exists(), reason="the client's environment is missing: make oqtopus")
def test_the_client_of_oqtopus(laboratory: dict[str, str]):
    """Every call of `oqtopus-client` that a laboratory without its cloud can answer."""
    found = calls(CLIENT, FOLDER / "oqtopus" / "calls.py", laboratory)

    assert found["devices"] == [
        ["qubits", "simulator", "available", 12],
        ["noisyqubits", "simulator", "available", 12],
    ]
    assert found["device"] == {
        "prob_meas1_prep0": 0.005,
        "prob_meas0_prep1": 0.02,
        "readout_assignment_error": 0.0125,
    }
    assert found["no device"] == [404, "no backend is called 'nope'; there are: qubits, noisyqubits"]

    status, name, shots, counts, by_number = found["sampling"]
    assert (status, name, shots) == ("succeeded", "bell", 1000)
    assert sorted(counts) == ["00", "11"]
    assert sum(counts.values()) == 1000
    assert abs(counts["00"] - 500) < 80  # five standard deviations
    assert by_number == {"0": counts["00"], "3": counts["11"]}
    assert found["sampling times"] is True
    usual = {"transpiler_lib": "qiskit", "transpiler_options": {"optimization_level": 1}}
    assert found["sampling infos"] == [usual, {"seed_simulation": 7}, {}]
    assert found["sampling input"][0].startswith("OPENQASM 3;")
    assert found["transpiled"] == [True, 1, {"0": 0, "1": 1}]

    # <X X> = <Z Z> = 1 in the Bell state, and every shot says so.
    assert found["estimation"] == ["succeeded", 2.0, 0.0]

    status, counts, divided = found["multi_manual"]
    assert status == "succeeded"
    assert sum(counts.values()) == sum(divided["0"].values()) == sum(divided["1"].values()) == 1000
    assert divided["1"]["1"] >= 980  # without the errors of the readout the flipped bit is 1
    assert divided["0"]["0"] + divided["0"]["3"] >= 980
    raw = found["unmitigated"]
    assert sum(raw.values()) == 1000
    assert sum(count for outcome, count in raw.items() if outcome[0] == "0") > 20

    status, why, counts = found["invalid"]
    assert (status, counts) == ("failed", {})
    assert "transpiler_info.transpiler_lib: got 'tket'" in why
    assert "simulator_info.n_nodes: got 2" in why
    assert found["sse"] == [
        400,
        "job_type: Value error, got 'sse'; what is run here are sampling, estimation, multi_manual",
    ]
    assert found["unknown device"] == [400, "no backend is called 'nope'; there are: qubits, noisyqubits"]

    assert found["delete too early"][0] == 400
    assert found["cancel"] == "cancel request accepted"
    assert found["cancelled"] == ["cancelled", "the job was cancelled"]
    assert found["cancel again"][0] == 400

    assert [each[0] for each in found["list"]] == ["cancelled", "failed", "succeeded", "succeeded", "succeeded"]
    assert [each[1] for each in found["list"]] == ["endless", "", "", "", "bell"]
    assert {each[2] for each in found["list"]} == {None}
    assert found["page"] is True
    assert found["search"] is True
    assert found["list of another"] == []
    assert found["delete"] == "job deleted"
    assert found["deleted"][0] == 404
    assert [found[f"{name} of another"] for name in ("get", "status", "cancel", "delete")] == [404] * 4
    assert found["wrong token"] == [401, "this token is not known here"]


@pytest.mark.skipif(not QURI.exists(), reason="the client's environment is missing: make clients")
def test_quri_parts(laboratory: dict[str, str]):
    """Circuits of QURI Parts, sampled, side by side, and estimated."""
    found = calls(QURI, FOLDER / "quri" / "calls.py", laboratory)

    assert found["device"] == ["qubits", "available", 12, 12]
    counts, status, name = found["sampling"]
    assert [outcome for outcome, _ in counts] == [0, 3]
    assert sum(count for _, count in counts) == 1000
    assert (status, name, found["retrieved"]) == ("succeeded", "bell", "succeeded")
    assert found["multi_manual"] == [[0b100, 0b111], [[1, 100]]]
    assert found["estimation"] == [2.0, 0.0]
    said, why = found["invalid"]
    assert said == "Job ended with status failed."
    assert "transpiler_info.transpiler_lib: got 'ouqu-tp'; it must be qiskit" in why
