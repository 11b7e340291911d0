"""Makes the frozen log of a thousand jobs of release 0.1.0: `python thousand_0_1_0.py WORK OUT.sql.xz`, in a checkout.

It runs the release's own code, never today's. WORK is an empty folder for its home. The log is made once and never
again: another run has other times. Of five jobs one waits; of the others most are DONE, some are in ERROR.
"""

import hashlib
import json
import lzma
import os
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

WORK, OUT = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
os.environ |= {"QULEDGER_HOME": str(WORK), "QULEDGER_STORAGE": (WORK / "storage").as_uri()}
sys.path.insert(0, str(Path.cwd()))

from models import clock  # noqa: E402 - the release's, found by the path above
from models.errors import Fault  # noqa: E402
from models.events import Compiled, Completed, Executed, Failed, Submitted, Uploaded, Validated  # noqa: E402
from models.settings import Settings  # noqa: E402
from storage import layout  # noqa: E402
from tasks.services import Services  # noqa: E402

JOBS, BACKEND, WORKER = 1000, "singlequdit", "vm:2:ffffff"
LINES = [["load", [0], [10]], ["rlx", [0], [1.0]], ["measure", [0], []]]
DOCUMENT = json.dumps({"experiment_0": {"instructions": LINES, "num_wires": 1, "shots": 20}}).encode()


def finished(services: Services, job_id: str, seed: int) -> tuple:
    """Put a result where front ends look; return the facts that say so."""
    content, path = json.dumps({"job_id": job_id, "results": []}).encode(), layout.result(BACKEND, job_id)
    services.stores.of("").put(path, content)
    digest = hashlib.sha256(content).hexdigest()
    executed = Executed(
        seconds=0.1,
        cpu_seconds=0.1,
        seed=seed,
        versions={"python": "3.11"},
        backend_config_sha256="2" * 64,
        result_sha256=digest,
        result_bytes=len(content),
        staged=layout.staged(job_id, 1),
    )
    return (
        Validated(experiments=1, shots=20, cost=0.5),
        Compiled(program_sha256="1" * 64, program_bytes=9, seed=seed),
        executed,
        Uploaded(path=path, bytes=len(content), sha256=digest),
        Completed(),
    )


services = Services(Settings.read(), worker="vm:1:000000")
for number in range(JOBS):
    job_id, user = f"{number:024x}", f"user{number % 7}"
    about = {"backend": BACKEND, "user": user, "source": "cli", "received_at": clock.now()}
    services.log.submit(job_id, Submitted.of(DOCUMENT, keep_up_to=10**6, **about), "vm:1:000000")
    if number % 5 == 4:
        continue
    job = services.log.claim_job(job_id, WORKER, clock.now() + timedelta(hours=1))
    fault = Failed(stage="validation", blame="user", faults=(Fault(message="no such wire"),), fault_count=1)
    facts = (fault,) if number % 11 == 3 else finished(services, job_id, number)
    services.log.append(job, *facts, attempt=1, actor=WORKER)
services.mirror.relay_all()
services.log.engine.dispose()
with sqlite3.connect(WORK / "quledger.db") as log:
    OUT.write_bytes(lzma.compress("\n".join(log.iterdump()).encode(), preset=9))
