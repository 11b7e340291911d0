"""The commands about jobs: hand one in, look at it, cancel it, try it again."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from deployments.cli import render
from deployments.cli.output import Json, print_output
from models.cancelling import why_cancelled
from models.errors import BadName, InputError, UnreadableFile, echo
from models.job import State
from models.job_language.openqasm_opening import is_openqasm
from models.names import one_spelling
from models.requests import qasm_document
from models.submissions import Submission
from tasks.backends import registry
from tasks.jobs import submission
from tasks.services import current

USUAL_SHOTS = 1000

MAX_LIMIT = 2**63 - 1
"""More jobs no database counts."""


def submit(  # noqa: PLR0913 - one parameter an option
    backend: str,
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    user: str = "",
    project: str = "",
    priority: int = 0,
    key: str | None = None,
    shots: int | None = None,
    seed: int | None = None,
    storage: str = "",
    check: bool = True,
    as_json: Json = False,
) -> int:
    """Hand in a job and print its id.

    Args:
        backend: Display name of the backend; `quledger backends` lists them.
        file: The job document (JSON), or an OpenQASM program for a qubit device; `-` reads standard input.
        user: Whose job it is.
        project: What it belongs to.
        priority: Higher is served first among the jobs of one user.
        key: Idempotency key: the same key with the same document, of one user in one project, is the same job.
        shots: Of an OpenQASM program; 1000 if left out. A JSON document says its own.
        seed: Of an OpenQASM program: the same seed gives the same counts.
        storage: Name of the storage that holds its documents, where there are several; the first one by default.
        check: Validate the document first; of one with faults all are named, and nothing is stored.
    """
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(file), error.strerror or "unknown reason") from None
    document = job_document(content, is_qasm=file.suffix == ".qasm", shots=shots, seed=seed)
    services = current()
    services.check_access(storage)

    def checked() -> None:
        if check and (why_not := submission.check_document(services, backend, document)):
            print(f"quledger: the document is handed in without a check: {why_not}", file=sys.stderr)

    handed_in = Submission(
        backend=backend, document=document, user=user, project=project, priority=priority, key=key, storage=storage
    )
    job = submission.submit_document(services, handed_in, checked)
    print_output({"job_id": job.job_id, "state": job.state}, lambda: print(job.job_id), as_json=as_json)
    return 0


def job_document(content: bytes, *, is_qasm: bool, shots: int | None, seed: int | None) -> bytes:
    """Return the job document in a file; an OpenQASM program is made into one.

    Args:
        is_qasm: the file's name says that it is OpenQASM; other texts are if they begin with the word OPENQASM.
        shots: of an OpenQASM program; None for 1000.
        seed: of the same.

    Raises:
        InputError: shots or seed were given for a document that says its own.
    """
    text = content.decode("utf-8", "surrogateescape")
    if is_qasm or is_openqasm(text):
        try:
            program = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"the program is not UTF-8 text (byte {error.start}); OpenQASM is") from None
        return qasm_document(program, USUAL_SHOTS if shots is None else shots, seed)
    if shots is not None or seed is not None:
        raise InputError("--shots and --seed are for OpenQASM programs; a job document says its own")
    return content


def status(job_id: str, *, as_json: Json = False) -> int:
    """Show where a job stands.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
    """
    log = current().log
    job_id = log.id_of(job_id)
    job = log.get(job_id)
    sha256 = job.executed.stands_on if job.executed else ""
    gone = current().calibrations.withdrawn([sha256]).get(sha256) if sha256 else None
    more = {
        "withdrawn": f"the calibration that it stands on: {gone.reason}" if gone else "",
        "cancelled": why_cancelled(log.history(job_id)) if job.cancel_requested else "",
        "held": current().holds.why(job_id),
    }
    more = {name: text for name, text in more.items() if text}
    print_output(render.status_value(job) | more, lambda: render.status(job, more), as_json=as_json)
    return 0


def history(job_id: str, *, as_json: Json = False) -> int:
    """Show every event of a job.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
    """
    events = current().log.history(current().log.id_of(job_id))
    print_output([render.event_value(event) for event in events], lambda: render.history(events), as_json=as_json)
    return 0


def retry(job_id: str, *, as_json: Json = False) -> int:
    """Give a job that ended in ERROR through no fault of its own another chance.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
    """
    job = submission.revive(current(), current().log.id_of(job_id))
    value = {"job_id": job.job_id, "state": job.state}
    print_output(value, lambda: print(f"job {job.job_id} waits again"), as_json=as_json)
    return 0


def cancel(job_id: str, *, reason: str = "", as_json: Json = False) -> int:
    """Cancel a job: at once where it waits; where it runs, its worker stops it within seconds.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        reason: Why; it is kept in the job's history.
    """
    job_id = current().log.id_of(job_id)
    job = submission.cancel(current(), job_id, by="operator", reason=reason)
    text = f"job {job_id} is cancelled" if job.state is State.CANCELLED else f"job {job_id} is being stopped"
    print_output({"job_id": job_id, "state": job.state}, lambda: print(text), as_json=as_json)
    return 0


def list_jobs(*, backend: str = "", user: str = "", state: str = "", limit: int = 50, as_json: Json = False) -> int:
    """List jobs, newest first.

    Args:
        backend: Only of this backend.
        user: Only of this user.
        state: Only in this state, such as QUEUED, DONE or ERROR.
        limit: At most so many.
    """
    if state and state.upper() not in State.__members__:
        raise BadName(f"{echo(state)} is no state; there are: {', '.join(State)}")
    if limit < 1:
        raise BadName("the limit has to be at least 1")
    jobs = current().log.jobs(
        backend=backend, user=one_spelling(user), state=state.upper(), limit=min(limit, MAX_LIMIT)
    )
    print_output([render.status_value(job) for job in jobs], lambda: render.jobs(jobs), as_json=as_json)
    return 0


def backends(*, as_json: Json = False) -> int:
    """List the backends of this installation and how many jobs wait for each."""
    counts, signer = current().log.counts(), current().keys
    rows = [
        registry.load(name).config.model_dump()
        | {
            "pending_jobs": counts.get(name, {}).get("waiting", 0),
            "running_jobs": counts.get(name, {}).get("running", 0),
            "sign": signer.signs(name),
            "kid": signer.kid(name),
        }
        for name in registry.usable()
    ]
    print_output(rows, lambda: render.backends(rows), as_json=as_json)
    return 0
