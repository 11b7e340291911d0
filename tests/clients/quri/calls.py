"""Runs in the environment of the unchanged `quri-parts-oqtopus`: runs its circuits, and prints what came back.

OQTOPUS_URL and OQTOPUS_API_TOKEN say where and as whom.
"""

import json
import os
from typing import Any

from quri_parts.backend import BackendError
from quri_parts.circuit import QuantumCircuit
from quri_parts.core.operator import Operator, pauli_label
from quri_parts_oqtopus.backend import (
    OqtopusConfig,
    OqtopusDeviceBackend,
    OqtopusEstimationBackend,
    OqtopusSamplingBackend,
)

config = OqtopusConfig(os.environ["OQTOPUS_URL"], os.environ["OQTOPUS_API_TOKEN"])
bell = QuantumCircuit(2)
bell.add_H_gate(0)
bell.add_CNOT_gate(0, 1)
flip = QuantumCircuit(1)
flip.add_X_gate(0)
seeded = {"seed_simulation": 7}
sampling, estimation = OqtopusSamplingBackend(config), OqtopusEstimationBackend(config)
found: dict[str, Any] = {}

device = OqtopusDeviceBackend(config).get_device("qubits")
found["device"] = [device.device_id, device.status, device.n_qubits, len(device.device_info["qubits"])]

job = sampling.sample(bell, device_id="qubits", shots=1000, name="bell", simulator_info=seeded)
found["sampling"] = [sorted(job.result(wait=0.1).counts.items()), job.status, job.name]
found["retrieved"] = sampling.retrieve_job(job.job_id).status

result = sampling.sample([bell, flip], device_id="qubits", shots=100).result(wait=0.1)
found["multi_manual"] = [sorted(result.counts), sorted(result.divided_counts[1].items())]

operator = Operator({pauli_label("X0 X1"): 1.5, pauli_label("Z0 Z1"): 0.5})
value = estimation.estimate(bell, operator, device_id="qubits", shots=1000).result(wait=0.1)
found["estimation"] = [value.exp_value, value.stds]

job = sampling.sample(bell, device_id="qubits", shots=10, transpiler_info={"transpiler_lib": "ouqu-tp"})
try:
    job.result(wait=0.1)
except BackendError as error:
    found["invalid"] = [str(error), job.job_info["message"]]

print(json.dumps(found))
