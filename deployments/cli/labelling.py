"""`quledger label`: sets labels of a job."""

from typing import Annotated

from cyclopts import Parameter

from deployments.cli.existing import existing
from deployments.cli.operator import actor
from deployments.cli.output import Json, print_output
from models.errors import BadName
from models.labels import changes_said, in_a_line
from tasks.jobs import labelling


def label(job_id: str, *changes: Annotated[str, Parameter(allow_leading_hyphen=True)], as_json: Json = False) -> int:
    """Set labels of a job, and take others away.

    Example: `quledger label 3f2a sample=A7 good=yes old-` sets two and takes `old` away.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
        changes: NAME=VALUE sets a label, NAME- takes it away.
    """
    if not changes:
        raise BadName("say what is to be changed: NAME=VALUE sets a label, NAME- takes it away")
    said = changes_said(changes)
    job = labelling.label(existing(), existing().log.id_of(job_id), said, by=actor())
    value = {"job_id": job.job_id, "labels": job.labels}
    print_output(value, lambda: print(f"job {job.job_id}: {in_a_line(job.labels) or 'no labels'}"), as_json=as_json)
    return 0
