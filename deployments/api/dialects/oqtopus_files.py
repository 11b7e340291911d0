"""OQTOPUS: the files of a job, brought and fetched without a token: whoever comes shows a signature of this server."""

import asyncio

from fastapi import APIRouter, Request, Response

from deployments.api.dialects.oqtopus_answers import GoneBefore
from deployments.api.dialects.oqtopus_documents import Sent, check_input
from deployments.api.dialects.oqtopus_results import result_file
from deployments.api.dialects.oqtopus_uploads import Signer, check_form, read_form, unzipped, zipped_json
from deployments.api.registered import Registered
from deployments.api.result_files import Form
from deployments.api.results import Results
from models.errors import UnknownJob
from tasks.services import Services

router = APIRouter()


class Files:
    """The files of one laboratory; what is here blocks."""

    def __init__(self, services: Services, results: Results) -> None:
        self._services, self._results = services, results
        self.registered = Registered(services)
        self.signer = Signer(self.registered.secret)

    def take(self, content_type: str, body: bytes) -> None:
        """Keep the zip file in a form as the input of a job.

        Raises:
            InputError: it is not taken; the text says why.
        """
        fields, content = read_form(content_type, body)
        job_id = check_form(self.signer, fields)
        unpacked = unzipped(content, self._services.settings.max_document_bytes)
        check_input(unpacked)
        try:
            self.registered.fill(job_id, unpacked)
        except UnknownJob:
            raise GoneBefore from None

    def zip_of(self, job_id: str, item: str) -> bytes:
        """Return a file of a job as a zip file.

        Raises:
            UnknownJob: there is no such job (any more).
            ResultMissing: it has no result.
        """
        log = self._services.log
        job = log.get(job_id)
        if job.is_hidden:
            raise UnknownJob(job_id)
        if item == "input":
            return zipped_json(item, Sent.of(log.document(job_id)).input)
        return bytes(self._results.file(job, Form(result_file, {"item": item})))

    def address(self, base: str, job_id: str, item: str) -> str:
        """Return where a file of a job can be fetched for ten minutes."""
        expires, signature = self.signer.signed("GET", job_id, item)
        return f"{base}files/{job_id}/{item}.zip?expires={expires}&signature={signature}"


@router.post("/files")
async def upload(request: Request) -> Response:
    """Take the input of a registered job."""
    files = await files_of(request)
    await asyncio.to_thread(files.take, request.headers.get("content-type", ""), await request.body())
    return Response(status_code=204)


@router.get("/files/{job_id}/{item}.zip")
async def download(request: Request, job_id: str, item: str, expires: str = "", signature: str = "") -> Response:
    """Return a file of a job."""
    files = await files_of(request)
    files.signer.check("GET", job_id, item, expires, signature)
    content = await asyncio.to_thread(files.zip_of, job_id, item)
    return Response(content, media_type="application/zip")


async def files_of(request: Request) -> Files:
    """Return the files; the log is asked for their secret when they are first needed."""
    state = request.app.state
    if not hasattr(state, "oqtopus_files"):
        state.oqtopus_files = await asyncio.to_thread(Files, state.services, state.calls.results)
    files: Files = state.oqtopus_files
    return files
