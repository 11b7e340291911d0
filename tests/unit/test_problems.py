"""What each error is answered with over HTTP."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import deployments.api
import models
import storage
import tasks.jobs
from deployments.api import problems
from models.errors import (
    InputError,
    LogBroken,
    LogError,
    MirrorAhead,
    NotAuthentic,
    QuledgerError,
    SigningError,
    StorageError,
    StorageFull,
    StorageRefused,
)

ROOTS = {QuledgerError, LogError, StorageError, SigningError}
"""Those that others are made of; nothing that a route calls raises one of them itself."""


def tree(root: type[QuledgerError]) -> Iterator[type[QuledgerError]]:
    """Yield an error and all that are made of it."""
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


def test_every_error_that_a_route_can_raise_has_an_answer() -> None:
    """A new one belongs into the table; only the caller's own faults are answered as what they are made of."""
    packages = (models, storage, tasks.jobs, deployments.api)
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in module.name:
                importlib.import_module(module.name)
    within = tuple(f"{package.__name__}." for package in packages)
    kinds = {kind for kind in tree(QuledgerError) if kind.__module__.startswith(within)}
    assert InputError in kinds
    missing = [kind for kind in kinds - ROOTS if not any(issubclass(kind, row) for row, _ in problems._CODES)]
    assert missing == []
    assert not {row for row, _ in problems._CODES} & ROOTS  # else a new one would have the answer of a root


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (NotAuthentic("the result of job a is not to be trusted"), 409, "not to be trusted"),
        (MirrorAhead("abcd", "they differ"), 409, "the job is held"),
        (StorageRefused("bucket t0p is denied"), 503, "does not answer now"),
        (StorageFull("no room in t0p", 5), 503, "does not answer now"),
        (LogBroken("event t0p of job a"), 500, "the operator finds the details"),
    ],
)
def test_what_callers_are_told(error: QuledgerError, code: int, says: str, caplog: pytest.LogCaptureFixture) -> None:
    """Of the laboratory's troubles no word; the operator reads them in the log, also of a result that was changed."""
    found = problems.problem_of(error)
    assert (found.status, problems.answer_error(error).status_code) == (code, code)
    assert says in found.detail
    assert "t0p" not in found.detail
    assert "quledger restore" not in found.detail
    assert bool(caplog.records) == (code >= 500 or isinstance(error, NotAuthentic))
