"""A job's page, what is done with the job, and what can be downloaded of it."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from deployments.api.pages.answers import PageRoute, see
from deployments.api.pages.diff_page import diff_page
from deployments.api.pages.job_page import job_page
from deployments.api.pages.rendering import render
from deployments.api.pages.visits import AtForm, AtPage
from deployments.api.result_files import FORMS, Format
from deployments.api.sending import in_parts
from deployments.api.v1.exports import ZIP, Download
from deployments.api.v1.jobs import MEDIA_TYPES
from deployments.api.views import JobView
from models.errors import InputError, NotAuthentic, ResultMissing, UnknownJob
from models.identity.access import Act

router = APIRouter(prefix="/ui/jobs/{job_id}", route_class=PageRoute, include_in_schema=False)

MAX_WAIT = 25.0
MOST_KEY = 100
MOST_ID = 200

_FORMATS: dict[str, Format] = {"json": "json", "csv": "csv", "parquet": "parquet"}


@router.get("")
async def show(request: Request, visit: AtPage, job_id: str) -> Response:
    """Show a job."""
    found = await visit.ask(lambda calls, caller: job_page(calls, caller, job_id))
    return render(request, "job.html", visit, here="jobs", **found)


@router.get("/live")
async def live(request: Request, visit: AtPage, job_id: str, seen: int = -1) -> Response:
    """Return what changes of a job's page, as soon as something has; nothing where nothing does."""
    job = await visit.ask(lambda calls, caller: calls.job(caller, job_id))
    caller = visit.caller
    if job.seq == seen:
        has_changed = await visit.calls.waits.until_changed(caller, job, MAX_WAIT)
        caller = await visit.ask(lambda calls, caller: calls.visits.again(caller))
        if not has_changed:
            return Response(status_code=204)
    found = await visit.ask(lambda calls, _caller: job_page(calls, caller, job.job_id))
    return render(request, "job_live.html", visit, here="jobs", **found)


@router.post("/cancel")
async def cancel(visited: AtForm, job_id: str) -> Response:
    """Cancel a job."""
    visit, _ = visited
    job = await visit.ask(lambda calls, caller: calls.cancel(caller, job_id))
    return see(f"/ui/jobs/{job.job_id}")


@router.post("/retry")
async def retry(visited: AtForm, job_id: str) -> Response:
    """Give a job another chance."""
    visit, _ = visited
    job = await visit.ask(lambda calls, caller: calls.retry(caller, job_id))
    return see(f"/ui/jobs/{job.job_id}")


@router.post("/rerun")
async def rerun(visited: AtForm, job_id: str) -> Response:
    """Hand in the same document again; a form that is sent twice makes one job."""
    visit, form = visited
    begun = await visit.calls.rerun(visit.caller, job_id, form.text("key", MOST_KEY) or None)
    return see(f"/ui/jobs/{begun.job.job_id}")


@router.post("/hide")
async def hide(visited: AtForm, job_id: str) -> Response:
    """Put a job away."""
    visit, _ = visited
    await visit.ask(lambda calls, caller: calls.hide(caller, job_id))
    return see("/ui/jobs")


@router.get("/document.json")
async def document(visit: AtPage, job_id: str) -> Response:
    """Return the document as it was handed in."""
    job = await visit.ask(lambda calls, caller: calls.job(caller, job_id))
    content = await visit.ask(lambda calls, caller: calls.document(caller, job.job_id))
    return download(content, "application/json", f"{job.job_id}-document.json")


@router.get("/archive.zip")
async def archive(visit: AtPage, job_id: str) -> Response:
    """Return all that is on record of the job, as a file that proves itself."""
    job = await visit.ask(lambda calls, caller: calls.job(caller, job_id, Act.ARCHIVE))
    exports = visit.calls.exports
    file = await exports.made(visit.caller, lambda: exports.archive([job]))
    return Download(file, exports, visit.caller, ZIP, f"{job.job_id}.zip")


@router.get("/diff")
async def diff(request: Request, visit: AtPage, job_id: str) -> Response:
    """Show in what the job and another one differ."""
    job = await visit.ask(lambda calls, caller: calls.job(caller, job_id, Act.EXPORT))
    other, wrong = request.query_params.get("with", "")[:MOST_ID].strip(), ""
    found: dict[str, Any] | None = None
    try:
        if other:
            found = await visit.ask(lambda calls, caller: diff_page(calls, caller, job, other))
    except (InputError, NotAuthentic, ResultMissing) as error:
        missing = "There is no such job to compare it with, or it is not yours."
        wrong = missing if isinstance(error, UnknownJob) else f"{error}."
    values = {"job": JobView.of(job), "other": other, "found": found, "wrong": wrong}
    return render(request, "diff.html", visit, here="jobs", code=422 if wrong else 200, **values)


@router.get("/result.{kind}")
async def result(visit: AtPage, job_id: str, kind: str) -> Response:
    """Return the result of a job that is DONE, as JSON, CSV or Parquet."""
    known = _FORMATS.get(kind)
    if known is None:
        raise HTTPException(404)
    job = await visit.ask(lambda calls, caller: calls.job(caller, job_id))
    content = await visit.ask(lambda calls, caller: calls.result_file(caller, job.job_id, FORMS[known]))
    return download(content, MEDIA_TYPES[known], f"{job.job_id}.{kind}")


def download(content: bytes | memoryview, media_type: str, name: str) -> Response:
    """Return a file that the browser stores."""
    return in_parts(content, media_type, {"Content-Disposition": f'attachment; filename="{name}"'})
