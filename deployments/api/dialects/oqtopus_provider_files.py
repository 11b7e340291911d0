"""OQTOPUS, provider side: the files of a job, brought and fetched without a key, by a signature for one attempt."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.api.dialects.oqtopus_brought import ITEMS
from deployments.api.dialects.oqtopus_provider_views import Wanted, wanted_of
from deployments.api.dialects.oqtopus_uploads import BadSignature, Signer, read_form, unzipped, zipped_json
from deployments.api.engines import Engines, NotNow
from models.errors import UnknownJob
from models.identity.access import Caller
from models.job import Job, State
from storage.uploads.secrets import shared_secret
from tasks.jobs.engines import Engine
from tasks.services import Services

UNDER_WAY = (State.CLAIMED, State.VALIDATED, State.COMPILED)
"""While a job is one of these its engine may bring files."""

router = APIRouter()


class ProviderFiles:
    """The files of one laboratory; what is here blocks."""

    def __init__(self, services: Services, engines: Engines, key: bytes) -> None:
        self._services, self._engines, self._signer = services, engines, Signer(key)

    def form(self, base: str, caller: Caller, job: Job, item: str) -> dict[str, Any]:
        """Return where a file is to be brought, and what goes with it."""
        signed_for = f"{item}/{job.attempt}/{caller.token_id}"
        expires, signature = self._signer.signed("POST", job.job_id, signed_for)
        fields = {
            "key": key_of(job, item),
            "AWSAccessKeyId": caller.token_id,
            "policy": expires,
            "signature": signature,
        }
        return {"url": f"{base}files", "fields": fields}

    def take(self, content_type: str, body: bytes) -> None:
        """Keep a file of an attempt that is under way.

        Raises:
            InputError: it is not taken; the text says why.
        """
        fields, content = read_form(content_type, body)
        job_id, attempt, item = parts_of(fields.get("key", ""))
        token_id = fields.get("AWSAccessKeyId", "")
        signed_for = f"{item}/{attempt}/{token_id}"
        self._signer.check("POST", job_id, signed_for, fields.get("policy", ""), fields.get("signature", ""))
        job = self._services.log.get(job_id)
        engine = Engine(self._services, job.backend, token_id)
        if job.attempt != attempt or not engine.has(job) or job.state not in UNDER_WAY or not engine.beat(job):
            raise NotNow("this attempt is over, or has its result already: the file comes too late")
        name = f"{item}{ITEMS[item]}"
        self._engines.files.put(
            job_id, attempt, item, unzipped(content, self._services.settings.max_document_bytes, name)
        )

    def address(self, base: str, job: Job) -> str:
        """Return where the input of a job can be fetched for ten minutes."""
        expires, signature = self._signer.signed("GET", job.job_id, "input")
        return f"{base}files/{job.job_id}/input.zip?expires={expires}&signature={signature}"

    def input_of(self, job_id: str, expires: str, signature: str) -> bytes:
        """Return the input of a job as a zip file.

        Raises:
            BadSignature: the address was not given out here, or too long ago.
        """
        self._signer.check("GET", job_id, "input", expires, signature)
        job = self._services.log.get(job_id)
        wanted: Wanted = wanted_of(job.backend, self._engines.document(job))
        return zipped_json("input", wanted.input)


def key_of(job: Job, item: str) -> str:
    """Return what a file of the job's attempt is called."""
    return f"{job.job_id}/{job.attempt}/{item}.zip"


def parts_of(key: str) -> tuple[str, int, str]:
    """Return the job, the attempt and the item of a file.

    Raises:
        BadSignature: no file is called so.
    """
    job_id, _, rest = key.partition("/")
    attempt, _, name = rest.partition("/")
    item = name.removesuffix(".zip")
    if item == name or item not in ITEMS or not (attempt.isdecimal() and attempt.isascii() and len(attempt) <= 9):  # noqa: PLR2004
        raise BadSignature("the field key is not as it was given out")
    return job_id, int(attempt), item


@router.post("/files")
async def upload(request: Request) -> Response:
    """Take a file of a job under way."""
    files: ProviderFiles = (await parts(request)).files
    await asyncio.to_thread(files.take, request.headers.get("content-type", ""), await request.body())
    return Response(status_code=204)


@router.get("/files/{job_id}/input.zip")
async def download(request: Request, job_id: str, expires: str = "", signature: str = "") -> Response:
    """Return the input of a job."""
    files: ProviderFiles = (await parts(request)).files
    try:
        content = await asyncio.to_thread(files.input_of, job_id, expires, signature)
    except UnknownJob:
        raise BadSignature("the signature is not of this server, this job and this file") from None
    return Response(content, media_type="application/zip")


class Parts:
    """What the routes share; made when the first engine comes."""

    def __init__(self, services: Services, calls: Any, key: bytes) -> None:
        self.engines = Engines(services, calls)
        self.files = ProviderFiles(services, self.engines, key)


async def parts(request: Request) -> Parts:
    """Return what the routes share; the log is asked for the secret when it is first needed."""
    state = request.app.state
    if not hasattr(state, "oqtopus_provider"):
        key = await asyncio.to_thread(shared_secret, state.services.log.engine, "oqtopus-provider")
        state.oqtopus_provider = Parts(state.services, state.calls, key)
    found: Parts = state.oqtopus_provider
    return found
