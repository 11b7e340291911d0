"""What is said of a job that is handed in, and what may be said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from models.errors import MAX_ECHO, BadName, Fault, InputError, JobRejected, echo, printable
from models.facts import Source, Submitted
from models.groups import Cell, group_faults
from models.job import Job
from models.labels import BadLabels, label_faults, one_spelling_of
from models.names import is_job_id, one_spelling

MAX_PRIORITY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job that somebody hands in.

    Attributes:
        document: the job document's bytes.
        user: whose job it is; proven where `source` is `api`, where it has to be given.
        key: idempotency key: the same key of a user in a project, with the same document, is the same job.
        storage: name of the one that holds its documents; empty for the first one.
        job_id: the id that the job has to get; None leaves the choice. It goes with no key.
        run_id: the flow run that hands it in; without a key, one flow run is one job.
        derived_from: id of the job that this one was made from; empty if from none.
        shots: of all of its experiments, where somebody has counted them.
        seed: for its compilation, of the job that it repeats; None leaves it to chance.
        labels: name -> value, as `models/labels.py` allows.
        group: name of the group that it belongs to; empty for none.
        parameters: what was swept: one row for the whole job, or one for each experiment.
    """

    backend: str
    document: bytes
    user: str = ""
    project: str = ""
    priority: int = 0
    key: str | None = None
    source: Source = "cli"
    storage: str = ""
    job_id: str | None = None
    run_id: str | None = None
    derived_from: str = ""
    shots: int | None = None
    seed: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    parameters: Sequence[Mapping[str, Cell]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "user", one_spelling(self.user))
        object.__setattr__(self, "project", one_spelling(self.project))
        # Names that are one are left as two: a fault says so.
        if len(labels := one_spelling_of(self.labels)) == len(self.labels):
            object.__setattr__(self, "labels", labels)


class Begun(NamedTuple):
    """The job of a submission.

    Attributes:
        is_new: whether this submission began it; if not, it was there.
    """

    job: Job
    is_new: bool


def owner_of(job: Job | Submitted) -> str:
    """Return the user who has proven that the job is his; empty if nobody has."""
    return job.user if job.source == "api" else ""


def fault_of(submission: Submission, max_bytes: int) -> InputError | None:
    """Return why a job cannot be handed in like this, to whatever backend and storage; None if it can.

    Args:
        max_bytes: of a document.
    """
    wrong = _wrong_words(submission)
    faults = label_faults(submission.labels)
    more = group_faults(submission.group, submission.parameters)
    if faults or more:
        kind = JobRejected if more or wrong else BadLabels
        return kind(*(Fault(message=text) for text in wrong), *faults, *more)
    if wrong:
        return BadName("; ".join(wrong))
    size = len(submission.document)
    if size > max_bytes:
        message = f"the document has {size / 1e6:.1f} MB; at most {max_bytes / 1e6:g} MB are accepted"
        return JobRejected(Fault(message=message))
    return None


def _wrong_words(submission: Submission) -> list[str]:
    named = (("user", submission.user), ("project", submission.project), ("key", submission.key or ""))
    wrong = [
        f"the {what} {echo(text)} has to be printable, at most {MAX_ECHO} characters"
        for what, text in named
        if text and text != printable(text)
    ]
    if submission.key == "":
        wrong.append("the key is empty; give it a value, or leave it out")
    if submission.source == "api" and not submission.user:
        wrong.append("the user is empty")
    if abs(submission.priority) > MAX_PRIORITY:
        wrong.append(f"the priority {echo(submission.priority)} is not a number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
    for what, text in (("job_id", submission.job_id), ("derived_from", submission.derived_from or None)):
        if text is not None and not is_job_id(text):
            wrong.append(f"the {what} {echo(text)} is not a job id")
    if submission.job_id is not None and submission.key is not None:
        wrong.append("a key and a job_id were given; either of them says which job it is")
    if submission.shots is not None and submission.shots < 0:
        wrong.append(f"the shots {echo(submission.shots)} are fewer than 0")
    return wrong
