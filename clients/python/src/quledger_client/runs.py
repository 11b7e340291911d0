"""A run of another front end as jobs of the laboratory: one, or as many as its experiments need."""

import json
import operator
import time
import uuid
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from quledger_client.errors import Conflict, NotFound, PartlyRefused, Refused
from quledger_client.work import JobSpec

if TYPE_CHECKING:
    from quledger_client.client import Client
    from quledger_client.jobs import Job
    from quledger_client.results import ExperimentResult

ABOUT = "quledger_run"
"""Key in the first experiment of each job under which stands what the run was; the laboratory passes over it."""

LABEL = "quledger_run"
"""Label of the jobs of a run that are more than one."""

OF_THE_WHOLE = ("split the job", "for the whole job")
"""What a fault says that fewer experiments in a job do not have: their predicted work, or the size of their result."""

MAX_SEED = 2**32 - 1

Experiment = Mapping[str, Any]


class Run:
    """The jobs of one run, in the order of its experiments.

    Attributes:
        about: what the run was, as it stands in their documents.
    """

    def __init__(self, jobs: "Sequence[Job]", about: Mapping[str, Any]) -> None:
        self.jobs, self.about = tuple(jobs), about

    def experiments(self, timeout: float | None = None) -> "list[ExperimentResult]":
        """Return what all experiments have found, as soon as they have.

        Raises:
            JobFailed: a job ended without a result.
            TimedOut: not all have ended after so many seconds; they go on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        found: list[ExperimentResult] = []
        for job in self.jobs:
            found += job.result(None if end is None else max(0.0, end - time.monotonic()))
        return found

    def states(self) -> list[str]:
        """Ask for the state of each job; one that has ended is not asked again."""
        return [job.state if job.is_final else job.status() for job in self.jobs]

    def cancel(self) -> bool:
        """Cancel what has not ended, and return whether there was anything."""
        found = False
        for job in self.jobs:
            try:
                job.cancel()
            except Conflict:
                continue
            found = True
        return found


def hand_in(  # noqa: PLR0913 - one parameter an option
    client: "Client",
    backend: str,
    experiments: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    *,
    most: int,
    labels: Mapping[str, str] | None = None,
    group: str = "",
    key: str | None = None,
    project: str = "",
) -> Run:
    """Hand in the experiments of a run, at most so many in a job, and fewer where so many together are too dear.

    None are no job.

    Raises:
        Refused: one has faults; those that were taken are cancelled.
    """
    if not experiments:
        return Run((), about)
    run = uuid.uuid4().hex if key is None else key
    spec = JobSpec(backend, {}, key=run, labels=labels or {}, group=group, project=project)
    size = most
    while True:
        parts = _even(experiments, size)
        try:
            return Run(_taken(client, _specs(spec, parts, about)), about)
        except Refused as refused:
            size = len(parts[0]) // 2
            if not size or not _is_of_the_whole(refused):
                raise


def _even(experiments: Sequence[Experiment], most: int) -> list[Sequence[Experiment]]:
    """Return parts of one size, but for the last: where one is too large, so is most often each."""
    size = -(-len(experiments) // -(-len(experiments) // most))
    return [experiments[start : start + size] for start in range(0, len(experiments), size)]


def _specs(spec: JobSpec, parts: Sequence[Sequence[Experiment]], about: Mapping[str, Any]) -> list[JobSpec]:
    """Return the jobs of a run, one for each part; of several, each says which it is.

    Args:
        spec: what they have in common; its key is that of the run.
    """
    run = spec.key or ""
    specs = []
    for number, part in enumerate(parts):
        # The first job has all of it: each of many would have that of all others.
        own_about = about if number == 0 else {"kind": about["kind"]}
        said = {ABOUT: {**own_about, "run": run if len(parts) > 1 else "", "part": number, "parts": len(parts)}}
        work = {f"experiment_{place}": {**each, **(said if place == 0 else {})} for place, each in enumerate(part)}
        specs.append(spec.but(work=work))
    if len(specs) == 1:
        return specs
    labels = {**spec.labels, LABEL: run}
    # Other parts of the same run are other jobs.
    return [each.but(key=f"{run}-{number}-of-{len(specs)}", labels=labels) for number, each in enumerate(specs)]


def _taken(client: "Client", specs: Sequence[JobSpec]) -> "list[Job]":
    """Return the jobs of a run, handed in.

    Raises:
        Refused: one has faults; those that were taken are cancelled.
    """
    if len(specs) == 1:
        (only,) = specs
        named: dict[str, Any] = {"key": only.key, "group": only.group or None, "project": only.project}
        return [client.submit(only.backend, only.work, labels=only.labels, **named)]
    try:
        return client.submit_many(specs)
    except PartlyRefused as refused:
        for job in refused.jobs:
            if job is not None:
                with suppress(Conflict):
                    job.cancel()
        raise


def _is_of_the_whole(refused: Refused) -> bool:
    """Return whether nothing is wrong but that so many experiments together are too dear."""
    errors = refused.errors.values() if isinstance(refused, PartlyRefused) else [refused]
    return all(
        isinstance(each, Refused) and all(any(word in fault.message for word in OF_THE_WHOLE) for fault in each.faults)
        for each in errors
    )


def found_again(client: "Client", job: "Job", kinds: Container[str]) -> Run | None:
    """Return the run that a job belongs to; None where it is of none, or of another kind.

    Raises:
        NotFound: another job of the run is not there any more.
    """
    about = said_of(job)
    if about is None or about["kind"] not in kinds:
        return None
    if about["parts"] == 1:
        return Run([job], about)
    places = {}
    for each in client.jobs(label={LABEL: about["run"]}):
        said = said_of(each)
        if said is not None and (said["run"], said["parts"]) == (about["run"], about["parts"]):
            places[said["part"]] = each
            about = said if said["part"] == 0 else about
    if len(places) != about["parts"]:
        raise NotFound(f"the run of {job.id} had {about['parts']} jobs; {len(places)} of them are there")
    return Run([places[part] for part in sorted(places)], about)


def said_of(job: "Job") -> Mapping[str, Any] | None:
    """Return what the document of a job says about its run; None where it was not handed in by this package."""
    first = job.document().get("experiment_0")
    said = first.get(ABOUT) if isinstance(first, Mapping) else None
    return said if isinstance(said, Mapping) and said.keys() >= {"kind", "run", "part", "parts"} else None


def seeded(experiments: Iterable[Mapping[str, Any]], seed: Any) -> list[dict[str, Any]]:
    """Return experiments with seeds that follow from one, another one each; without one the laboratory has its own.

    Raises:
        Refused: the seed is none.
    """
    own = [dict(each) for each in experiments]
    if seed is not None:
        first = operator.index(seed) if hasattr(seed, "__index__") else -1
        if not 0 <= first <= MAX_SEED:
            raise Refused(f"seed: got {seed!r}; it must be a whole number from 0 to {MAX_SEED}")
        for place, each in enumerate(own):
            each["seed"] = (first + place) % (MAX_SEED + 1)
    return own


def as_json(value: Any) -> Any:
    """Return what JSON can say of the metadata of a circuit: all of it, or an empty object."""
    try:
        return json.loads(json.dumps(value or {}, allow_nan=False))
    except (TypeError, ValueError):
        return {}
