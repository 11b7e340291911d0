"""Drains in this process, one after the other: on one event loop and in one sandbox, whose start is what costs most."""

import asyncio
import contextlib
import contextvars
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tasks.sandbox.job_process import SharedSandbox
from tasks.services import Services

Value = TypeVar("Value")


class Drains:
    """What the drains of a file of tests have in common."""

    def __init__(self) -> None:
        self._sandbox = SharedSandbox()
        self._runner = asyncio.Runner()
        self._lent = contextlib.AsyncExitStack()

    def __enter__(self) -> Self:
        self.run(self._lent.enter_async_context(self._sandbox.borrowed()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._lent.aclose())
        self._runner.close()

    def lend(self, services: Services) -> None:
        """Let jobs of these services run in the one sandbox."""
        vars(services)["sandbox"] = self._sandbox

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run a flow of such services to its end, as `asyncio.run` does, with Prefect's settings of this moment."""
        return self._runner.run(work, context=contextvars.copy_context())
