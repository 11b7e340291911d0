"""Our own client in Python, against the front door and a drain as their users start them."""

import asyncio
import gc
import json
import math
import os
import re
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from qiskit import QuantumCircuit
from qiskit.providers import JobStatus
from quledger_client import (
    AsyncClient,
    Client,
    Conflict,
    JobFailed,
    NotAllowed,
    NotFound,
    PartlyRefused,
    Refused,
)
from quledger_client.qiskit import EstimatorV2, QuledgerProvider, SamplerV2

from tests.installation import Installation, Started
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PENNYLANE = ROOT / ".venv-pennylane" / "bin" / "python"

SPIN = [["load", [0], [50]], ["rlx", [0], [3.141592653589793]], ["measure", [0], []]]
JOBS = int(os.environ.get("QULEDGER_TEST_CLIENT_JOBS", "60"))
"""`make clients` makes a thousand."""

BELL = 'OPENQASM 3; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'


class Laboratory(NamedTuple):
    """A laboratory with a user."""

    installation: Installation
    url: str
    token: str

    def client(self) -> Client:
        """Return a client of its user."""
        return Client(self.url, self.token)


def served(installation: Installation, port: str = "0") -> tuple[Started, str]:
    """Start a front door; return it and its address."""
    serving = installation.start("serve", "--port", port)
    told = until(lambda: serving.printed().partition("Quledger answers at ")[2], told=serving.printed)
    return serving, told.partition("/ui")[0]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Laboratory]:
    """A laboratory that serves and drains."""
    installation = Installation(tmp_path_factory.mktemp("laboratory"), prefect_api)
    installation.environment["QULEDGER_API_REQUESTS_A_MINUTE"] = "1000000"
    installation.run("user", "add", "ann")
    token = installation.run("token", "new", "ann").stdout.strip()
    serving, url = served(installation)
    draining = installation.start("drain")
    try:
        yield Laboratory(installation, url, token)
    finally:
        for process in (serving, draining):
            process.terminate()
        for process in (serving, draining):
            process.wait(60)


def test_a_job_from_its_submission_to_its_result(laboratory: Laboratory):
    """And what is asked about it on the way: 50 spins turned by pi all end in level 50."""
    with laboratory.client() as client:
        job = client.submit("singlequdit", SPIN, shots=20, labels={"sample": "A7"}, group="g1", key="k1")
        assert client.submit("singlequdit", SPIN, shots=20, labels={"sample": "A7"}, group="g1", key="k1") == job
        result = job.result(60)
        assert result.counts() == {"50": 20}
        assert result.memory() == ["50"] * 20
        assert result[0].means() == [(50.0, 0.0)]
        assert result.probabilities("experiment_0") == {"50": 1.0}
        assert (job.state, job.is_final, job.labels, job.group) == ("DONE", True, {"sample": "A7"}, "g1")
        kinds = [event.kind for event in job.history()]
        assert (kinds[0], kinds[-1]) == ("submitted", "uploaded") or "executed" in kinds
        assert job.why().lines == ("the job has ended: it is DONE",)
        assert job.document()["experiment_0"] == {"instructions": SPIN, "num_wires": 1, "shots": 20}
        assert len(job.payload) == 64
        again = client.job(job.id[:10])
        assert again == job
        assert again.result().counts() == {"50": 20}
        assert list(client.jobs(label={"sample": "A7"}, backend="singlequdit", status="done", group="g1")) == [job]
        assert job.label(sample=None, used="yes") == {"used": "yes"}
        derived = job.rerun(key="k2")
        assert derived.derived_from == job.id
        assert derived.result(60).counts() == {"50": 20}
        assert job.rerun(key="k2") == derived


def test_a_program_of_qubits_with_an_event_loop(laboratory: Laboratory):
    """Several at once, and a list of them."""

    async def together() -> None:
        async with AsyncClient(laboratory.url, laboratory.token) as client:
            jobs = await client.submit_many([("qubits", BELL)] * 3, shots=100, labels={"loop": "1"})
            results = await asyncio.gather(*(job.result(60) for job in jobs))
            assert [sum(result.counts().values()) for result in results] == [100] * 3
            assert all(set(result.counts()) <= {"00", "11"} for result in results)
            assert {job async for job in client.jobs(label="loop=1")} == set(jobs)
            backend = await client.backend("qubits")
            assert "program" in str(await backend.schema())
            with pytest.raises(NotFound):
                await client.job("nope")
            assert (await jobs[0].history())[0].kind == "submitted"

    asyncio.run(together())


def test_what_is_wrong_is_said_at_once(laboratory: Laboratory):
    """Of one job, and of many."""
    with laboratory.client() as client:
        with pytest.raises(Refused) as caught:
            client.submit("singlequdit", [["load", [0], [5000]], ["rlx", [0], [-1]]], shots=0)
        assert [fault.field for fault in caught.value.faults] == [
            "experiment_0.shots",
            "experiment_0.[0].params[0]",
            "experiment_0.[1].params[0]",
            "experiment_0.instructions",
        ]
        assert client.check("singlequdit", SPIN, shots=7).shots == 7
        with pytest.raises(PartlyRefused) as partly:
            client.submit_many([("singlequdit", SPIN), ("nope", SPIN)], shots=1)
        assert isinstance(partly.value.errors[1], NotFound)
        good, bad = partly.value.jobs
        assert bad is None
        assert good.wait(60).state == "DONE"
    with Client(laboratory.url, "qlg_wrong") as client, pytest.raises(NotAllowed):
        client.me()


def test_backends_say_what_they_can_do(laboratory: Laboratory):
    """With limits, gates, schema, and the calibration that results stand on."""
    with laboratory.client() as client:
        by_name = {backend.name: backend for backend in client.backends()}
        rydberg = by_name["rydberg"]
        assert (rydberg.limits.wires, rydberg.limits.shots, rydberg.status) == (5, 1_000_000, "available")
        gate = next(each for each in rydberg.gates if each.name == "rydberg_full")
        assert (gate.parameters, gate.couplings) == (("omega", "delta", "phi"), ((0, 1, 2, 3, 4),))
        assert rydberg.schema()["type"] == "object"
        client.submit("noisyqubits", BELL, shots=1).result(60)
        noisy = client.backend("noisyqubits").calibration()
        assert noisy is not None
        assert noisy.configuration["display_name"] == "noisyqubits"
        assert noisy.withdrawn is None
        job = SamplerV2(QuledgerProvider(client).backend("noisyqubits")).run([measured()], shots=1)
        job.result(60)
        stood_on = job.jobs[0].calibration()
        assert stood_on is not None
        assert (stood_on.sha256, stood_on.value, job.withdrawn()) == (noisy.sha256, noisy.value, [])
        laboratory.installation.run("backends", "withdraw", noisy.sha256, "--reason", "a test")
        assert job.withdrawn() == ["a test"]
        laboratory.installation.run("backends", "reinstate", noisy.sha256, "--reason", "it is over")


def measured() -> QuantumCircuit:
    """Return one qubit that is read."""
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    return circuit


def test_qiskit_runs_on_it(laboratory: Laboratory):
    """Circuits and primitives; runs are found again by another program."""
    with laboratory.client() as client:
        provider = QuledgerProvider(client)
        assert [each.name for each in provider.backends()] == ["qubits", "noisyqubits"]
        backend = provider.backend("qubits")
        circuit = QuantumCircuit(2, name="bell")
        circuit.h(0)
        circuit.cx(0, 1)
        estimator = EstimatorV2(backend, {"labels": {"of": "qiskit"}})
        value = estimator.run([(circuit, ["ZZ", "XX", "YY"])], precision=0.1)
        circuit.measure_all()
        job = backend.run([circuit] * 2, shots=100, labels={"of": "qiskit"}, key="bells")
        assert backend.run([circuit] * 2, shots=100, labels={"of": "qiskit"}, key="bells").job_id() == job.job_id()
        assert [sum(counts.values()) for counts in job.result(60).get_counts()] == [100, 100]
        assert value.result(60)[0].data.evs.tolist() == [1, 1, -1]
        assert job.status() is JobStatus.DONE
        again = provider.job(job.job_id()[:12])
        assert again.result().get_counts(0) == job.result().get_counts(0)
        assert [each.job_id() for each in provider.jobs(label="of=qiskit")] == [job.job_id(), value.job_id()]
        with pytest.raises(Refused, match="experiment_0"):
            SamplerV2(backend).run([circuit], shots=10**8)
        with pytest.raises(NotFound, match="not handed in from Qiskit"):
            provider.job(client.submit("qubits", BELL, shots=1).id)
    laboratory.installation.run("pause", "noisyqubits")
    with laboratory.client() as client:
        backend = QuledgerProvider(client).backend("noisyqubits")
        waiting = SamplerV2(backend).run([circuit])
        assert waiting.status() is JobStatus.QUEUED
        assert (waiting.cancel(), waiting.cancel(), waiting.cancelled()) == (True, False, True)
    laboratory.installation.run("resume", "noisyqubits")


def asked_by_pennylane(laboratory: Laboratory, script: str) -> Any:
    """Return what a script prints in PennyLane's own environment."""
    done = subprocess.run(
        [PENNYLANE, ROOT / "tests" / "clients" / "pennylane" / script],
        env={"PYTHONPATH": str(ROOT / "clients/python/src"), "QULEDGER_HOME": str(laboratory.installation.home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.skipif(not PENNYLANE.exists(), reason="PennyLane's environment is missing: make clients")
def test_pennylane_runs_on_it(laboratory: Laboratory):
    """The examples of its page, a value, and its gradient, the circuits of which are one job."""
    found = asked_by_pennylane(laboratory, "calls.py")
    assert found["correlation"] == 1  # both wires are turned together
    assert found["variance"] == pytest.approx(1, abs=0.02)
    assert set(found["counts"]) == {"00", "11"}
    assert found["probabilities"][1] == pytest.approx(math.sin(0.2) ** 2, abs=0.07)
    assert found["gradient"] == pytest.approx(-math.sin(1), abs=0.1)
    assert found["jobs"] == [2, 1, 3, 3]  # experiments, the newest job first
    up = math.sin(0.2) ** 2
    total, variance, matrix, outcomes = found["exact"]
    assert [total, variance, matrix] == pytest.approx([3 - 2 * up, 4 * up * (1 - up), 1 - up], abs=1e-9)
    assert outcomes == pytest.approx([1 - up, 0, 0, up], abs=1e-9)
    assert found["exact_gradient"] == pytest.approx(-math.sin(1), abs=1e-9)
    assert found["inexact"].endswith("quledger.qubits on noisyqubits, which errs")
    variance, samples, square, nothing = found["whole"]
    assert ([variance, nothing, square], set(samples)) == (pytest.approx([0, 0, 1]), {1.0})
    assert all(each == pytest.approx(1) and outcome == [0, 1, 0, 0] for each, outcome in found["on_the_way"])
    # J = pi / 2 swaps two spins of one atom, t = pi / 2 moves two fermions on.
    assert (found["spins"], found["fermions"]) == ([0.5, 0.0, ["0 1"]], [0.0, 0.0, 1.0, 1.0])
    assert found["refused"] == ["PauliZ", "RX", "instruction 0 (rlx), params[0]"]
    angles = ["RZ: got nan", "RZ: got -inf", "RZ: got 1j", "circuit 1, RZ: got inf"]
    assert all(each == pytest.approx([0, 1, 0, 0]) for each in found["backwards"])
    assert found["odd"][:-1] == [f"{each}; an angle is real and finite" for each in angles for _ in range(2)]
    assert found["odd"][-1] == "this cannot be written as JSON: it has a number that is not finite, or holds itself"


@pytest.mark.skipif(not PENNYLANE.exists(), reason="PennyLane's environment is missing: make clients")
def test_spins_and_fermions_of_pennylane_are_physics(laboratory: Laboratory):
    """Random circuits beside their Hamiltonians, and a sweep of more circuits than a job takes."""
    found = asked_by_pennylane(laboratory, "physics.py")
    assert max(*found["spins"], *found["fermions"]) < 0.03
    sweep = found["sweep"]
    assert sweep["jobs"] == [[501, "pennylane"], [501, "pennylane"]]
    assert (sweep["seeds"], sweep["levels"]) == (1002, [1002, 20])
    assert sweep["ends"] == [4.5, -3.5, 0.0, 16.0, 0.0]  # m of four atoms from 2 to -2, twice, and a half of the other
    assert found["refused"] == {
        "fermions": ["Lz", "RLx", "instruction 0 (fhop), wires"],
        "spins": ["Counts"],
        "far": ["WireError"],
        "probs": ["Probability"],
    }
    assert (found["gradient"], found["shots"]) == ("ValueError", [0.0, 0.0])


def test_a_job_is_cancelled(laboratory: Laboratory):
    """One that has ended is not."""
    laboratory.installation.run("pause", "multiqudit")
    with laboratory.client() as client:
        job = client.submit("multiqudit", [["rlx", [0], [1.0]], ["measure", [0], []]], shots=1)
        assert client.backend("multiqudit").status == "paused"
        assert job.cancel("not needed") == "CANCELLED"
        with pytest.raises(Conflict):
            job.cancel()
        with pytest.raises(JobFailed, match="ended in CANCELLED"):
            job.result()
    laboratory.installation.run("resume", "multiqudit")


@pytest.mark.parametrize("page", ["docs/python.md", "docs/qiskit.md", "clients/python/README.md"])
def test_the_examples_of_the_docs_run(laboratory: Laboratory, page: str, monkeypatch: pytest.MonkeyPatch):
    """As they stand, in their order, with what the server has left in the home."""
    monkeypatch.setenv("QULEDGER_HOME", str(laboratory.installation.home))
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert examples
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, page, "exec"), names)
    names["client"].close()


@pytest.mark.slow
def test_a_wait_outlives_its_server(laboratory: Laboratory, tmp_path: Any):
    """It is killed, is gone for a while, and another one stands in its place."""
    installation = Installation(tmp_path, None)
    installation.run("user", "add", "ann")
    token = installation.run("token", "new", "ann").stdout.strip()
    serving, url = served(installation)
    with Client(url, token) as client:
        job = client.submit("singlequdit", SPIN, shots=3)
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(job.wait(120).state))
        waiting.start()
        serving.kill()
        serving.wait(30)
        again, _ = served(installation, url.rpartition(":")[2])
        try:
            with Client(url, token) as other:
                other.job(job.id).cancel()
            waiting.join(60)
            assert found == ["CANCELLED"]
        finally:
            again.terminate()
            again.wait(60)


@pytest.mark.slow
def test_many_jobs_leave_nothing_behind(laboratory: Laboratory):
    """No open file, no thread, and no objects that nobody needs."""
    laboratory.installation.run("pause", "singlequdit")
    process = psutil.Process(os.getpid())
    with laboratory.client() as client:

        def once() -> None:
            job = client.submit("singlequdit", SPIN, shots=1)
            client.run(client.calls.cancel(job.id, ""))
            assert job.wait(30).state == "CANCELLED"

        def held() -> tuple[int, int, int]:
            urllib.parse.clear_cache()  # Python's own, of the last hundreds of addresses
            gc.collect()
            return process.num_fds(), threading.active_count(), len(gc.get_objects())

        for _ in range(20):
            once()
        before = held()
        for _ in range(JOBS):
            once()
        after = held()
    laboratory.installation.run("resume", "singlequdit")
    assert [now <= then for now, then in zip(after[:2], before[:2], strict=True)] == [True, True], (before, after)
    assert after[2] - before[2] < JOBS / 2
