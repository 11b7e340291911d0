"""The backends by name: those of this package, those of the published qubit devices, and those of other packages.

Another package offers one by the entry point group `quledger.backends`: the entry point's name is the backend's
display name, its value a class or function without arguments, or a finished object, that fits `models.backend.Backend`.
Nothing is imported before it is asked for.
"""

import contextlib
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from pydantic import ValidationError

from models.backend import JSON, Access, Backend, BackendConfig
from models.calibrations import Version, version_of
from models.errors import BadSetting, UnknownBackend
from models.job_language.document_schema import schema_of_any
from tasks.backends.qubits import published

_LOG = logging.getLogger("quledger.backends")

GROUP = "quledger.backends"

BUILT_IN = {
    "singlequdit": "tasks.backends.coldatoms.singlequdit:SingleQudit",
    "multiqudit": "tasks.backends.coldatoms.multiqudit:MultiQudit",
    "fermions": "tasks.backends.coldatoms.fermions:Fermions",
    "rydberg": "tasks.backends.coldatoms.rydberg:Rydberg",
}

_NAME = re.compile(r"[a-z0-9]+")
_LOADED: set[str] = set()
_ASKED: dict[str, "Future[JSON]"] = {}
"""The calibrations that were asked for and have not come."""
_STEPS = ("validate", "compile", "execute")

ANSWERING = 5.0
"""So many seconds a plug-in has to say what its calibration is, or its configuration is published alone."""

SLOW = 10.0
"""A plug-in that is not loaded after so many seconds is named in the log, for whoever waits."""

SETTLED_NS = 60 * 10**9
"""So long after a folder of the path has changed, what is installed there is taken to stay as it is."""


def names() -> list[str]:
    """Return the names of all backends: the built-in ones, the qubit devices, the plug-ins in alphabetical order."""
    return [*BUILT_IN, *published.names(), *sorted(_plug_ins())]


def unknown(name: str) -> UnknownBackend:
    """Return the error that no backend has this name."""
    is_misnamed = not _NAME.fullmatch(name) and any(point.name == name for point in entry_points(group=GROUP))
    why = "a package offers it, but names are of small letters and digits alone" if is_misnamed else ""
    return UnknownBackend(name, names(), why or published.why_missing(name))


def knows(name: str) -> bool:
    """Return whether a backend has this name; for ours nothing is looked up."""
    return ours(name) or name in _plug_ins()


def loaded() -> list[str]:
    """Return the names of the plug-ins that this process has loaded; imports nothing."""
    return sorted(_LOADED)


def needs(name: str) -> tuple[str, ...]:
    """Return the modules that this backend alone needs and that take seconds to import; imports nothing."""
    return published.PRELOADED if name not in BUILT_IN and published.has(name) else ()


def lasting(name: str) -> bool:
    """Say whether a process may serve several jobs of this backend: ours only use the numbers of a document."""
    return name in BUILT_IN


def served_outside(name: str) -> bool:
    """Say whether an engine outside runs the jobs of this backend, so that no drain does."""
    return name not in BUILT_IN and published.is_outside(name)


def ours(name: str) -> bool:
    """Say whether the code of this backend is of this package."""
    return name in BUILT_IN or published.has(name)


def access(name: str) -> Access | None:
    """Return what the process of a job of this backend may reach; None for all, since it does not say what it needs."""
    if name in BUILT_IN:
        return Access()
    if published.has(name):
        return published.access()
    try:
        declared: Access | None = getattr(load(name), "access", None)
    except (UnknownBackend, BadSetting):  # its jobs will say so
        return Access()
    if declared is None:
        _warn_undeclared(name)
    return declared


@lru_cache(maxsize=64)
def _warn_undeclared(name: str) -> None:
    _LOG.warning(
        "backend_undeclared action=run: %s does not declare what it needs (`access`, see docs/trust.md), so its jobs "
        "may read and use all that this process may",
        name,
    )


def version(name: str) -> Version:
    """Return the configuration and calibration of this backend as they are now.

    Raises:
        UnknownBackend: there is none.
        BadSetting: it does not fit, or what it says of its calibration is no JSON.
    """
    backend = load(name)
    config = BackendConfig.model_validate(backend.config, from_attributes=True)
    try:
        return version_of(config, _calibration(name, backend))
    except (Exception, SystemExit) as error:  # whatever a foreign module does
        raise BadSetting(f"the calibration of {name} cannot be used: {type(error).__name__}") from error


def _calibration(name: str, backend: Backend) -> JSON:
    """Return what a backend says; a machine that does not answer is left alone until it does, and holds up no other.

    Raises:
        TimeoutError: it has not answered.
    """
    if ours(name):
        return getattr(backend, "calibration", None)
    answer = _ASKED.get(name)
    seconds = ANSWERING if answer is None else 0.0
    if answer is None:
        answer = _ASKED[name] = Future()
        threading.Thread(target=_ask, args=[answer, backend], daemon=True).start()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return answer.result(seconds)
    finally:
        if answer.done():
            _ASKED.pop(name, None)


def _ask(answer: "Future[JSON]", backend: Backend) -> None:
    try:
        answer.set_result(getattr(backend, "calibration", None))
    except BaseException as error:  # noqa: BLE001 - whatever a foreign module does, who asked is told
        answer.set_exception(error)


def document_schema(name: str) -> dict[str, Any]:
    """Return what this backend takes, as JSON Schema; any value where a plug-in does not say.

    Raises:
        UnknownBackend: there is none.
        BadSetting: it does not fit.
    """
    schema: dict[str, Any] | None = getattr(load(name), "document_schema", None)
    return schema_of_any(name) if schema is None else schema


@lru_cache(maxsize=64)
def load(name: str) -> Backend:
    """Return the backend of this name; each is made once per process.

    Raises:
        UnknownBackend: there is none.
        BadSetting: a plug-in of this name cannot be imported or does not fit; it is named.
    """
    if name in BUILT_IN:
        # one BLAS thread per process: small matrices get slower with more, and cores are better used for jobs
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        module, attribute = BUILT_IN[name].split(":")
        make = cast("Callable[[], Backend]", getattr(import_module(module), attribute))
        return make()
    if published.has(name):
        return published.load(name)
    plug_in = _plug_ins().get(name)
    if plug_in is None:
        raise unknown(name)
    slow = threading.Timer(SLOW, _LOG.warning, ["backend_slow action=wait: %s is still being loaded", name])
    slow.daemon = True
    slow.start()
    try:
        backend = _checked(plug_in)
    finally:
        slow.cancel()
    _LOADED.add(name)
    return backend


def usable() -> list[str]:
    """Return the names of all backends that can be loaded; a plug-in that does not fit is reported and left out."""
    good = []
    for name in names():
        try:
            load(name)
        except BadSetting as error:
            _LOG.error("backend_unusable action=leave_out: %s", error)
        else:
            good.append(name)
    return good


def _plug_ins() -> dict[str, EntryPoint]:
    """Return the plug-ins whose names can be display names and are not taken."""
    changes = _changes()
    # An installation that may still be under way is looked at each time.
    is_settled = max(changed for _, changed in changes) < time.time_ns() - SETTLED_NS
    found = _offered(changes) if is_settled else entry_points(group=GROUP)
    taken = {*BUILT_IN, *published.names()}
    return {point.name: point for point in found if _NAME.fullmatch(point.name) and point.name not in taken}


def _changes() -> tuple[tuple[str, int], ...]:
    """Return each place of the path with the time of its last change: what is installed or removed changes one."""
    changes = []
    for place in sys.path:
        try:
            changes.append((place, os.stat(place or os.curdir).st_mtime_ns))
        except OSError:  # there is none
            changes.append((place, 0))
    return tuple(changes)


@lru_cache(maxsize=1)
def _offered(_: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    """Return what other packages offer; each submission asks, and to read what every package offers takes 7 ms."""
    return tuple(entry_points(group=GROUP))


def _checked(point: EntryPoint) -> Backend:
    """Return the plug-in's backend, or say why it is none."""
    what = f"the plug-in {point.name!r} ({point.value})"
    try:
        # What it prints is not of the command's output, which may be JSON.
        with contextlib.redirect_stdout(sys.stderr):
            made: Any = point.load()
            if isinstance(made, type) or not hasattr(made, "config"):
                made = made()
            config = made.config
            access, schema = (getattr(made, field, None) for field in ("access", "document_schema"))
    except (Exception, SystemExit) as error:  # whatever a foreign module does must not stop the other backends
        raise BadSetting(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    missing = [step for step in _STEPS if not callable(getattr(made, step, None))]
    if missing:
        raise BadSetting(f"{what} does not fit: it has no {', '.join(missing)}")
    try:
        published = BackendConfig.model_validate(config, from_attributes=True)
    except ValidationError as error:
        raise BadSetting(f"{what} does not fit: its config is wrong in {_places(error)}") from None
    if published.display_name != point.name:
        raise BadSetting(f"{what} does not fit: its display name is {published.display_name!r}, not {point.name!r}")
    return _PlugIn(made, published, _declared(access, what), _schema(schema, what))


def _declared(declared: object, what: str) -> Access | None:
    try:
        return None if declared is None else Access.model_validate(declared, from_attributes=True)
    except ValidationError as error:
        raise BadSetting(f"{what} does not fit: its access is wrong in {_places(error)}") from None


def _places(error: ValidationError) -> str:
    """Return all fields that are wrong, each with why."""
    return ", ".join(f"{'.'.join(map(str, item['loc'])) or 'all'} ({item['msg']})" for item in error.errors())


def _schema(schema: object, what: str) -> dict[str, Any] | None:
    if schema is None:
        return None
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        if isinstance(schema, dict) and json.dumps(schema, allow_nan=False):
            return schema
    raise BadSetting(f"{what} does not fit: its document_schema is no JSON object")


class _PlugIn:
    """A backend from outside with its configuration and what it declares checked once."""

    def __init__(
        self, inner: Backend, config: BackendConfig, access: Access | None, schema: dict[str, Any] | None
    ) -> None:
        self.config, self.access, self._inner = config, access, inner
        self.validate, self.compile, self.execute = inner.validate, inner.compile, inner.execute
        self.document_schema = schema

    @property
    def example(self) -> JSON:
        """A job that it takes; None where it does not say."""
        return getattr(self._inner, "example", None)

    @property
    def calibration(self) -> JSON:
        """What was measured of it by now; None where it does not say."""
        return getattr(self._inner, "calibration", None)
