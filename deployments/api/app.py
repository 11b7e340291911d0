"""The application: the calls, our own API, the dialects and the pages, inside bounds that hold for all of them."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from deployments.api import problems
from deployments.api.bounds import Bounds
from deployments.api.calls import Calls, Outcome
from deployments.api.changes import Changes
from deployments.api.checks import Checks
from deployments.api.committer import Committer
from deployments.api.pages.router import add_pages
from deployments.api.v1 import acts, backends, health, jobs, me, submissions
from models.errors import QuledgerError
from models.submissions import Submission
from storage.identity.directory import Directory
from tasks.jobs.submission import submit_all
from tasks.services import Services

THREADS = 32
"""So many requests ask the log at once."""

BATCH_FACTOR = 4
"""A batch may be so many times as large as one document."""

OVERHEAD = 1_000_000
"""What stands around a document in a request, at most."""

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


def make_app(services: Services) -> FastAPI:
    """Return the application for these services; its lifespan holds what has to be ended with it."""
    settings = services.settings
    app = FastAPI(
        title="Quledger",
        version=metadata.version("quledger"),
        summary="Quantum jobs that people can trust.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.services = services
    for router in (
        jobs.router,
        submissions.router,
        acts.router,
        backends.router,
        me.router,
        health.router,
    ):
        app.include_router(router, prefix="/v1")
    add_pages(app, services)
    app.add_exception_handler(QuledgerError, problems.on_error)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(Exception, problems.on_unforeseen)
    largest = settings.max_document_bytes * 2 + OVERHEAD  # a text within JSON is longer
    app.add_middleware(
        Bounds,
        hosts=frozenset(settings.api_hosts) or LOCAL,
        max_bytes=lambda path: BATCH_FACTOR * largest if path.endswith(":batch") else largest,
        a_minute=settings.api_requests_a_minute,
        burst=settings.api_requests_a_minute,
        behind_proxy=settings.api_behind_proxy,
    )
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(THREADS, "api") as threads:
        loop.set_default_executor(threads)
        changes = Changes(lambda job_ids: {job_id: seq for job_id, (_, seq) in services.log.states(job_ids).items()})
        directory = Directory(services.log.engine)
        committer: Committer[Submission, Outcome] = Committer(functools.partial(submit_all, services))
        async with Checks(services) as checks:
            app.state.calls = Calls(services, directory, checks, committer, changes)
            looking = asyncio.create_task(changes.run())
            try:
                yield
            finally:
                looking.cancel()
                await committer.close()
