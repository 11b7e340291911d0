"""Tries a backend as a laboratory will: in its sandbox, with a good document and with bad ones."""

import asyncio
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from models.backend import JSON, BackendConfig
from models.conformance import Trial, config_faults, fault_of_trial, is_usual, limit_of, trials
from models.errors import BadSetting, JobRejected, QuledgerError, SandboxError
from models.results import fault_of_document
from models.words import count_of
from tasks.backends import registry
from tasks.jobs.checking import Checked, Checker
from tasks.sandbox.job_process import JobProcess
from tasks.sandbox.rlimits import Limits
from tasks.services import Services

SEED = 7

ANSWERING = 30.0
"""So many seconds a backend has to say what its example is."""

JUDGING = 20.0
"""So many seconds `validate` has for one document: it looks at it, and runs nothing."""

GROUP = 4
"""So many documents are tried before it is seen whether they end."""

SLOW, MUTE = 2.0, 0.9
"""A run of several experiments that takes so many seconds should say how far it is before that share is over."""


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


def judging(limits: Limits) -> Limits:
    """Return the limits of a check."""
    seconds = {field: min(getattr(limits, field), JUDGING) for field in ("cpu_seconds", "wall_seconds")}
    return limits.model_copy(update=seconds)


async def conformance(services: Services, checker: Checker, name: str, document: bytes | None) -> list[Check]:
    """Try a backend; what cannot be looked at because of an earlier fault is left out.

    Args:
        checker: of the same services, with the limits that `judging` makes of theirs.
        document: a job that it takes; by default the `example` that it has.

    Raises:
        UnknownBackend: there is none of this name.
    """
    try:
        backend = registry.load(name)
    except BadSetting as error:
        return [Check("it can be loaded", (str(error),))]
    config = BackendConfig.model_validate(backend.config, from_attributes=True)
    calibration = _calibration(name)
    checks = [
        Check("it can be loaded"),
        Check("its configuration", tuple(config_faults(config))),
        calibration,
        _access(name),
    ]
    text, fault = _example(backend, document)
    if fault:
        return [*checks, Check("a document that it takes", (fault,))]
    verdict = await checker.check(name, text)
    checks.append(_taken(verdict, json.loads(text)))
    if not isinstance(verdict, Checked):
        return checks
    checks.append(await _refusals(checker, name, trials(json.loads(text), config)))
    if calibration.faults:
        return checks  # each run would ask for it again
    return [*checks, *await _run_twice(services, name, text, config)]


async def _refusals(checker: Checker, name: str, bad: list[Trial]) -> Check:
    """Try documents that have to be refused, until one of them makes `validate` go on beyond its limits."""
    faults: list[str | None] = []
    for start in range(0, len(bad), GROUP):
        group = bad[start : start + GROUP]
        verdicts = await checker.check_all([(name, trial.document) for trial in group])
        faults += [fault_of_trial(trial, each) for trial, each in zip(group, verdicts, strict=True)]
        if left := len(bad) - len(faults) if any(map(limit_of, verdicts)) else 0:
            faults.append(f"{count_of(left, 'document')} after that were not tried")
            break
    return Check(f"{len(bad)} documents that it has to refuse", tuple(filter(None, faults)))


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer; only a main thread can be interrupted so."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"it has not ended after {seconds:g} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
        try:
            with _within(ANSWERING), contextlib.redirect_stdout(sys.stderr):
                example: JSON = getattr(backend, "example", None)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign module does
            return b"", f"its `example` cannot be used: {type(error).__name__}"
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
    """What a run was; `silence` is how many seconds of it went by before it said how far it was."""

    program: bytes
    results: list[Any]
    silence: float
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
        began = time.monotonic()
        listening = asyncio.create_task(_first_word(job))
        try:
            executed = await job.call("execute")
        finally:
            listening.cancel()
        ended = time.monotonic()
        spoke = listening.result() if listening.done() and not listening.cancelled() else ended
        await job.check(executed["document"])
        found = json.loads(executed["document"])
        if fault := fault_of_document(found):
            raise SandboxError(f"the result is none: {fault}")
        return _Run(compiled["program"], found["results"], spoke - began, ended - began)


async def _first_word(job: JobProcess) -> float:
    """Return when a job said how far it has come."""
    while not job.progress[0]:  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.02)
    return time.monotonic()


def _compared(one: _Run, two: _Run, config: BackendConfig) -> Iterator[Check]:
    differs = one.program != two.program
    faults = ("of one document and one seed `compile` makes two programs",) if differs else ()
    yield Check("one seed, one program", faults)
    if config.simulator:
        faults = ("of one program it has two results; all chance comes from the seed",)
        yield Check("one program, one result", () if one.results == two.results or differs else faults)
    silent = len(one.results) > 1 and one.seconds > SLOW and one.silence > MUTE * one.seconds
    said = f"it said nothing in {one.silence:.1f} of its {one.seconds:.1f} s"
    advice = (f"{said}; a generator in `execute` shows how far a job has come",)
    yield Check("it says how far it has come", advice=advice if silent else ())
