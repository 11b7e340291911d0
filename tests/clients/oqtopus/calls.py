"""Runs in the environment of the unchanged `oqtopus-client`: makes every call of it once, and prints what came back.

OQTOPUS_URL and OQTOPUS_API_TOKEN say where and as whom; OTHER_TOKEN is that of another user.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

from oqtopus_client import OqtopusClient, OqtopusConfig, OqtopusJobSpec
from oqtopus_client.services.errors import UserApiError

URL = os.environ["OQTOPUS_URL"]
HEAD = 'OPENQASM 3; include "stdgates.inc";'
BELL = f"{HEAD} qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;"
PAIR = f"{HEAD} qubit[2] q; h q[0]; cx q[0], q[1];"
FLIP = f"{HEAD} qubit[1] q; bit[1] c; x q[0]; c = measure q;"
ENDLESS = f"{HEAD} qubit[1] q; bit[1] c; while (c == 0) {{ reset q[0]; c = measure q; }}"

client = OqtopusClient(OqtopusConfig.from_env())
other = OqtopusClient(OqtopusConfig(URL, os.environ["OTHER_TOKEN"]))
nobody = OqtopusClient(OqtopusConfig(URL, "qlg_000000000000_wrong"))


def refused(call: Callable[[], Any]) -> list[Any]:
    """Return the number and the message that a call is refused with."""
    try:
        call()
    except UserApiError as error:
        return [error.status_code, error.payload.message]
    return [200, "not refused"]


def until(job_id: str, *statuses: str) -> str:
    """Return the first of these statuses that a job comes to."""
    end = time.monotonic() + 120
    while (status := client.get_job_status(job_id).status.value) not in statuses:
        if time.monotonic() > end:
            raise TimeoutError(status)
        time.sleep(0.05)
    return str(status)


def times(job: Any) -> bool:
    """Say whether a job that ended has all of its times, in their order."""
    found = [job.submitted_at, job.ready_at, job.running_at, job.ended_at]
    return found == sorted(found)


found: dict[str, Any] = {}

devices = {each.device_id: each for each in client.list_devices()}
found["devices"] = [[name, each.device_type, each.status, each.n_qubits] for name, each in devices.items()]
found["device"] = client.get_device("noisyqubits").device_info["qubits"][0]["meas_error"]
found["no device"] = refused(lambda: client.get_device("nope"))

seeded = {"seed_simulation": 7}
job = client.run_sampling(
    OqtopusJobSpec.sampling(device_id="qubits", program=BELL, shots=1000, name="bell", simulator_info=seeded),
    interval=0.1,
)
sampled = job.job_id
found["sampling"] = [job.status.value, job.name, job.shots, job.get_counts(), job.counts_with_integer_keys()["counts"]]
found["sampling times"] = times(job)
found["sampling infos"] = [job.transpiler_info, job.simulator_info, job.mitigation_info]
found["sampling input"] = job.job_info.input.program
found["transpiled"] = [
    "measure $" in job.transpile_result.transpiled_program,
    job.transpile_result.stats["after"]["n_gates_2q"],
    job.transpile_result.virtual_physical_mapping["bit_mapping"],
]

operator = [{"pauli": "X 0 X 1", "coeff": 1.5}, {"pauli": "Z 0 Z 1", "coeff": 0.5}]
job = client.run_estimation(
    OqtopusJobSpec.estimation(device_id="qubits", program=PAIR, operator=operator, shots=1000), interval=0.1
)
found["estimation"] = [job.status.value, job.exp_value, job.stds]

mitigated = {"ro_error_mitigation": "pseudo_inverse"}
spec = OqtopusJobSpec.multi_manual(
    device_id="noisyqubits", program=[BELL, FLIP], shots=1000, mitigation_info=mitigated, simulator_info=seeded
)
job = client.run_multi_manual(spec, interval=0.1)
found["multi_manual"] = [job.status.value, job.get_counts(), job.get_divided_counts()]
found["unmitigated"] = job.job_info.result.additional_properties["unmitigated"]["sampling"]["counts"]

spec = OqtopusJobSpec.sampling(
    device_id="qubits",
    program=BELL.replace("cx", "cz q[0], q[7]; cx"),
    transpiler_info={"transpiler_lib": "tket"},
    simulator_info={"n_nodes": 2},
)
job = client.run_sampling(spec, interval=0.1)
found["invalid"] = [job.status.value, job.message, job.get_counts()]
found["sse"] = refused(lambda: client.submit_job(OqtopusJobSpec.sse(device_id="qubits", program="print()")))
found["unknown device"] = refused(lambda: client.submit_job(OqtopusJobSpec.sampling(device_id="nope", program=BELL)))

endless = client.submit_job(OqtopusJobSpec.sampling(device_id="qubits", program=ENDLESS, name="endless")).job_id
until(endless, "running")
found["delete too early"] = refused(lambda: client.delete_job(endless))
found["cancel"] = client.cancel_job(endless).message
found["cancelled"] = [until(endless, "cancelled", "failed", "succeeded"), client.get_job(endless).message]
found["cancel again"] = refused(lambda: client.cancel_job(endless))

found["list"] = [[each.status.value, each.name, each.job_info] for each in client.list_jobs()]
found["page"] = [each.job_id for each in client.list_jobs(size=1, page=5)] == [sampled]
found["search"] = [each.job_id for each in client.list_jobs(q="bell")] == [sampled]
found["list of another"] = other.list_jobs()
found["delete"] = client.delete_job(sampled).message
found["deleted"] = refused(lambda: client.get_job(sampled))
for name, call in {
    "get": lambda: other.get_job(endless),
    "status": lambda: other.get_job_status(endless),
    "cancel": lambda: other.cancel_job(endless),
    "delete": lambda: other.delete_job(endless),
}.items():
    found[f"{name} of another"] = refused(call)[0]
found["wrong token"] = refused(nobody.list_devices)

print(json.dumps(found))
