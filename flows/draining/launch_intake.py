"""What people launch becomes jobs of the log: all that are due at once, in their order, each answered as if alone."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from prefect.client.schemas.objects import FlowRun

from flows.run_job import submission_of, untaken
from models.errors import AppendConflict, InputError, LogUnavailable, NotRevivable, StorageError
from models.job import Job, State
from models.names import check_job_id
from models.requests import JobRequest
from models.submissions import Submission
from tasks.jobs.submission import revive, submit_all
from tasks.services import Services

_LOG = logging.getLogger("quledger.launches")

NOT_NOW = (AppendConflict, LogUnavailable, StorageError)
"""No fault of a launch, which waits."""


@dataclass(frozen=True)
class Taken:
    """A launched run, and what became of it.

    Attributes:
        job: its job, which is in the log; None where there is none.
        refusal: in words why there is none; empty where it is tried again.
    """

    run: FlowRun
    job: Job | None = None
    refusal: str = ""


def take_in(services: Services, runs: Sequence[FlowRun]) -> list[Taken]:
    """Append the jobs of launched runs to the log, in this order; return what became of each, in the same order."""
    taken: dict[int, Taken] = {}
    wanted: dict[int, Submission] = {}
    for place, run in enumerate(runs):
        parameters = run.parameters or {}
        try:
            if "job_id" in parameters:
                # Somebody has begun a run again that a drain had made.
                job = services.log.get(check_job_id(str(parameters["job_id"])))
                taken[place] = _begun_again(services, run, job)
            else:
                wanted[place] = submission_of(JobRequest.read(parameters.get("job", {})), str(run.id))
        except Exception as error:  # noqa: BLE001 - one launch must not keep the others from being taken
            taken[place] = _untaken(run, error)
    answers = _submitted(services, [(runs[place], submission) for place, submission in wanted.items()])
    taken |= dict(zip(wanted, answers, strict=True))
    return [taken[place] for place in range(len(runs))]


def _submitted(services: Services, wanted: Sequence[tuple[FlowRun, Submission]]) -> list[Taken]:
    try:
        answers = submit_all(services, [submission for _, submission in wanted])
    except LogUnavailable as error:
        return [_untaken(run, error) for run, _ in wanted]
    except Exception as error:  # noqa: BLE001 - as above
        if len(wanted) == 1:
            return [_untaken(wanted[0][0], error)]
        return [each for one in wanted for each in _submitted(services, [one])]
    return [
        _untaken(run, answer) if isinstance(answer, InputError) else _begun_again(services, run, answer.job)
        for (run, _), answer in zip(wanted, answers, strict=True)
    ]


def _begun_again(services: Services, run: FlowRun, job: Job) -> Taken:
    """Return the job of a run; one that failed through no fault of its own is given another chance."""
    if job.state is State.ERROR and job.flow_run_id == str(run.id):
        try:
            job = revive(services, job.job_id)
        except NotRevivable:
            pass
        except Exception as error:  # noqa: BLE001 - as above
            return _untaken(run, error)
    return Taken(run, job)


def _untaken(run: FlowRun, error: Exception) -> Taken:
    """Return why a launch has no job: a fault of its own ends it, any other one passes."""
    if isinstance(error, InputError):
        return Taken(run, refusal=str(error))
    if isinstance(error, NOT_NOW):
        _LOG.warning("launch_untaken action=try_again run=%s: %s", run.id, type(error).__name__)
        return Taken(run)
    return Taken(run, refusal=untaken(error))
