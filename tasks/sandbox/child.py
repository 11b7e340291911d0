"""What runs in the child process of a job: its limits, its three steps and the messages about them.

Results are kept, so that each step runs once; a step that needs an earlier one runs it. A child that is kept gets
further jobs the same way.
"""

import contextlib
import functools
import gc
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, NoReturn

from models.backend import JSON, Backend, BackendConfig
from models.calibrations import Version, version_of
from models.documents import ResultDocument, parse_document, parse_job
from models.errors import JobRejected
from models.results import expected_of, fault_of, fault_of_document
from tasks.sandbox.protocol import MAX_HEADER, MAX_TOLD, TOLD_ALONE, TOO_LARGE, Answer, pack, pack_error, receive
from tasks.sandbox.rlimits import MEGABYTE, Meter

PROGRESS_SECONDS = 0.5
"""The least time between two words about the progress."""

OURS = "quledger"


class Loaded(NamedTuple):
    """A backend and what a result says about where it comes from."""

    backend: Backend
    config: BackendConfig
    versions: dict[str, str]


@functools.cache
def load(resolver: str, name: str) -> Loaded:
    """Return a backend; the fork server calls this beforehand, so that no child has to.

    Args:
        resolver: `module:function`; the function returns the backend of a name.
    """
    module, _, function = resolver.partition(":")
    backend: Backend = getattr(importlib.import_module(module), function)(name)
    config = BackendConfig.model_validate(backend.config, from_attributes=True)
    return Loaded(backend, config, versions(backend))


def _shots_of(experiment: Any) -> int:
    """Return how often an experiment runs, as its attribute or its member says; 0 where it does not say."""
    is_mapping = isinstance(experiment, Mapping)
    shots = experiment.get("shots", 0) if is_mapping else getattr(experiment, "shots", 0)
    return shots if type(shots) is int and shots >= 0 else 0


def _version(loaded: Loaded) -> Version:
    """Return what a backend is now: its calibration may ask a machine, so a job does, and no fork server."""
    return version_of(loaded.config, getattr(loaded.backend, "calibration", None))


def versions(backend: object) -> dict[str, str]:
    """Return the versions of Python, of the number crunchers in use and of the backend's own distribution."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "scipy", "qiskit", "qiskit_aer"):
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__)
    package = type(backend).__module__.partition(".")[0]
    # The search for the distribution of a package reads all that is installed; our own name needs no search.
    for distribution in [OURS] if package == __name__.partition(".")[0] else _distributions().get(package, [])[:1]:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[distribution] = importlib.metadata.version(distribution)
    return found


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return {package: list(names) for package, names in importlib.metadata.packages_distributions().items()}


class Steps:
    """The three steps of one job, each of which runs at most once.

    Args:
        meter: tells what the job has used.
        tell: called now and then with how many experiments have been executed, of how many.
        is_ours: the backend's results are checked here; those of a stranger are where he cannot meddle (`Check`).
    """

    def __init__(  # noqa: PLR0913 - what a job is, and where it runs
        self,
        loaded: Loaded,
        job_id: str,
        document: bytes,
        meter: Meter,
        tell: Callable[[dict[str, int]], None],
        *,
        is_ours: bool = False,
    ) -> None:
        self._loaded, self._job_id, self._document, self._tell = loaded, job_id, document, tell
        self._meter, self._is_ours = meter, is_ours
        self._experiments: Collection[Any] | None = None
        self._program: tuple[int, JSON] | None = None
        self._version: Version | None = None

    def run(self, step: str, seed: int | None) -> Answer:
        """Run one step: `validate`, `compile` or `execute`; or say what the execution stood on."""
        match step:
            case "validate":
                return self._validate()
            case "compile":
                return self._compile(seed)
            case "describe":
                version = self._stood_on()
                return _hashes(version), version.text.encode("ascii")
        return self._execute(seed)

    def _validate(self) -> Answer:
        experiments = self._validated()
        predict = getattr(self._loaded.backend, "predicted_cost", None)
        cost = predict(experiments) if callable(predict) else None
        values = experiments.values() if isinstance(experiments, Mapping) else experiments
        shots = sum(map(_shots_of, values))
        return {"experiments": len(experiments), "shots": shots, "cost": cost}, b""

    def _compile(self, seed: int | None) -> Answer:
        program = json.dumps(self._compiled(seed)).encode("ascii")
        return {"program_sha256": hashlib.sha256(program).hexdigest(), "seed": seed}, program

    def _execute(self, seed: int | None) -> Answer:
        program, config, version = self._compiled(seed), self._loaded.config, self._stood_on()
        started = time.perf_counter()
        results = []
        told_at = started
        for result in self._loaded.backend.execute(program):
            results.append(result)
            if time.perf_counter() - told_at > PROGRESS_SECONDS:
                told_at = time.perf_counter()
                self._tell({"done": len(results), "of": len(self._validated())})
        seconds = time.perf_counter() - started
        if len(results) != len(self._validated()):
            raise TypeError("the backend must return one result per experiment")
        if self._is_ours and (fault := fault_of(results)) is not None:
            raise TypeError(fault)
        shell = ResultDocument(
            display_name=config.display_name, backend_version=config.version, job_id=self._job_id
        ).model_dump()
        # Put in afterwards: a dump would copy every shot.
        document = json.dumps(shell | {"results": results}).encode("ascii")
        return {
            "seconds": round(seconds, 6),
            "cpu_seconds": round(self._meter.cpu_seconds, 6),
            "max_rss_mb": round(self._meter.max_rss / MEGABYTE, 1),
            "is_small": self._meter.is_small,
            "versions": self._loaded.versions,
            "backend_config_sha256": version.config_sha256,
            "calibration_sha256": version.sha256,
        }, document

    def _stood_on(self) -> Version:
        """Return what the backend was when the execution began, or now if none has."""
        if self._version is None:
            self._version = _version(self._loaded)
        return self._version

    def _validated(self) -> Collection[Any]:
        if self._experiments is None:
            experiments: Collection[Any] = self._loaded.backend.validate(parse_job(self._document))
            self._experiments, self._document = experiments, b""
        return self._experiments

    def _compiled(self, seed: int | None) -> JSON:
        if self._program is None or seed not in {None, self._program[0]}:
            experiments = self._validated()
            if seed is None:
                raise ValueError("the first compilation needs a seed")
            self._program = (seed, self._loaded.backend.compile(experiments, seed))
        return self._program[1]


def _hashes(version: Version) -> dict[str, str]:
    return {"config_sha256": version.config_sha256, "calibration_sha256": version.sha256}


class Batch:
    """The validation of several documents, one after the other; each answer is sent as soon as it is there.

    Args:
        job: with `documents`, how many bytes each of them has.
        body: all of them.
        send: sends one answer.
    """

    def __init__(
        self, loaded: Loaded, job: dict[str, Any], body: bytes, meter: Meter, send: Callable[[bytes], None]
    ) -> None:
        self._loaded, self._job, self._body, self._meter, self._send = loaded, job, body, meter, send

    def run(self, _step: str, _seed: int | None) -> Answer:
        """Answer that all of them are done."""
        start, used = 0, self._meter.cpu_seconds
        for size in self._job["documents"]:
            document = self._body[start : start + size]
            start += size
            self._meter.begin(self._job)  # each has all that a job may use
            steps = Steps(self._loaded, "", document, self._meter, lambda _: None)
            try:
                answer, _ = steps.run("validate", None)
                head = pack(answer)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
                head = pack_error(error)
            self._send(head if len(head) <= MAX_TOLD else pack(TOLD_ALONE))
            used += self._meter.cpu_seconds
        return {"cpu_seconds": round(used, 6), "is_small": self._meter.is_small}, b""


class Check:
    """The check of a result in a process in which no code of the backend that made it has ever run.

    Args:
        job: with `experiments`, how many results there have to be, and `document_bytes`.
        body: the job document, of so many bytes, and then the result document.
    """

    def __init__(self, job: dict[str, Any], body: bytes, meter: Meter) -> None:
        self._experiments: int = job["experiments"]
        self._document, self._result = body[: job["document_bytes"]], body[job["document_bytes"] :]
        self._meter = meter

    def run(self, _step: str, _seed: int | None) -> Answer:
        """Answer with the `fault` of the result, None if it has none."""
        fault = self._fault()
        about = {"cpu_seconds": round(self._meter.cpu_seconds, 6), "is_small": self._meter.is_small}
        return about | {"fault": fault}, b""

    def _fault(self) -> str | None:
        try:
            document = json.loads(self._result)
            # What is signed is this text itself, so it has to be the one that every reader would write.
            if not isinstance(document, dict) or json.dumps(document).encode("ascii") != self._result:
                return "its result is not written as JSON is written here"
        except (ValueError, RecursionError):
            return "its result is no JSON"
        try:
            expected = expected_of(parse_document(self._document))
        except JobRejected:
            expected = None
        return fault_of_document(document) or fault_of(
            document["results"], experiments=self._experiments, expected=expected
        )


def serve(
    channel_fd: int, die_with_parent: Callable[[], None], put_up_walls: Callable[[], None], loaded_bytes: int | None
) -> NoReturn:
    """Be the child: answer the requests of its jobs until the channel closes, and end the process.

    Args:
        channel_fd: the child's socket, the only file that stays open beside /dev/null.
        die_with_parent: sees to it that no child survives the fork server, where the system offers that.
        put_up_walls: keeps the child from what its backend does not need.
        loaded_bytes: address space of the fork server; None where the kernel does not limit it (macOS).
    """
    status = 1
    try:
        os.setsid()
        die_with_parent()
        channel = use_own_files(channel_fd)
        put_up_walls()
        meter = Meter(loaded_bytes)
        job: dict[str, Any] = {}
        document = b""
        steps: Steps | Check | Batch | None = None

        while True:
            request, body = receive(channel)
            if "job" in request:
                job, document, steps = request["job"], body, None
                meter.begin(job)
            try:
                steps = steps or _answering(job, document, meter, channel)
                header, body = steps.run(request["step"], request["seed"])
                head = pack(header, len(body))
            except BaseException as error:  # noqa: BLE001 - even SystemExit is an answer: the parent decides what ends
                head, body = pack_error(error), b""
            if len(head) > MAX_HEADER or len(head) + len(body) > job["answer_bytes"]:
                head, body = pack(TOO_LARGE), b""
            channel.sendall(head)
            if body:
                channel.sendall(body)
            del head, body
    except EOFError:
        status = 0
    finally:
        os._exit(status)


def _answering(job: dict[str, Any], document: bytes, meter: Meter, channel: socket.socket) -> "Steps | Check | Batch":
    """Return what answers the requests of a job."""
    if "experiments" in job:
        return Check(job, document, meter)
    loaded = load(job["resolver"], job["backend"])
    if "documents" in job:
        return Batch(loaded, job, document, meter, channel.sendall)

    def tell(progress: dict[str, int]) -> None:
        channel.sendall(pack({"progress": progress}))

    return Steps(loaded, job["job_id"], document, meter, tell, is_ours=job["is_ours"])


def use_own_files(channel_fd: int) -> socket.socket:
    """Leave files and signal handlers of the fork server behind."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(0, 1)
    os.dup2(0, 2)
    os.dup2(channel_fd, 3, inheritable=False)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    gc.enable()
    return socket.socket(fileno=3)
