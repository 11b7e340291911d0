"""What the page of a job shows: where it stands, what happened, its figure, its document, and what may be done."""

import uuid
from typing import Any, NamedTuple

from deployments.api.calls import Calls
from deployments.api.pages.figures import Shown, shown
from deployments.api.pages.timeline import steps, timeline
from deployments.api.views import EventView, JobView
from models.characters import spelt_out
from models.errors import Fault, NotAuthentic, QuledgerError, ResultMissing
from models.facts import Revived
from models.identity.access import Act, Caller
from models.job import FINAL, Job, State, why_not

MOST_DRAWN = 20_000_000
"""Bytes of a result document; of a larger one no figure is made."""

MOST_SHOWN = 20_000
"""Characters of a document."""


class PlacedFault(NamedTuple):
    """A fault beside a form or on a page.

    Attributes:
        where: it stands in the document.
        input: the field of the form that it belongs to; empty on a page without a form.
    """

    where: str
    message: str
    input: str = ""


def job_page(calls: Calls, caller: Caller, job_id: str) -> dict[str, Any]:
    """Return what the template of a job needs; it blocks."""
    job = calls.job(caller, job_id)
    events, whole = calls.history(caller, job.job_id)
    acts = calls.acts(caller, job)
    result, why_no_figure = _result(calls, caller, job, acts)
    document, is_cut, why_no_document = _document(calls, caller, job, acts)
    is_final = job.state in FINAL
    return {
        "job": JobView.of(job),
        "is_hidden": job.is_hidden,
        "steps": steps(job.state),
        "timeline": timeline([EventView.of(event, whole=whole) for event in events]),
        "why": [] if is_final else calls.why(caller, job.job_id).sentences(),
        "whole": whole,
        "faults": [PlacedFault(place_of(fault), fault.message) for fault in job.faults],
        "more_faults": job.fault_count - len(job.faults),
        "result": result,
        "why_no_figure": why_no_figure,
        "document": document,
        "is_cut": is_cut,
        "why_no_document": why_no_document,
        "key": uuid.uuid4().hex,
        "may": {
            "cancel": Act.CANCEL in acts and not is_final and not job.cancel_requested,
            "retry": Act.RETRY in acts and why_not(job, Revived(by=caller.user), job.attempt) is None,
            "rerun": Act.RERUN in acts and is_final and not why_no_document,
            "hide": Act.HIDE in acts and is_final and not job.is_hidden,
            "export": Act.EXPORT in acts,
            "archive": Act.ARCHIVE in acts,
        },
    }


def place_of(fault: Fault) -> str:
    """Return where a fault stands in its document, for people."""
    where = [fault.experiment] if fault.experiment else []
    if fault.instruction is not None:
        where.append(f"instruction {fault.instruction}{f' ({fault.name})' if fault.name else ''}")
    return ", ".join([*where, *([fault.field] if fault.field else [])])


def _result(calls: Calls, caller: Caller, job: Job, acts: frozenset[Act]) -> tuple[Shown | None, str]:
    if job.state is not State.DONE:
        return None, ""
    if Act.EXPORT not in acts:
        return None, "Your token may not read results."
    if job.uploaded is not None and job.uploaded.bytes > MOST_DRAWN:
        return None, "The result is too large for a figure here; download it."
    try:
        return calls.result(caller, job.job_id, shown), ""
    except (NotAuthentic, ResultMissing) as error:
        return None, f"{error}."
    except QuledgerError:
        return None, "The result cannot be read now; try again in a while."


def _document(calls: Calls, caller: Caller, job: Job, acts: frozenset[Act]) -> tuple[str, bool, str]:
    if Act.EXPORT not in acts:
        return "", False, "Your token may not read documents."
    try:
        content = calls.document(caller, job.job_id)
    except ResultMissing as error:
        return "", False, f"{error}."
    text = content[: 4 * MOST_SHOWN].decode("utf-8", "replace")
    plain = text[:MOST_SHOWN].replace("\r\n", "\n").expandtabs(4)
    lines = "\n".join(spelt_out(line) for line in plain.split("\n"))
    return lines, len(text) > MOST_SHOWN or len(content) > 4 * MOST_SHOWN, ""
