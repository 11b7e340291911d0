"""What the tests of faults have in common."""

from collections.abc import Iterator

import pytest

from tests.crash.drains import Drains


@pytest.fixture(scope="module")
def drains() -> Iterator[Drains]:
    """The drains in this process of one file of tests."""
    with Drains() as drains:
        yield drains
