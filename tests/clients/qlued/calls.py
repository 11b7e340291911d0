"""Runs in the environment of qiskit-cold-atom: its calls to a laboratory, what came back as JSON."""

import json
import os
import sys
import tempfile
import warnings
from math import pi
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit
from qiskit.providers import JobError
from qiskit_cold_atom.providers import ColdAtomProvider

NAMES = ("singlequdit", "multiqudit", "fermions", "rydberg")
SHOTS = 30
WAIT = {"timeout": 100, "wait": 0.3}


def circuits() -> dict[str, QuantumCircuit]:
    """Return a circuit for each backend that has one outcome."""
    found = {name: QuantumCircuit(wires) for name, wires in zip(NAMES, (1, 2, 8, 5), strict=True)}
    found["singlequdit"].load_spins(3, 0)
    found["singlequdit"].rlx(pi, 0)
    found["multiqudit"].rlx(pi, 0)
    found["fermions"].fload(0)  # with spin up and spin down on the first of four sites
    found["fermions"].fload(4)
    found["fermions"].fhop([pi / 2], [0, 1, 4, 5])
    found["rydberg"].rlx(pi, range(5))
    for circuit in found.values():
        circuit.measure_all()
    return found


def provider() -> ColdAtomProvider:
    """Return the provider for a stored account, with the address of one backend as qlued's page shows it."""
    url = os.environ["QLUED_URL"]
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "credentials.conf")
        urls = [f"{url}/api/v2/{name}" for name in NAMES] + [f"{url}/api/v2/alqor_rydberg_simulator/"]
        ColdAtomProvider.save_account(urls[0], "ann", os.environ["QLUED_TOKEN"], filename=file)
        for each in urls[1:]:
            ColdAtomProvider.add_url(each, filename=file)
        return ColdAtomProvider.load_account(filename=file)


def run(backend: Any, circuit: QuantumCircuit) -> dict[str, Any]:
    """Run a circuit to its end and return what the job says."""
    job = backend.run(circuit, shots=SHOTS)
    before = job.status().name
    result = job.result(**WAIT)
    again = backend.retrieve_job(job.job_id())
    return {
        "before": before,
        "after": again.status().name,
        "error": job.error_message(),
        "success": result.success,
        "backend_name": result.backend_name,
        "counts": result.get_counts(),
        "memory": result.get_memory(),
    }


def failing(backend: Any) -> dict[str, Any]:
    """Run a circuit that the backend refuses."""
    circuit = QuantumCircuit(1)
    circuit.load_spins(10_000_000, 0)
    circuit.measure_all()
    job = backend.run(circuit, shots=SHOTS)
    try:
        job.result(**WAIT)
    except JobError as error:
        return {"raised": str(error), "status": job.status().name, "error": job.error_message()}
    return {}


def stranger() -> list[str]:
    """Return the names of the remote backends, and what became of a job, of somebody with a wrong token."""
    credentials = {"urls": f"{os.environ['QLUED_URL']}/api/v2/rydberg", "username": "ann", "token": "wrong"}
    backend = ColdAtomProvider(credentials).get_backend("alqor_rydberg_simulator")
    try:
        backend.run(circuits()["rydberg"], shots=1)
    except OSError as error:
        return [str(error)]
    return []


def main() -> dict[str, Any]:
    """Do all calls."""
    warnings.simplefilter("ignore")
    backends = [each for each in provider().backends() if each.name().startswith("alqor_")]
    by_name = {each.configuration().display_name: each for each in backends}
    return {
        "backends": [each.name() for each in backends],
        "qubits": {name: each.configuration().n_qubits for name, each in by_name.items()},
        "jobs": {name: run(by_name[name], circuit) for name, circuit in circuits().items()},
        "failing": failing(by_name["singlequdit"]),
        "stranger": stranger(),
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
