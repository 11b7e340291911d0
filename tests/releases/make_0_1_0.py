"""Makes the frozen home of release 0.1.0: `CHECKOUT/.venv/bin/python make_0_1_0.py WORK OUT.tar.xz`, in that checkout.

It runs the release's own program and code, never today's, and ends only where the release itself verifies what it
made. WORK is an empty folder for what the program writes. The archive is made once and never again: another run draws
other ids, keys and times. What it holds: `log.sql` (the database as SQL), the storages `lab` and `far` (the mirror),
`keys` (made for this, of no other use), `devices`, and `expected.json` (each job's last hash, and what the release's
`list --json` says of it).
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

WORK, OUT = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
CHECKOUT = Path.cwd()
HOME, LAB, FAR = WORK / "home", WORK / "lab", WORK / "far"
SIGN = '["singlequdit", "triangle"]'
LEASE = "240"
"""Seconds for which the workers that are killed here keep their jobs: no later command of this script ends them."""

os.environ |= {
    "QULEDGER_HOME": str(HOME),
    "QULEDGER_STORAGE": json.dumps({"lab": LAB.as_uri(), "far": FAR.as_uri()}),
    "QULEDGER_DEVICES": str(WORK / "devices"),
    "QULEDGER_SIGN": SIGN,
    "QULEDGER_LEASE_SECONDS": LEASE,
    "QULEDGER_CONCURRENCY": "1",
    "QULEDGER_MAX_DOCUMENT_MB": "0.02",
    "QULEDGER_SETTLE_SECONDS": "0.1",
    "PREFECT_HOME": str(WORK / "prefect"),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PYTHONDONTWRITEBYTECODE": "1",
}
os.environ.pop("PREFECT_API_URL", None)
sys.dont_write_bytecode = True
sys.path.insert(0, str(CHECKOUT))

from models import clock  # noqa: E402 - the release's, found by the path above
from models.errors import Fault, StaleAttempt  # noqa: E402
from models.events import (  # noqa: E402
    Compiled,
    Executed,
    LeaseExpired,
    Retried,
    Uploaded,
    Validated,
    Withdrawn,
)
from models.retry import failure, given_back  # noqa: E402
from models.settings import Settings  # noqa: E402
from storage import layout  # noqa: E402
from tasks.services import Services, use  # noqa: E402
from tasks.submission import revive  # noqa: E402


def quledger(*arguments: str, code: int | None = 0, **settings: str) -> str:
    """Run the release's program; None lets it end as it likes."""
    program = [str(CHECKOUT / ".venv" / "bin" / "quledger"), *arguments]
    done = subprocess.run(program, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


def submit(backend: str, document: object, *options: str) -> str:
    """Hand in a document as people do; return the job's id."""
    path = WORK / ("program.qasm" if isinstance(document, str) else "job.json")
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return quledger("submit", backend, str(path), *options).strip()


def queue(backend: str, job_id: str, content: bytes, store: Path = LAB) -> str:
    """Hand in a document as front ends do."""
    path = store / "jobs" / "queued" / backend / f"{job_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    status = store / "status" / backend / path.name
    status.parent.mkdir(parents=True, exist_ok=True)
    first = {"job_id": job_id, "status": "INITIALIZING", "detail": "Got your json.", "error_message": "None"}
    status.write_text(json.dumps(first))
    return job_id


def spin(angle: float, shots: int = 20) -> dict:
    """Return a job of the spin."""
    lines = [["load", [0], [10]], ["rlx", [0], [angle]], ["measure", [0], []]]
    return {"experiment_0": {"instructions": lines, "num_wires": 1, "shots": shots, "wire_order": "interleaved"}}


BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'
TRIANGLE = {
    "device_id": "triangle",
    "n_qubits": 3,
    "couplings": [[0, 1], [1, 2], [0, 2]],
    "basis_gates": ["cx", "rz", "sx", "x"],
    "readout": [{"qubit": 0, "prob_meas1_prep0": 0.01, "prob_meas0_prep1": 0.05}],
    "gate_errors": [{"gate": "cx", "error": 0.01}],
    "simulator": "noisy",
}


def real_runs() -> None:
    """Run jobs with three keys in turn: one is rotated away, one revoked."""
    quledger("keys", "new")
    quledger("keys", "new", "--backend", "triangle")
    submit("singlequdit", spin(1.57), "--user", "alice", "--project", "rabi", "--priority", "5", "--key", "sweep-1")
    submit("singlequdit", spin(0.7), "--user", "Ünïcødé 量子", "--storage", "far")
    submit("multiqudit", {"experiment_0": spin(0.5)["experiment_0"] | {"num_wires": 2}}, "--user", "bob", "--key", "k")
    submit("rydberg", json.loads((CHECKOUT / "examples" / "rydberg_blockade.json").read_text()), "--key", "no-user")
    submit("triangle", BELL, "--user", "bob", "--project", "bell", "--shots", "50", "--seed", "7")
    submit("singlequdit", {"experiment_0": spin(1.0)["experiment_0"] | {"shots": -1, "num_wires": 7}}, "--user", "bob")
    submit("singlequdit", spin(1.0, shots=10**7), "--user", "bob")
    submit("triangle", "OPENQASM 3.0; qubit[2] q; nosuchgate q[0];", "--user", "bob")
    queue("singlequdit", "20261120_101112-singlequdit-carol-of-the-lab-0a1b2", json.dumps(spin(0.2)).encode())
    queue("singlequdit", "65f0c0ffee65f0c0ffee65f0", b'{"experiment_0": "\xff\xfe"}')
    queue("fermions", "65f0c0ffee65f0c0ffee65f1", b"it is no JSON")
    queue("fermions", "65f0c0ffee65f0c0ffee65f2", b'{"experiment_0": "' + b"x" * 25_000 + b'"}', FAR)
    quledger("drain", "--until-empty")
    quledger("keys", "rotate")
    submit("singlequdit", spin(0.3), "--user", "alice", "--key", "sweep-2")
    quledger("drain", "--until-empty", "-b", "singlequdit")
    stolen = json.loads(quledger("keys", "show", "--json"))
    [kid] = [key["kid"] for key in stolen if key["state"] == "signs" and "*" in key["backends"]]
    time.sleep(1.1)
    quledger("keys", "revoke", kid, "--reason", "the laptop was stolen")
    submit("singlequdit", spin(0.4), "--user", "alice", "--storage", "far")
    quledger("drain", "--until-empty", "-b", "singlequdit")


class Hands:
    """What no drain can be made to do at will, done through the release's own log and mirror."""

    def __init__(self) -> None:
        self.services = Services(Settings.read(), worker="vm:1:000000")
        use(self.services)
        self.log = self.services.log

    def claimed(self, *options: str, worker: str = "vm:2:ffffff", lease: float = 3600, take: bool = True):
        """Return a new job that a worker has claimed; a negative lease has run out."""
        job_id = submit("multiqudit", {"experiment_0": spin(0.1)["experiment_0"]}, "--user", "dora", *options)
        job = self.log.claim_job(job_id, worker, clock.now() + timedelta(seconds=lease))
        assert job is not None
        if take:
            assert self.services.mirror.take(job)
        return job

    def append(self, job, *facts, attempt: int | None = None):  # noqa: ANN001, ANN002
        """Append as the worker that holds the job."""
        return self.log.append(job, *facts, attempt=attempt or job.attempt, actor="vm:2:ffffff", flow_run_id=RUN)

    def computed(self, job, *, uploaded: bool):  # noqa: ANN001
        """Bring a job to EXECUTED with a staged result, or to UPLOADED."""
        staged = layout.staged(job.job_id, job.attempt)
        storage = self.services.stores.of(job.storage)
        result = json.dumps(RESULT | {"job_id": job.job_id}).encode()
        storage.put(staged, result)
        facts = [
            Validated(experiments=1, shots=1, cost=0.5),
            Compiled(program_sha256="1" * 64, program_bytes=10, seed=5),
            Executed(
                seconds=0.1,
                cpu_seconds=0.1,
                seed=5,
                versions={"python": "3.11"},
                backend_config_sha256="2" * 64,
                result_sha256=sha256(result),
                result_bytes=len(result),
                staged=staged,
            ),
        ]
        if uploaded:
            path = layout.result(job.backend, job.job_id)
            storage.put(path, result)
            facts.append(Uploaded(path=path, bytes=len(result), sha256=sha256(result)))
        return self.append(job, *facts)

    def all(self) -> None:
        """Bring about every event and every state that is still missing."""
        quledger("cancel", submit("multiqudit", spin(0.1), "--user", "dora"), "--reason", "a typing error")
        # Silent workers: one job waits again and is refused the late write, one ends after its last attempt.
        late = self.claimed("--key", "late", lease=-1)
        quledger("reconcile")
        with contextlib.suppress(StaleAttempt):
            self.append(late, Validated(experiments=1, shots=20))
        self.claimed(lease=-1, take=False)
        quledger("reconcile", QULEDGER_MAX_ATTEMPTS="1")
        for stage, blame in (
            ("submission", "infrastructure"),
            ("compilation", "infrastructure"),
            ("execution", "backend"),
            ("upload", "infrastructure"),
        ):
            fault = Fault(message=f"the {stage} broke (for the record)", code="runtime")
            self.append(self.claimed(), failure(stage, blame, (fault,)))
        # Executed, failed, given another chance: it waits with its staged result.
        job = self.computed(self.claimed(), uploaded=False)
        self.append(job, failure("upload", "infrastructure", (Fault(message="the disk was full", code="runtime"),)))
        self.services.mirror.relay_all()
        revive(job.job_id)
        # Its staged result is lost: it begins at the beginning.
        job = self.computed(self.claimed(), uploaded=False)
        self.services.stores.of(job.storage).delete(job.executed.staged)
        again = Retried(reason="the staged result is gone", after_seconds=1, not_before=clock.now(), run_again=True)
        self.append(job, again)
        self.append(self.claimed(), given_back("the run was interrupted", clock.now()))
        job = self.claimed()
        expired = LeaseExpired(worker="vm:2:ffffff", lease_until=clock.now())
        self.append(job, expired, Retried(reason="silent", after_seconds=0.5, not_before=clock.now()))
        # Another spooler is quicker; of two such jobs one comes back.
        for job_id, comes_back in (("65f0c0ffee65f0c0ffee65fa", False), ("65f0c0ffee65f0c0ffee65fb", True)):
            queue("multiqudit", job_id, json.dumps(spin(0.6)).encode())
            time.sleep(0.2)
            self.services.inboxes["lab"].take("multiqudit", "vm:1:000000")
            job = self.log.claim_job(job_id, "vm:2:ffffff", clock.now() + timedelta(seconds=60))
            queued = LAB / "jobs" / "queued" / "multiqudit" / f"{job_id}.json"
            theirs = LAB / "jobs" / "running" / f"{job_id}.json"
            theirs.parent.mkdir(parents=True, exist_ok=True)
            queued.rename(theirs)
            assert not self.services.mirror.take(job)
            self.append(job, Withdrawn())
            self.services.mirror.relay_all()
            if comes_back:
                theirs.rename(queued)
                Services(Settings.read()).inboxes["lab"].take("multiqudit", "vm:1:000000")
        # Running, and wanted cancelled; running, and computed.
        cancelled = self.claimed("--key", "to-be-cancelled", lease=float(LEASE))
        quledger("cancel", cancelled.job_id, "--reason", "no longer needed")
        self.computed(self.claimed(lease=float(LEASE)), uploaded=True)


RUN = "01234567-89ab-4cde-8f01-23456789abcd"
RESULT = {
    "backend_name": None,
    "display_name": "multiqudit",
    "backend_version": "0.3",
    "job_id": "",
    "qobj_id": None,
    "success": True,
    "status": "DONE",
    "header": {},
    "results": [
        {
            "header": {"name": "experiment_0", "extra metadata": "text"},
            "shots": 2,
            "success": True,
            "data": {"memory": ["10", "9"], "instructions": None},
        }
    ],
}


def sha256(content: bytes) -> str:
    """Return the hash as the log has it."""
    return hashlib.sha256(content).hexdigest()


def killed_workers() -> None:
    """Kill a drain at each step, with one job in its hands; the jobs stay as the kill left them."""
    for point in (
        "claim.appended",
        "take.recorded",
        "validation.appended",
        "compilation.appended",
        "execution.appended",
        "upload.written",
    ):
        signed = point in {"execution.appended", "upload.written"}
        backend, document = ("singlequdit", spin(0.9)) if signed else ("rydberg", BLOCKADE)
        submit(backend, document, "--user", "erin", "--project", point.partition(".")[0])
        quledger("drain", "--until-empty", "-b", backend, code=None, QULEDGER_CRASH=f"{point}:kill:1")


BLOCKADE = json.loads((CHECKOUT / "examples" / "rydberg_blockade.json").read_text())


def waiting() -> None:
    """Hand in what is still to run when somebody else goes on with this home."""
    submit("singlequdit", spin(1.1), "--user", "alice", "--key", "waits-1", "--priority", "7")
    submit("singlequdit", spin(1.2), "--key", "waits-of-nobody", "--storage", "far")
    submit("triangle", BELL, "--user", "bob", "--shots", "20", "--project", "bell", "--key", "waits-1")
    submit("rydberg", BLOCKADE, "--user", "bob", "--priority", "-3")


def freeze() -> None:
    """Write the archive: the same content gives the same bytes."""
    log = sqlite3.connect(HOME / "quledger.db")
    frozen = WORK / "frozen"
    frozen.mkdir()
    (frozen / "log.sql").write_text("\n".join(log.iterdump()) + "\n", encoding="utf-8")
    listed = json.loads(quledger("list", "--json", "--limit", "1000"))
    heads = dict(
        log.execute("SELECT job_id, hash FROM event AS e WHERE seq = (SELECT seq FROM job WHERE job_id = e.job_id)")
    )
    expected = {job["job_id"]: {"last_hash": heads[job["job_id"]], "listed": job} for job in listed}
    (frozen / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True))
    for name, folder in (("lab", LAB), ("far", FAR), ("keys", HOME / "keys"), ("devices", WORK / "devices")):
        folder.rename(frozen / name)

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = int(datetime(2026, 11, 26, tzinfo=UTC).timestamp())
        return member

    with tarfile.open(OUT, "w:xz", preset=9) as archive:
        for path in sorted(frozen.rglob("*")):
            archive.add(path, path.relative_to(frozen), recursive=False, filter=plain)


def main() -> None:
    """Make the home, see that the release verifies it, and freeze it."""
    (WORK / "devices").mkdir(parents=True)
    (WORK / "devices" / "triangle.json").write_text(json.dumps(TRIANGLE, indent=1))
    real_runs()
    Hands().all()
    killed_workers()
    waiting()
    quledger("reconcile")
    quledger("verify", "--no-prefect")
    freeze()


if __name__ == "__main__":
    main()
