"""The check of a job document before it is handed in, in a process with walls and limits, as all that a user writes."""

import asyncio

from models.errors import Fault, JobRejected, LimitExceeded, SandboxError
from tasks.services import Services


def check_document(services: Services, backend: str, document: bytes) -> str:
    """Validate a document as its run will, and store nothing.

    Returns:
        Why it could not be checked here; empty if it was, and is good.

    Raises:
        JobRejected: it has faults, all of which are listed, or takes more than a job may to be read.
    """
    try:
        asyncio.run(_validate(services, backend, document))
    except LimitExceeded as error:
        raise JobRejected(Fault(message=str(error), code="cost")) from None
    except SandboxError as error:
        return str(error)
    return ""


async def _validate(services: Services, backend: str, document: bytes) -> None:
    async with (
        services.sandbox.for_checks() as sandbox,
        sandbox.job(backend, document, job_id="", limits=services.limits) as process,
    ):
        await process.call("validate")
