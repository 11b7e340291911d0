"""`quledger submit`: hands in a job, or a sweep."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from deployments.cli.documents import document_in
from deployments.cli.following import expect_seconds, show_end
from deployments.cli.output import Json, Labels, print_output
from deployments.cli.sweeping import NO_SWEEP, SweepOptions, submit_sweep
from models.errors import BadName
from models.labels import labels_said
from models.submissions import Submission
from storage.log.pauses import pauses
from tasks.jobs import submission
from tasks.services import current


def submit(  # noqa: PLR0913 - one parameter an option
    backend: str,
    file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    user: str = "",
    project: str = "",
    priority: int = 0,
    key: str | None = None,
    shots: int | None = None,
    seed: int | None = None,
    storage: str = "",
    label: Labels = None,
    derived_from: str = "",
    group: str = "",
    check: bool = True,
    wait: Annotated[bool, Parameter(negative="")] = False,
    timeout: float | None = None,
    sweep: SweepOptions = NO_SWEEP,
    as_json: Json = False,
) -> int:
    """Hand in a job and print its id; or a sweep, a job for each row of a table.

    Examples: `quledger submit qubits bell.qasm --shots 1000 --wait`;
    `quledger submit singlequdit --sweep sweep.csv --template job.json`.

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
        label: A label of the job, as NAME=VALUE; may be given several times.
        derived_from: Id of the job that this one was made from.
        group: Name of the group that it belongs to.
        check: Validate the document first; of one with faults all are named, and nothing is stored.
        wait: Wait for its end and print the result; the exit code is then 0 if it is DONE, 2 if the document was at
            fault, 1 for any other end.
        timeout: Wait at most so many seconds; then the code is 1, and the job goes on.
    """
    services = current()
    handed_in = Submission(
        backend=backend,
        document=b"",
        user=user,
        project=project,
        priority=priority,
        key=key,
        storage=storage,
        labels=labels_said(label or []),
        derived_from=services.log.id_of(derived_from) if derived_from else "",
        group=group,
    )
    if sweep != NO_SWEEP:
        what = {"a FILE": file, "--key": key, "--shots": shots, "--seed": seed, "--wait": wait or timeout}
        if given := [name for name, value in what.items() if value]:
            raise BadName(f"{', '.join(given)} cannot be given with a sweep")
        return submit_sweep(handed_in, sweep, check=check, as_json=as_json)
    if file is None:
        raise BadName("say which FILE is to be handed in, or which sweep, by --sweep and --template")
    if timeout is not None and not wait:
        raise BadName("--timeout is for --wait")
    expect_seconds(timeout)
    document = document_in(file, shots, seed, services.settings.max_document_bytes)
    services.check_access(storage)

    def checked() -> None:
        if check and (why_not := submission.check_document(services, backend, document)):
            print(f"quledger: the document is handed in without a check: {why_not}", file=sys.stderr)

    job = submission.submit_document(services, dataclasses.replace(handed_in, document=document), checked)
    if pause := pauses(services.log.engine).get(backend):
        print(f"quledger: the job waits, {pause}", file=sys.stderr)
    if wait:
        return show_end(services, job, timeout, as_json=as_json)
    print_output({"job_id": job.job_id, "state": job.state}, lambda: print(job.job_id), as_json=as_json)
    return 0
