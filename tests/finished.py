"""Jobs that have run, without running them: a worker's facts, and a result where it belongs."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from models.facts import Compiled, Completed, Executed, Fact, Uploaded, Validated
from models.job import Job
from storage import layout
from tasks.services import Services


def run(services: Services, job_id: str, *facts: Fact) -> Job:
    """Let a worker claim a job, and do this with it."""
    job = services.log.claim_job(job_id, "worker-7", datetime.now(UTC) + timedelta(hours=1))
    assert job is not None
    return services.log.append(job, *facts, attempt=job.attempt, actor="worker-7")


def finish(services: Services, job_id: str, *experiments: dict[str, Any]) -> Job:
    """Give a job a result, of these experiments."""
    backend = services.log.get(job_id).backend
    document = {"job_id": job_id, "display_name": backend, "backend_version": "1", "results": experiments}
    content = json.dumps(document).encode()
    digest, path = hashlib.sha256(content).hexdigest(), layout.result(backend, job_id)
    services.stores.of("").put(path, content)
    executed = Executed(
        seconds=0.5,
        cpu_seconds=0.5,
        seed=7,
        versions={"python": "3.11"},
        backend_config_sha256="c",
        result_sha256=digest,
        result_bytes=len(content),
        staged="staged/x.json",
    )
    uploaded = Uploaded(path=path, bytes=len(content), sha256=digest)
    facts = (Validated(experiments=1, shots=4), Compiled(program_sha256="p" * 64, program_bytes=3, seed=7))
    return run(services, job_id, *facts, executed, uploaded, Completed())


def experiment(name: str, *memory: str) -> dict[str, Any]:
    """Return the result of one experiment."""
    return {"header": {"name": name}, "shots": len(memory), "success": True, "data": {"memory": list(memory)}}
