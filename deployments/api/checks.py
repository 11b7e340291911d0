"""Documents are checked in child processes before they are stored."""

import asyncio
import dataclasses
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from models.errors import Fault, InputError, JobRejected, LimitExceeded, SandboxError, UnknownBackend
from models.submissions import Submission
from tasks.sandbox.job_process import Sandbox
from tasks.services import Services


class Checks:
    """Checks what is handed in, as the run of the job will. It belongs to one event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sandbox: Sandbox | None = None
        self._turns = asyncio.Semaphore(services.settings.concurrency)

    async def __aenter__(self) -> Self:
        self._sandbox = self._services.sandbox.for_checks()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sandbox is not None:
            await self._sandbox.close()

    async def check(self, submissions: Sequence[Submission]) -> list[Submission | InputError]:
        """Return each submission with its shots, or all of its faults; one that cannot be checked here passes."""
        return list(await asyncio.gather(*map(self._check, submissions)))

    async def _check(self, submission: Submission) -> Submission | InputError:
        assert self._sandbox is not None  # noqa: S101 - it is entered before it is used
        try:
            async with (
                self._turns,
                self._sandbox.job(
                    submission.backend, submission.document, job_id="", limits=self._services.limits
                ) as process,
            ):
                answer = await process.call("validate")
        except (JobRejected, UnknownBackend) as error:
            return error
        except LimitExceeded as error:
            return JobRejected(Fault(message=str(error), code="cost"))
        except SandboxError:
            return submission
        return dataclasses.replace(submission, shots=answer["shots"])
