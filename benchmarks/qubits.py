"""Measure the qubits: how much readout mitigation helps, and how fast jobs run beside plain Qiskit Aer."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from tasks.backends.cost import Limits
from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import DEFAULT, Device, readout
from tasks.backends.qubits.mitigation import Method, mitigate
from tasks.sandbox.job_process import Sandbox

ROOT = Path(__file__).resolve().parent.parent
RUNS = 50
REPEAT = 5
WIDE = Limits(max_cost=1e14, max_dimension=2**28, max_result_bytes=10**9)
BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'
HEAVY = "qiskit"


def misread_ghz(layout: Sequence[int], shots: int, seed: int) -> dict[str, int]:
    """Return counts of a GHZ state, bit k misread as the physical qubit layout[k] of the default device is."""
    random = np.random.default_rng(seed)
    matrices, bits = readout(DEFAULT), len(layout)
    true = np.repeat(random.integers(0, 2, shots)[:, None], bits, axis=1)
    read = random.random((shots, bits)) < matrices[np.array(layout), 1, true]
    codes, counts = np.unique(read @ (1 << np.arange(bits)), return_counts=True)
    return {format(code, f"0{bits}b"): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}


def ghz_distance(counts: dict[str, int] | dict[str, float], bits: int) -> float:
    """Return the total-variation distance from the GHZ state."""
    shots = sum(counts.values())
    ghz = {"0" * bits: 0.5, "1" * bits: 0.5}
    return 0.5 * sum(abs(counts.get(key, 0.0) / shots - ghz.get(key, 0.0)) for key in counts.keys() | ghz.keys())


def mitigation_table(shots: int) -> None:
    """Print how far GHZ states on 2..12 qubits, the layout reversed, are from the truth before and after."""
    print(f"\nGHZ states read with errors, reversed layout, {shots} shots, {RUNS} seeds: total-variation distance")
    print(
        f"{'qubits':>6} {'raw':>8}  {'method':<14} {'mitigated':>9} {'better':>8} {'least':>8} {'worse':>6} {'time':>9}"
    )
    for bits in range(2, len(DEFAULT.couplings) + 2):
        layout = list(range(bits))[::-1]
        raw = [misread_ghz(layout, shots, seed) for seed in range(RUNS)]
        before = np.array([ghz_distance(counts, bits) for counts in raw])
        for method in get_args(Method):
            start = time.perf_counter()
            found = [mitigate(counts, layout, readout(DEFAULT), method) for counts in raw]
            each = (time.perf_counter() - start) / RUNS
            after = np.array([ghz_distance(counts, bits) for counts in found])
            print(
                f"{bits:6} {before.mean():8.4f}  {method:<14} {after.mean():9.4f} {before.mean() / after.mean():7.0f}x "
                f"{(before / after).min():7.1f}x {int((after >= before).sum()):6} {each * 1e3:7.1f}ms"
            )


def program(qubits: int, layers: int) -> str:
    """Return a circuit of rotations of all qubits and gates between neighbours, layer upon layer, all of it read."""
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', f"qubit[{qubits}] q;", f"bit[{qubits}] c;"]
    for layer in range(layers):
        lines.append(f"rx({0.3 + layer}) q;")
        lines += [f"cx q[{low}], q[{low + 1}];" for low in range(layer % 2, qubits - 1, 2)]
    return "\n".join([*lines, "c = measure q;"])


def line(qubits: int) -> Device:
    """Return a device without errors whose qubits stand in a row."""
    names = "-".join(map(str, range(qubits)))
    return Device.read(
        json.dumps(
            {
                "device_id": f"line{qubits}",
                "n_qubits": qubits,
                "couplings": f"line {names}",
                "basis_gates": ["cx", "id", "rz", "sx", "x"],
            }
        )
    )


def best(run: Callable[[], float], repeat: int = REPEAT) -> float:
    """Return the shortest of the times that some runs report."""
    return min(run() for _ in range(repeat))


def executed(backend: Qubits, text: str, shots: int, *, memory: bool = True) -> float:
    """Return how long the execution of a compiled job takes, strings and JSON values included."""
    document = {
        "experiment_0": {
            "program": text,
            "shots": shots,
            "memory": memory,
            "seed_simulation": 1,
            "seed_transpilation": 1,
        }
    }
    compiled = backend.compile(backend.validate(document), 1)
    start = time.perf_counter()
    list(backend.execute(compiled))
    return time.perf_counter() - start


def plain_aer(text: str, shots: int) -> float:
    """Return how long plain Aer takes for the same circuit, its memory and its counts included."""
    from qiskit import transpile  # noqa: PLC0415 (takes seconds)
    from qiskit_aer import AerSimulator  # noqa: PLC0415
    from qiskit_qasm3_import import parse  # noqa: PLC0415

    simulator = AerSimulator(max_parallel_threads=1)
    circuit = transpile(parse(text), basis_gates=list(DEFAULT.basis_gates), seed_transpiler=1)
    start = time.perf_counter()
    result = simulator.run(circuit, shots=shots, seed_simulator=1, memory=True).result()
    result.get_memory()
    result.get_counts()
    return time.perf_counter() - start


def error_bars(circuits: int = 10, seeds: int = 80) -> None:
    """Print how often the exact value of an operator is within two of the standard errors that a job reports."""
    from qiskit.quantum_info import SparsePauliOp, Statevector  # noqa: PLC0415 (takes seconds)
    from qiskit_qasm3_import import parse  # noqa: PLC0415

    paulis = {"X 0 X 1": "IXX", "Y 1 Z 2": "ZYI", "Z 0": "IIZ", "X 0 Y 2": "YIX", "Z 0 Z 1 Z 2": "ZZZ"}
    operator = [{"pauli": pauli, "coeff": 0.3 + 0.2 * place} for place, pauli in enumerate(paulis)]
    observable = SparsePauliOp(list(paulis.values()), [term["coeff"] for term in operator])
    ways = {"ideal": (False, "none"), "misread, pseudo_inverse": (True, "pseudo_inverse")}
    print(f"\n{f'{circuits} circuits x {seeds} seeds, 1000 shots':36} {'within 2 sigma':>15} {'by circuit':>12}")
    for way, (noisy, mitigation) in ways.items():
        backend, covered = Qubits("bench", DEFAULT, noisy=noisy, limits=WIDE), []
        for number in range(circuits):
            turns = np.random.default_rng(number).uniform(0, 2 * np.pi, 9)
            lines = [f"ry({turn}) q[{place % 3}];" for place, turn in enumerate(turns)]
            lines[6:6] = ["cx q[1], q[2];"]
            lines[3:3] = ["cx q[0], q[1];"]
            text = "\n".join(['OPENQASM 3.0; include "stdgates.inc"; qubit[3] q;', *lines])
            exact = float(Statevector(parse(text)).expectation_value(observable).real)
            document = {
                f"experiment_{seed}": {
                    "program": text,
                    "job_type": "estimation",
                    "operator": operator,
                    "shots": 1000,
                    "seed_simulation": number * seeds + seed,
                    "ro_error_mitigation": mitigation,
                }
                for seed in range(seeds)
            }
            results = list(backend.execute(backend.compile(backend.validate(document), 1)))
            found = [(result["data"]["exp_value"], result["data"]["stds"]) for result in results]
            covered.append(sum(abs(value - exact) <= 2 * std for value, std in found) / seeds)
        print(f"{way:36} {np.mean(covered):14.1%} {f'{min(covered):.0%}..{max(covered):.0%}':>12}")


def shots_table() -> None:
    """Print the times of execution beside those of plain Aer in the same run."""
    print(f"\n{'execution of one job':36} {'here':>9} {'no memory':>10} {'plain Aer':>10} {'ratio':>7}")
    cases = [(5, 4, 1_000_000), (5, 4, 10_000), (12, 10, 100_000), (12, 10, 1_000_000), (16, 10, 100_000)]
    for qubits, layers, shots in cases:
        backend, text = Qubits("bench", line(qubits), noisy=False, limits=WIDE), program(qubits, layers)
        here = best(lambda b=backend, t=text, s=shots: executed(b, t, s))  # type: ignore[misc]
        bare = best(lambda b=backend, t=text, s=shots: executed(b, t, s, memory=False))  # type: ignore[misc]
        aer = best(lambda t=text, s=shots: plain_aer(t, s), repeat=2)  # type: ignore[misc]
        name = f"{qubits} qubits, {layers} layers, {shots:,} shots"
        print(f"{name:36} {here * 1e3:7.1f}ms {bare * 1e3:8.1f}ms {aer * 1e3:8.1f}ms {aer / here:6.1f}x")


def reach(most: int = 26) -> None:
    """Print the largest circuits of ten layers that are executed in 1 s and in 10 s."""
    print(f"\n{'reach: 10 layers, 1000 shots':36} {'execution':>10}")
    largest = dict.fromkeys((1.0, 10.0), (0, 0.0))
    for qubits in range(14, most + 1):
        taken = executed(Qubits("bench", line(qubits), noisy=False, limits=WIDE), program(qubits, 10), 1000)
        largest = {limit: (qubits, taken) if taken <= limit else found for limit, found in largest.items()}
        if taken > max(largest):
            break
    for limit, (qubits, taken) in largest.items():
        print(f"{f'largest in {limit:g} s: {qubits} qubits':36} {taken:9.2f}s")


def sandbox_overhead() -> None:
    """Print what the process of its own costs a small job."""
    document = {"experiment_0": {"program": BELL, "shots": 1000}}
    backend = Qubits("qubits", DEFAULT, noisy=False)

    def inside() -> float:
        start = time.perf_counter()
        list(backend.execute(backend.compile(backend.validate(document), 1)))
        return time.perf_counter() - start

    async def measured() -> tuple[float, list[float]]:
        raw, times = json.dumps(document).encode(), []
        async with Sandbox() as sandbox:
            start = time.perf_counter()
            await sandbox.fork_servers.get("qubits")
            started = time.perf_counter() - start
            for number in range(2 * REPEAT):
                start = time.perf_counter()
                async with sandbox.job("qubits", raw, job_id=f"bench-{number}") as job:
                    await job.call("validate")
                    await job.call("compile", seed=1)
                    await job.call("execute")
                times.append(time.perf_counter() - start)
        return started, times

    bare = best(inside, 2 * REPEAT)
    started, times = asyncio.run(measured())
    print(f"\n{'a Bell pair, 1000 shots, all steps':36} {'time':>10}")
    print(f"{'in this process':36} {bare * 1e3:8.1f}ms")
    print(f"{'in the sandbox':36} {min(times) * 1e3:8.1f}ms   overhead {(min(times) - bare) * 1e3:.1f} ms per job")
    print(f"{'start of the fork server, once':36} {started:9.2f}s")


def import_cost() -> None:
    """Print what the libraries of qubits cost to import, and that other backends do not import them."""

    def python(code: str) -> str:
        command = [sys.executable, "-c", code]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
        return ran.stdout.strip()

    job = (
        "import sys, time; begin = time.perf_counter()\n"
        "from tasks.backends.registry import load\n"
        "backend = load({name!r})\n"
        "program = backend.compile(backend.validate({{'experiment_0': {experiment!r}}}), 1)\n"
        "list(backend.execute(program))\n"
        f"heavy = sorted(m for m in sys.modules if m.startswith({HEAVY!r}))\n"
        "print(f'{{time.perf_counter() - begin:.2f}} s, {{len(heavy)}} modules of Qiskit')"
    )
    atoms = {"instructions": [["rlx", [0], [0.5]], ["measure", [0], []]], "num_wires": 1, "shots": 10}
    print("\na first job in a new process, imports included")
    print(f"{'singlequdit':36} {python(job.format(name='singlequdit', experiment=atoms))}")
    print(f"{'qubits':36} {python(job.format(name='qubits', experiment={'program': BELL, 'shots': 10}))}")


if __name__ == "__main__":
    import_cost()
    sandbox_overhead()
    error_bars()
    shots_table()
    reach()
    mitigation_table(10_000)
    mitigation_table(100_000)
