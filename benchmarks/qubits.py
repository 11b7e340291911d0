"""Measure the qubits: how much readout mitigation helps, and how fast jobs run beside plain Qiskit Aer."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from tasks.backends.qubits.device import DEFAULT, readout
from tasks.backends.qubits.mitigation import Method, mitigate

RUNS = 50


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


if __name__ == "__main__":
    mitigation_table(10_000)
    mitigation_table(100_000)
