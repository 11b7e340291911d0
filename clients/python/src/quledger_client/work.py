"""What is handed in: a document, instructions, an OpenQASM program, what a builder has built, or a stored payload."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from quledger_client.errors import Fault, PartlyRefused, QuledgerError, Refused


@runtime_checkable
class Documented(Protocol):
    """Something of which a job document can be made, such as a circuit of `quledger_client.build`."""

    def document(self, shots: int | None = None) -> dict[str, Any]:
        """Return the job document; `shots` are for experiments that have none of their own."""
        ...


class Named(Protocol):
    """A backend, which may stand for its name."""

    @property
    def name(self) -> str:
        """Display name."""
        ...


@dataclass(frozen=True)
class Payload:
    """A document that the server has stored under the hash of its content."""

    sha256: str
    bytes: int = 0


Cell: TypeAlias = bool | int | float | str
Work: TypeAlias = Mapping[str, Any] | str | Payload | Documented | Sequence[Any]
"""A document (or its JSON text), OpenQASM text, a payload, a circuit or several, or a list of instructions."""


@dataclass(frozen=True)
class JobSpec:
    """A job before it is handed in.

    Attributes:
        shots: of an OpenQASM program, and of experiments that have none of their own.
        seed: of an OpenQASM program.
        key: the same key is the same job, however often it is handed in; one is made if none is given.
        labels: words to find it by.
        group: name of the group that it belongs to.
        parameters: what was swept: one row for the whole job, or one for each experiment.
        project: its members see the job.
        priority: the higher goes first among your own jobs.
        derived_from: id of the job that this one follows from.
    """

    backend: str
    work: Work
    shots: int | None = None
    seed: int | None = None
    key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    parameters: Sequence[Mapping[str, Cell]] = ()
    project: str = ""
    priority: int = 0
    derived_from: str = ""

    def body(self) -> dict[str, Any]:
        """Return it as the API takes it, without its key.

        Raises:
            Refused: it cannot be handed in.
        """
        said = {
            "backend": self.backend,
            **content_of(self.work, self.shots, self.seed),
            "labels": dict(self.labels),
            "group": self.group,
            "parameters": [dict(row) for row in self.parameters],
            "project": self.project,
            "priority": self.priority,
            "derived_from": self.derived_from,
        }
        return {name: value for name, value in said.items() if value not in ("", 0, {}, [])}

    def but(self, **changes: Any) -> "JobSpec":
        """Return the same job with other values."""
        return replace(self, **changes)

    def view(self) -> dict[str, Any]:
        """Return what is known of the job before the server has shown it."""
        said = {"backend": self.backend, "labels": dict(self.labels), "group": self.group, "project": self.project}
        return said | {"priority": self.priority, "derived_from": self.derived_from}


def spec_of(backend: str | Named, work: Work, **said: Any) -> JobSpec:
    """Return a job for a backend; what is None is left out."""
    name = backend if isinstance(backend, str) else backend.name
    return JobSpec(name, work).but(**{key: value for key, value in said.items() if value is not None})


def merged(
    job: JobSpec | tuple[str | Named, Work], shots: int | None, labels: Mapping[str, str] | None, group: str | None
) -> JobSpec:
    """Return one of many jobs, with what is said of all of them where it says nothing itself."""
    spec = job if isinstance(job, JobSpec) else spec_of(*job)
    return spec.but(
        shots=shots if spec.shots is None else spec.shots,
        labels={**(labels or {}), **spec.labels},
        group=spec.group or group or "",
    )


Taken = TypeVar("Taken")


def all_of(taken: Sequence[Taken | None], found: Sequence[Any]) -> list[Taken]:
    """Return the jobs that were taken.

    Args:
        found: for each the error that kept it out, or something else.

    Raises:
        PartlyRefused: some were not.
    """
    errors = {place: each for place, each in enumerate(found) if isinstance(each, QuledgerError)}
    if errors:
        raise PartlyRefused(taken, errors)
    return [each for each in taken if each is not None]


def new_key() -> str:
    """Return a key that no other job has."""
    return uuid.uuid4().hex


def content_of(work: Work, shots: int | None = None, seed: int | None = None) -> dict[str, Any]:
    """Return the fields that say what is to run.

    Raises:
        Refused: it is nothing that can be handed in.
    """
    if isinstance(work, str) and not work.lstrip().startswith("{"):
        options = {"shots": shots, "seed": seed}
        return {"program": work} | {name: value for name, value in options.items() if value is not None}
    if seed is not None:
        raise Refused("seed: it is for an OpenQASM program; an experiment of a document has its own")
    if isinstance(work, str | Payload):
        if shots is not None:
            raise Refused("shots: a document that is stored, or given as text, says its own")
        return {"document": work} if isinstance(work, str) else {"document_sha256": work.sha256}
    return {"document": document_of(work, shots)}


def document_of(work: Work, shots: int | None = None) -> dict[str, Any]:
    """Return the job document of a document, a circuit, several circuits, or instructions.

    Raises:
        Refused: it is none of these.
    """
    if isinstance(work, Mapping):
        return _with_shots(dict(work), shots)
    if isinstance(work, Documented):
        return work.document(shots)
    if isinstance(work, Sequence) and not isinstance(work, str | bytes) and work:
        circuits = [each for each in work if isinstance(each, Documented)]
        if len(circuits) == len(work):
            several = [experiment for each in circuits for experiment in each.document(shots).values()]
            return {f"experiment_{number}": experiment for number, experiment in enumerate(several)}
        return {"experiment_0": _experiment(work, shots)}
    raise Refused(f"{type(work).__name__} is no document, no circuit, no OpenQASM text and no list of instructions")


def _experiment(instructions: Sequence[Any], shots: int | None) -> dict[str, Any]:
    if shots is None:
        raise Refused("shots: say how many; a list of instructions has none")
    faults = [
        Fault(f"[{place}]", "an instruction is a list of three: [name, [wires], [parameters]]")
        for place, each in enumerate(instructions)
        if not isinstance(each, Sequence) or isinstance(each, str) or len(each) != 3  # noqa: PLR2004 - as it says
    ]
    if faults:
        raise Refused("the instructions have faults", faults)
    wires = [wire for each in instructions for wire in each[1] if isinstance(wire, int)]
    return {
        "instructions": [[name, list(on), list(values)] for name, on, values in instructions],
        "num_wires": max(wires, default=0) + 1,
        "shots": shots,
    }


def _with_shots(document: dict[str, Any], shots: int | None) -> dict[str, Any]:
    if shots is None:
        return document
    if "program" in document:
        return _filled(document, shots, "shots")
    return {
        name: _filled(each, shots, f"{name}.shots") if isinstance(each, Mapping) else each
        for name, each in document.items()
    }


def _filled(experiment: Mapping[str, Any], shots: int, field_name: str) -> dict[str, Any]:
    if experiment.get("shots", shots) != shots:
        raise Refused(f"{field_name}: the document says {experiment['shots']}, and {shots} were asked for")
    return {**experiment, "shots": shots}
