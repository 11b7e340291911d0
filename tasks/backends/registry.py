"""The backends by name: those of this package, those of the published qubit devices, and those of other packages.

Another package offers one by the entry point group `quledger.backends`: the entry point's name is the backend's
display name, its value a class or function without arguments, or a finished object, that fits `models.backend.Backend`.
Nothing is imported before it is asked for.
"""

import contextlib
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from models.backend import JSON, Access, Backend, BackendConfig
from models.calibrations import Version, version_of
from models.errors import BadSetting, UnknownBackend
from models.job_language.document_schema import schema_of_any
from tasks.backends import plug_in as plug_ins
from tasks.backends.qubits import published
from tasks.threads import begun_apart

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

_REPORTED: dict[str, str] = {}
"""What was said last of each plug-in that cannot be used; said once, and again when it has changed."""

ANSWERING = 5.0
"""So many seconds a plug-in has to say what its calibration is, or its configuration is published alone."""

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


def why_run_here(name: str) -> str:
    """Return why no engine may serve this backend; empty where one may."""
    if served_outside(name):
        return ""
    if name not in BUILT_IN and published.has(name):
        try:
            published.load(name)
        except BadSetting as error:
            return f"{error}; until that is put right nobody serves it"
    return (
        f"the jobs of {name} are run here; a device that an engine serves has a description with"
        ' "simulator": "none" in QULEDGER_DEVICES'
    )


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
        answer = _ASKED[name] = begun_apart("plug-in", lambda: getattr(backend, "calibration", None))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return answer.result(seconds)
    finally:
        if answer.done():
            _ASKED.pop(name, None)


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
        BadSetting: a plug-in of this name cannot be imported, does not fit or hangs; it is named.
    """
    if ours(name) or name not in _plug_ins():
        return load_here(name)
    backend = _LOADS.get(name)
    _LOADED.add(name)
    return backend


def load_here(name: str) -> Backend:
    """Return the backend of this name, made anew and without a bound: for a process that is itself bounded.

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
    return plug_ins.made(plug_in)


_LOADS = plug_ins.Loads(load_here)


def usable() -> list[str]:
    """Return the names of all backends that can be loaded; one that does not fit is reported once and left out."""
    good, unusable = survey()
    for name, why in unusable.items():
        if _REPORTED.get(name) != why:
            _LOG.error("backend_unusable action=leave_out: %s", why)
    _REPORTED.clear()
    _REPORTED.update(unusable)
    return good


def survey(seconds: float = plug_ins.LOADING) -> tuple[list[str], dict[str, str]]:
    """Return the names of all backends that can be loaded, and why each of the others cannot be used.

    Args:
        seconds: that a plug-in is waited for at most.
    """
    good: list[str] = []
    unusable: dict[str, str] = {}
    for name in names():
        try:
            if not ours(name) and name not in _LOADED:
                _LOADS.expect(name, seconds)
            load(name)
        except BadSetting as error:
            unusable[name] = str(error)
        else:
            good.append(name)
    return good, unusable


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
