"""The application: the calls, our own API, the dialects and the pages, inside bounds that hold for all of them."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from deployments.api import problems
from deployments.api.bounds import Bounds
from deployments.api.calls import Calls, Outcome
from deployments.api.changes import Changes
from deployments.api.committer import Committer
from deployments.api.dialects import oqtopus_provider, oqtopus_user, qlued
from deployments.api.dialects.oqtopus_answers import message_of_problem
from deployments.api.dialects.qlued_documents import error_document
from deployments.api.leases import watch_leases
from deployments.api.leaving import answer_nobody
from deployments.api.pages.router import add_pages
from deployments.api.pages.visits import FORMS_WITH_DOCUMENTS, MAX_FORM
from deployments.api.reads import Reads
from deployments.api.v1 import (
    acts,
    backends,
    bulk,
    calibrations,
    exports,
    groups,
    health,
    jobs,
    me,
    payloads,
    records,
    submissions,
)
from deployments.api.v1.bodies import add_schemas
from deployments.api.waits import Waits
from models.errors import QuledgerError
from models.submissions import Submission
from storage.identity.limits import limits_of
from tasks.backends import registry
from tasks.jobs.checking import Checker
from tasks.jobs.submission import submit_all
from tasks.services import Services

THREADS = 32
"""So many requests ask the log at once."""

LATER_SECONDS = 5.0
"""So long after the start the processes follow that import most, unless a document needs them sooner."""

BATCH_FACTOR = 4
"""A batch may be so many times as large as one document."""

OVERHEAD = 1_000_000
"""What stands around a document in a request, at most."""

DESCRIPTION = """Hand in quantum jobs, follow them, read their results.

All but `/v1/health` needs a token: `Authorization: Bearer TOKEN`. What goes wrong is answered with a problem document
(RFC 9457) that lists all faults at once. A job that is not yours to see is answered like one that does not exist."""

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


def make_app(services: Services, *, is_warmed: bool = False) -> FastAPI:
    """Return the application for these services; its lifespan holds what has to be ended with it.

    Args:
        is_warmed: begin at the start what checks documents, so that the first one need not wait for it.
    """
    settings = services.settings
    app = FastAPI(
        title="Quledger",
        version=metadata.version("quledger"),
        summary="Quantum jobs that people can trust.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=functools.partial(_lifespan, is_warmed=is_warmed),
    )
    app.state.services = services
    app.state.large_bodies = asyncio.Semaphore()
    for router in (
        jobs.router,
        submissions.router,
        bulk.router,
        acts.router,
        groups.router,
        backends.router,
        calibrations.router,
        records.router,
        exports.router,
        payloads.router,
        me.router,
        health.router,
    ):
        app.include_router(router, prefix="/v1")
    app.mount(qlued.PATH, qlued.make_app(app.state))
    app.mount(oqtopus_provider.PATH, oqtopus_provider.make_app(app.state))
    app.mount(oqtopus_user.PATH, oqtopus_user.make_app(app.state))
    app.openapi = functools.partial(_describe, app)  # type: ignore[method-assign]
    add_pages(app, services)
    app.add_exception_handler(QuledgerError, problems.on_error)
    app.add_exception_handler(ClientDisconnect, answer_nobody)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_middleware(
        Bounds,
        hosts=frozenset(settings.api_hosts) or LOCAL,
        max_bytes=functools.partial(_max_bytes, settings.max_document_bytes * 2 + OVERHEAD),
        a_minute=settings.api_requests_a_minute,
        burst=settings.api_requests_a_minute,
        behind_proxy=settings.api_behind_proxy,
        shapes={qlued.PATH: error_document, oqtopus_user.PATH: message_of_problem},
    )
    return app


def _max_bytes(largest: int, path: str) -> int:
    """Return the most bytes of a body; `largest` are those around a document, which as a text within JSON is longer."""
    if path.startswith("/ui/") and path not in FORMS_WITH_DOCUMENTS:
        return MAX_FORM
    return BATCH_FACTOR * largest if path.endswith(":batch") else largest


def _submit(services: Services, submissions: Sequence[Submission]) -> Sequence[Outcome]:
    users = {each.user for each in submissions}
    projects = {each.project for each in submissions if each.project}
    return submit_all(services, submissions, limits_of(services.log.engine, users, projects))


def _describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document."""
    if app.openapi_schema is None:
        app.openapi_schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, description=DESCRIPTION, routes=app.routes
        )
        add_schemas(app.openapi_schema)
    return app.openapi_schema


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI, *, is_warmed: bool) -> AsyncIterator[None]:
    services: Services = app.state.services
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(THREADS, "api") as threads:
        loop.set_default_executor(threads)
        changes = Changes(lambda job_ids: {job_id: seq for job_id, (_, seq) in services.log.states(job_ids).items()})
        committer: Committer[Submission, Outcome] = Committer(functools.partial(_submit, services))
        async with Checker(services) as checker:
            reads = Reads(is_near=services.log.engine.dialect.name == "sqlite")
            waits = Waits(changes, services.directory.good_tokens, services.settings.api_waits_a_user)
            calls = app.state.calls = Calls(services, checker, committer, waits, reads)
            coroutines = [changes.run(), waits.run(), calls.visits.run(), watch_leases(services)]
            if is_warmed:
                coroutines.append(_warm(checker))
            app.state.end_waits = functools.partial(loop.call_soon_threadsafe, waits.end)
            running = [asyncio.create_task(each) for each in coroutines]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
                await committer.close()


async def _warm(checker: Checker) -> None:
    names = [name for name in await asyncio.to_thread(registry.names) if registry.ours(name)]
    # First those that are ready soon; of other packages nothing is imported before somebody asks.
    await checker.warm(name for name in names if not registry.needs(name))
    await asyncio.sleep(LATER_SECONDS)
    await checker.warm(name for name in names if registry.needs(name))
