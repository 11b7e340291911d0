"""`quledger rerun`: hands in the document of a job again, as a new job that is derived from it."""

import sys
from typing import Annotated

from cyclopts import Parameter

from deployments.cli.existing import existing
from deployments.cli.output import Json, print_output
from models.errors import InputError, ResultMissing
from models.submissions import Submission
from tasks.jobs import submission
from tasks.jobs.reruns import changes_since, executed_of

SOMETHING_DIFFERS = 3


def rerun(  # noqa: PLR0913 - one parameter an option
    job_id: str,
    *,
    exact: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    key: str | None = None,
    check: bool = True,
    as_json: Json = False,
) -> int:
    """Hand in the document of a job again, as a new job that is derived from it, and print its id.

    Example: `quledger rerun 0123abcd --exact`. With `--exact` the exit code is 3 where something is otherwise now.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        exact: With the seed that is on record, and say what is otherwise now: versions, configuration, calibration.
        dry_run: Only say what is otherwise now; nothing is handed in.
        key: Idempotency key: the same key is the same new job, however often.
        check: Validate the document first; of one with faults all are named, and nothing is stored.
    """
    if dry_run and not exact:
        raise InputError("--dry-run goes with --exact: it says what is otherwise now")
    services = existing()
    job = services.log.get(services.log.id_of(job_id))
    document = services.log.document(job.job_id)
    if document is None:
        raise ResultMissing(f"the document of job {job.job_id} was too large to be kept")
    changes = changes_since(services, job, compile_again=True) if exact else []
    value = {"job_id": None, "state": None, "derived_from": job.job_id, "changes": [each._asdict() for each in changes]}
    if not dry_run:
        new = submission.submit_document(
            services,
            Submission(
                backend=job.backend,
                document=document,
                user=job.user,
                project=job.project,
                priority=job.priority,
                key=key,
                storage=job.storage,
                derived_from=job.job_id,
                seed=executed_of(job).seed if exact else None,
            ),
            lambda: _check(job.backend, document) if check else None,
        )
        value |= {"job_id": new.job_id, "state": new.state}

    def show() -> None:
        if value["job_id"]:
            print(value["job_id"])
        for change in changes:
            print(f"otherwise now: {change}", file=sys.stderr)
        if exact and not changes:
            print("nothing is otherwise now", file=sys.stderr)

    print_output(value, show, as_json=as_json)
    return SOMETHING_DIFFERS if changes else 0


def _check(backend: str, document: bytes) -> None:
    if why_not := submission.check_document(existing(), backend, document):
        print(f"quledger: the document is handed in without a check: {why_not}", file=sys.stderr)
