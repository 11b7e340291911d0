"""What the tests of the sandbox share."""

import asyncio
from collections.abc import Iterator

import pytest

from tasks.sandbox.job_process import Sandbox
from tests.unit.sandbox_jobs import RESOLVER, Runs


@pytest.fixture(scope="module", name="with_sandbox")
def _with_sandbox() -> Iterator[Runs]:
    """Run tests on one sandbox, so that not each of them waits for the start of a fork server."""
    with asyncio.Runner() as runner:
        sandbox = Sandbox(resolver=RESOLVER, preload=())
        yield lambda test: runner.run(test(sandbox))  # type: ignore[arg-type]
        runner.run(sandbox.__aexit__(None, None, None))
