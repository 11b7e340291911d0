"""The API of qlued in its versions 1, 2 and 3: what its notebooks, qiskit-cold-atom and pennylane-ls ask for.

The versions differ in where the token and the job stand, and in nothing else. Tokens in query strings are what these
clients do. A job whose document has faults is taken: clients learn of them from its status.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.api.address import address_of
from deployments.api.calls import Calls
from deployments.api.dialects.qlued_answers import NOT_ACCEPTABLE, answer_in_statuses, expect_words_of_results
from deployments.api.dialects.qlued_backends import Found, find, find_all, is_ours
from deployments.api.dialects.qlued_documents import (
    backend_status_document,
    config_document,
    job_document,
)
from deployments.api.dialects.qlued_requests import Values, job_id_of, job_of_payload, job_of_text, values_of
from deployments.api.dialects.qlued_results import result_file
from deployments.api.dialects.qlued_tokens import tokens_of
from deployments.api.door import Door, bearer
from deployments.api.laboratory import Laboratory
from deployments.api.requests import JobRequest
from deployments.api.result_files import Form
from deployments.api.sending import in_parts
from models.errors import QuledgerError, UnknownJob
from models.identity.access import Caller
from models.identity.errors import NotSignedIn
from models.job import FINAL, Job
from models.job import State as JobState

PATH = "/api"
"""Where the application that this one becomes a part of has it."""

FAILED = FINAL - {JobState.DONE}


def make_app(state: State) -> ASGIApp:
    """Return the application, for whoever mounts it.

    Args:
        state: is shared with the application that it becomes a part of.
    """
    versions = (
        Version("", "password"),  # as version 1 was at first
        Version("/v1", "password"),
        Version("/v2", "token"),
        Version("/v3", "", job_of_payload),
    )
    app = Starlette(routes=[route for version in versions for route in version.routes()])
    app.state = state
    app.router.redirect_slashes = False
    answer_in_statuses(app)
    return _FoldedPaths(app)


class _FoldedPaths:
    """Lets a path have slashes in twos and at its end: clients put theirs behind the address that they were given."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": "/" + "/".join(filter(None, scope["path"].split("/")))}, receive, send)


class Version:
    """One version of the API.

    Args:
        path: that all its paths begin with.
        token_field: that holds the token; empty where it is a bearer token.
        job_of: returns the document of the job that is handed in; it is told the most bytes of one.
    """

    def __init__(self, path: str, token_field: str, job_of: Callable[[Values, int], bytes] = job_of_text) -> None:
        self._path, self._token_field, self._job_of = path, token_field, job_of

    def routes(self) -> list[Route]:
        """Return the paths with what answers them."""
        of_backend = f"{self._path}/{{backend}}"
        return [
            Route(f"{self._path}/backends", self.backends),
            Route(f"{of_backend}/get_config", self.get_config),
            Route(f"{of_backend}/get_backend_status", self.get_backend_status),
            Route(f"{of_backend}/post_job", self.post_job, methods=["POST"]),
            Route(f"{of_backend}/get_job_status", self.get_job_status),
            Route(f"{of_backend}/get_job_result", self.get_job_result),
        ]

    async def backends(self, request: Request) -> Response:
        """List the configurations of all backends, with each storage that jobs can be kept in."""
        found = await asyncio.to_thread(find_all, _laboratory(request))
        return JSONResponse([config_document(each.config, each.name, _base(request)) for each in found])

    async def get_config(self, request: Request) -> Response:
        """Return the configuration of a backend."""
        found = await _backend(request)
        return JSONResponse(config_document(found.config, found.name, _base(request)))

    async def get_backend_status(self, request: Request) -> Response:
        """Return whether a backend works, and how many jobs wait for it."""
        found = await _backend(request)
        name, laboratory = found.config.display_name, _laboratory(request)
        why_not = await asyncio.to_thread(laboratory.why_not_served, name)
        waiting = (await asyncio.to_thread(laboratory.backend, name))["waiting"]
        return JSONResponse(backend_status_document(found.config, found.name, why_not_served=why_not, waiting=waiting))

    async def post_job(self, request: Request) -> Response:
        """Take a job."""
        values: Values = {}
        if self._token_field:
            await self._expect_somebody(request)
            values = await values_of(request)
        door = self._door(request, values)
        caller = await door.caller()
        found = await _backend(request)
        values = values or await values_of(request)
        limit = request.app.state.services.settings.max_document_bytes
        document = await asyncio.to_thread(self._job_of, values, limit)
        wanted = JobRequest(found.config.display_name, document, storage=found.storage, keep_faulty=True)
        outcome = (await door.calls.submit(caller, [wanted]))[0]
        if isinstance(outcome, QuledgerError):
            raise outcome
        return _status(outcome.job, job_document(outcome.job))

    async def get_job_status(self, request: Request) -> Response:
        """Return where a job stands."""
        values = await values_of(request)

        def answer(calls: Calls, caller: Caller) -> Response:
            job, _ = _job(calls, caller, request, values)
            return _status(job, job_document(job))

        door = self._door(request, values)
        return await (door.look if is_ours(request.path_params["backend"]) else door.ask)(answer)

    async def get_job_result(self, request: Request) -> Response:
        """Return the result of a job, and until it is there where the job stands.

        Who sends a `username` waits for other words than the status has, and reads counts.
        """
        values = await values_of(request)
        named = "username" in values
        if named:
            expect_words_of_results(request)

        def answer(calls: Calls, caller: Caller) -> Response:
            job, backend = _job(calls, caller, request, values)
            if job.state is not JobState.DONE:
                return _status(job, job_document(job, of_result=named))
            form = Form(result_file, {"name": backend, "counted": named})
            return in_parts(calls.result_file(caller, job.job_id, form), "application/json")

        return await self._door(request, values).ask(answer)

    async def _expect_somebody(self, request: Request) -> None:
        """See that a large body comes from somebody, before any time is spent on it.

        Raises:
            NotSignedIn: there is no good token in it.
        """
        tokens = await tokens_of(request, self._token_field)
        if tokens is None:
            return
        calls: Calls = request.app.state.calls
        if not await asyncio.to_thread(lambda: any(calls.visits.is_known(token) for token in tokens)):
            raise NotSignedIn("unknown" if tokens else "missing")

    def _door(self, request: Request, values: Values) -> Door:
        token = values.get(self._token_field) if self._token_field else bearer(request)
        return Door(request.app.state.calls, token if isinstance(token, str) else None)


def _base(request: Request) -> str:
    return f"{address_of(request).rstrip('/')}{PATH}/"


def _laboratory(request: Request) -> Laboratory:
    calls: Calls = request.app.state.calls
    return calls.laboratory


async def _backend(request: Request) -> Found:
    return await asyncio.to_thread(find, _laboratory(request), request.path_params["backend"])


def _job(calls: Calls, caller: Caller, request: Request, values: Values) -> tuple[Job, str]:
    """Return the job that is asked for, and the backend's name in three parts."""
    found = find(calls.laboratory, request.path_params["backend"])
    job_id = job_id_of(values)
    job = calls.job(caller, job_id)
    if job.job_id != job_id or job.backend != found.config.display_name:
        raise UnknownJob(job_id)
    return job, found.name


def _status(job: Job, document: dict[str, Any]) -> Response:
    return JSONResponse(document, NOT_ACCEPTABLE if job.state in FAILED else 200)
