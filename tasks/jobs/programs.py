"""The program of a job once more: what its document compiles to with the seed that is on record."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from models.errors import JobRejected, SandboxError
from models.events import Event
from models.facts import Compiled
from tasks.services import Services


class Wanted(NamedTuple):
    """A document, and the seed with which it is compiled."""

    backend: str
    document: bytes
    seed: int


def compiled(events: Sequence[Event]) -> Compiled | None:
    """Return what was last compiled of a job."""
    facts = (event.fact for event in reversed(events) if event.kind == "compiled")
    return next((fact for fact in facts if isinstance(fact, Compiled)), None)


def programs_again(services: Services, wanted: Sequence[Wanted]) -> list[bytes | str]:
    """Compile documents in processes with walls and limits; return each program as JSON text, or why there is none."""
    return asyncio.run(_compile_all(services, wanted)) if wanted else []


async def _compile_all(services: Services, wanted: Sequence[Wanted]) -> list[bytes | str]:
    found: list[bytes | str] = []
    async with services.sandbox.for_checks() as sandbox:
        for each in wanted:
            try:
                async with sandbox.job(each.backend, each.document, job_id="", limits=services.limits) as process:
                    found.append((await process.call("compile", seed=each.seed))["program"])
            except (JobRejected, SandboxError) as error:
                found.append(str(error))
    return found
