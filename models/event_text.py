"""What an event of a job says to people, in one line."""

from models.events import Event
from models.facts import Compiled, Executed, Failed, Labelled, Retried, Submitted, Uploaded, Validated
from models.labels import change_in_a_line, in_a_line
from models.words import count_of

_OMITTED = {"kind", "version", "holder"}
"""Fields that a history for people leaves out; a holder is a hash, of use to programs alone."""


def what_happened(event: Event) -> str:  # noqa: PLR0911 - one line for each kind of fact
    """Return the fields of an event that people look for."""
    match event.fact:
        case Submitted() as fact:
            more = f", group {fact.group}" if fact.group else ""
            more += f", labels {in_a_line(fact.labels)}" if fact.labels else ""
            what = f"{fact.backend}, {fact.document_bytes} bytes, sha256 {fact.document_sha256[:12]}"
            return f"{what}, by {fact.source}{more}"
        case Labelled() as fact:
            return f"{change_in_a_line(fact.labels, fact.removed)}, by {fact.by}"
        case Validated() as fact:
            return f"{count_of(fact.experiments, 'experiment')}, {count_of(fact.shots, 'shot')}"
        case Compiled() as fact:
            return f"program {fact.program_sha256[:12]}, job's seed {fact.seed}"
        case Executed() as fact:
            versions = " ".join(f"{name} {version}" for name, version in fact.versions.items())
            return f"{fact.seconds:.3f} s, job's seed {fact.seed}, result {fact.result_sha256[:12]}, {versions}"
        case Uploaded() as fact:
            return f"{fact.path}, {fact.bytes} bytes, read back {fact.sha256[:12]}"
        case Failed() as fact:
            return f"in {fact.stage}, fault of the {fact.blame}: " + "; ".join(str(fault) for fault in fact.faults[:3])
        case Retried() as fact:
            return f"{fact.reason}; again after {fact.after_seconds:g} s"
        case fact:
            fields = fact.model_dump(mode="json", exclude=_OMITTED).items()
            return ", ".join(
                f"{name} {value}" for name, value in fields if value is not False and value not in ("", None)
            )
