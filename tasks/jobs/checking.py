"""Documents that are checked before they are handed in, many at once, in a process that lives long."""

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from models.errors import JobRejected, SandboxError
from tasks.services import Services


class Checked(NamedTuple):
    """A document without a fault: `cost` is the backend's prediction in its own published unit."""

    experiments: int
    shots: int
    cost: float | None


Verdict = Checked | JobRejected | SandboxError
"""What became of a check: the document is good, has faults (all of them listed), or could not be checked here."""


class Checker:
    """Checks documents in child processes as their runs will; it belongs to one event loop.

    async with Checker(services) as checker:
        verdicts = await checker.check_all([("rydberg", document), ("fermions", other)])
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""

    async def check(self, backend: str, document: bytes) -> Verdict:
        """Check one document."""
        (verdict,) = await self.check_all([(backend, document)])
        return verdict

    async def check_all(self, documents: Sequence[tuple[str, bytes]]) -> list[Verdict]:
        """Check documents, each of the backend that is named with it; a verdict for each, in their order."""
        raise NotImplementedError
