"""One seed gives one answer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import DEFAULT
from tests.unit.openqasm_programs import HEAD3

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_one_seed_one_answer_in_any_job():
    """The user's seed settles the layout too, and with it which errors count: no other job, thread or hash moves it.

    Where the user gave none, that of the job settles the same.
    """
    ghz = (
        HEAD3
        + "qubit[4] q;\nbit[4] c;\nh q[0];\n"
        + "".join(f"cx q[0], q[{k}];\n" for k in (1, 2, 3))
        + "c = measure q;\n"
    )
    loose = (
        HEAD3 + "qubit[3] q;\nbit[3] c;\nh q;\nc[0] = measure q[0];\nif (c == 1) { cx q[1], q[2]; }\nc = measure q;\n"
    )
    rotated = HEAD3 + "qubit[7] q;\nbit[7] c;\nh q;\n" + "".join(f"cp(0.{k}) q[0], q[{k}];\n" for k in range(1, 7))
    seedless = {"experiment_0": {"program": rotated + "h q;\nc = measure q;\n", "shots": 500}}
    code = (
        "import json, sys; from tasks.backends.registry import load; b = load('noisyqubits')\n"
        "for seed, document in json.load(sys.stdin):\n"
        "    found = [each['data'] for each in b.execute(b.compile(b.validate(document), seed))]\n"
        "    said = {e['seeds']['simulation']: [e['counts'], e['transpiled']['program']] for e in found}\n"
        "    print(json.dumps(said, sort_keys=True))"
    )
    two = {
        "experiment_0": {"program": ghz, "shots": 400, "seed": 7},
        "experiment_1": {"program": loose, "shots": 400, "seed": 8},
    }
    other = {
        "experiment_0": {**two["experiment_1"]},
        "experiment_3": {"program": loose, "shots": 9, "seed": 9},
        "experiment_7": two["experiment_0"],
    }
    jobs: list[tuple[int, Any]] = [
        (1, two),
        (2**60, two),
        (3, other),
        (4, dict(reversed(list(two.items())))),
        (11, seedless),
    ]
    answers: dict[str, set[str]] = {}
    for threads, order in (("1", jobs), ("2", jobs[::-1])):
        variables = {f"{name}_NUM_THREADS": threads for name in ("OMP", "RAYON", "OPENBLAS")} | {
            "PYTHONHASHSEED": threads
        }
        ran = subprocess.run(
            [sys.executable, "-c", code], input=json.dumps(order), env=os.environ | variables, cwd=ROOT, text=True,
            capture_output=True, check=True,
        )  # fmt: skip
        for line in ran.stdout.splitlines():
            for seed, answer in json.loads(line).items():
                answers.setdefault(seed, set()).add(json.dumps(answer))
    assert [len(found) for found in answers.values()] == [1] * 4
    assert {"7", "8", "9"} < set(answers)


def test_the_seed_of_the_job_settles_what_no_user_did():
    """Without a seed of the user's, the recorded one gives the same again, and another one something else."""
    program = HEAD3 + "qubit[3] q;\nbit[3] c;\nh q;\nc = measure q;\n"
    backend = Qubits("noisyqubits", DEFAULT, noisy=True)

    def counts(seed: int) -> Any:
        document = {"program": program, "shots": 500}
        return [each["data"]["counts"] for each in backend.execute(backend.compile(backend.validate(document), seed))]

    assert counts(11) == counts(11)
    assert counts(11) != counts(12)
