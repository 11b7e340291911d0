"""Tries a backend as a laboratory will: in its sandbox, with a good document and with bad ones."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from models.backend import JSON, BackendConfig
from models.conformance import config_faults, fault_of_trial, is_usual, trials
from models.errors import BadSetting, JobRejected, QuledgerError, SandboxError
from models.results import fault_of_document
from models.words import count_of
from tasks.backends import registry
from tasks.jobs.checking import Checked, Checker
from tasks.services import Services

SEED = 7

SLOW = 2.0
"""A run of so many seconds should say how far it has come."""


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: what.
        faults: what is wrong, a sentence each; nothing if all is well.
        advice: what may be as it is, and would be better otherwise.
    """

    name: str
    faults: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


async def conformance(services: Services, checker: Checker, name: str, document: bytes | None) -> list[Check]:
    """Try a backend; what cannot be looked at because of an earlier fault is left out.

    Args:
        checker: of the same services.
        document: a job that it takes; by default the `example` that it has.

    Raises:
        UnknownBackend: there is none of this name.
    """
    try:
        backend = registry.load(name)
    except BadSetting as error:
        return [Check("it can be loaded", (str(error),))]
    config = BackendConfig.model_validate(backend.config, from_attributes=True)
    checks = [
        Check("it can be loaded"),
        Check("its configuration", tuple(config_faults(config))),
        _calibration(name),
        _access(name),
    ]
    text, fault = _example(backend, document)
    if fault:
        return [*checks, Check("a document that it takes", (fault,))]
    verdict = await checker.check(name, text)
    checks.append(_taken(verdict, json.loads(text)))
    if not isinstance(verdict, Checked):
        return checks
    bad = trials(json.loads(text), config)
    verdicts = await checker.check_all([(name, trial.document) for trial in bad])
    faults = [fault_of_trial(trial, each) for trial, each in zip(bad, verdicts, strict=True)]
    checks.append(Check(f"{len(bad)} documents that it has to refuse", tuple(filter(None, faults))))
    return [*checks, *await _run_twice(services, name, text, config)]


def _calibration(name: str) -> Check:
    try:
        registry.version(name)
    except BadSetting as error:
        return Check("its calibration", (str(error),))
    return Check("its calibration")


def _access(name: str) -> Check:
    if registry.access(name) is None:
        said = "it has no `access`, so its jobs may read and use all that the drain may"
        return Check("what its jobs may reach", advice=(said,))
    return Check("what its jobs may reach")


def _example(backend: object, document: bytes | None) -> tuple[bytes, str]:
    """Return a document that the backend takes, and what is wrong with it."""
    if document is None:
        example: JSON = getattr(backend, "example", None)
        if example is None:
            return b"", "it has no `example`; name a file with one by --document"
        try:
            document = json.dumps(example, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            return b"", "its `example` is no JSON"
    try:
        json.loads(document)
    except (ValueError, RecursionError):
        return b"", "the document is no JSON"
    return document, ""


def _taken(verdict: Checked | JobRejected | SandboxError, example: JSON) -> Check:
    if not isinstance(verdict, Checked):
        return Check("a document that it takes", (f"it does not take it: {verdict}",))
    faults = []
    if is_usual(example):
        shots = sum(each["shots"] for each in example.values())
        if (verdict.experiments, verdict.shots) != (len(example), shots):
            wanted = f"{count_of(len(example), 'experiment')} and {count_of(shots, 'shot')}"
            got = f"{count_of(verdict.experiments, 'experiment')} and {count_of(verdict.shots, 'shot')}"
            faults.append(f"of {wanted} `validate` returns {got}; it returns a list of experiments with `shots`")
    return Check("a document that it takes", tuple(faults))


class _Run(NamedTuple):
    program: bytes
    results: list[Any]
    progress: tuple[int, int]
    seconds: float


async def _run_twice(services: Services, name: str, document: bytes, config: BackendConfig) -> list[Check]:
    """Run a document twice with one seed, each time in a process of its own."""
    try:
        one, two = [await _run(services, name, document) for _ in range(2)]
    except QuledgerError as error:
        return [Check("it runs the document", (str(error),))]
    return [Check("it runs the document"), *_compared(one, two, config)]


async def _run(services: Services, name: str, document: bytes) -> _Run:
    async with (
        services.sandbox.borrowed() as sandbox,
        sandbox.job(name, document, job_id="conformance", limits=services.limits) as job,
    ):
        compiled = await job.call("compile", seed=SEED)
        executed = await job.call("execute")
        await job.check(executed["document"])
        found = json.loads(executed["document"])
        if fault := fault_of_document(found):
            raise SandboxError(f"the result is none: {fault}")
        return _Run(compiled["program"], found["results"], job.progress, executed["seconds"])


def _compared(one: _Run, two: _Run, config: BackendConfig) -> Iterator[Check]:
    differs = one.program != two.program
    faults = ("of one document and one seed `compile` makes two programs",) if differs else ()
    yield Check("one seed, one program", faults)
    if config.simulator:
        faults = ("of one program it has two results; all chance comes from the seed",)
        yield Check("one program, one result", () if one.results == two.results or differs else faults)
    count = len(one.results)
    silent = count > 1 and one.seconds > SLOW and one.progress[1] != count
    advice = ("it says nothing between experiments; a generator in `execute` shows how far a job has come",)
    yield Check("it says how far it has come", advice=advice if silent else ())
