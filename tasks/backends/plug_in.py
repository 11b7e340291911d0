"""Loads a backend of another package, within a time, and checks once that it fits."""

import contextlib
import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from importlib.metadata import EntryPoint
from typing import Any

from pydantic import ValidationError

from models.backend import JSON, Access, Backend, BackendConfig
from models.errors import BadSetting
from tasks.threads import begun_apart

_LOG = logging.getLogger("quledger.backends")

_STEPS = ("validate", "compile", "execute")

SLOW = 10.0
"""A plug-in that is not loaded after so many seconds is named in the log, for whoever waits."""

LOADING = 30.0
"""So many seconds a plug-in has to be loaded; after that it is left out, and whoever asks again need not wait."""


class Loads:
    """The plug-ins that this process is loading, each in a thread of its own: one that hangs holds up no other.

    Args:
        load: returns the backend of a name, or hangs.
    """

    def __init__(self, load: Callable[[str], Backend]) -> None:
        self._load = load
        self._turn = threading.Lock()
        # Each with the moment (on the steady clock) until which it is waited for.
        self._begun: dict[str, tuple[Future[Backend], float]] = {}

    def expect(self, name: str, seconds: float) -> Future[Backend]:
        """Wait so long at most until a plug-in is loaded, or has failed.

        Raises:
            BadSetting: it is not loaded; that goes on, and it is had as soon as it is there.
        """
        begun, until, is_first = self._of(name)
        left = max(0.0, min(seconds, until - time.monotonic()))
        slow = threading.Timer(SLOW, _LOG.warning, ["backend_slow action=wait: %s is still being loaded", name])
        slow.daemon = True
        # What it prints is not of the command's output, which may be JSON.
        with contextlib.redirect_stdout(sys.stderr) if is_first else contextlib.nullcontext():
            slow.start()
            wait([begun], left)
            slow.cancel()
        if not begun.done():
            raise BadSetting(
                f"the plug-in {name!r} is not loaded after {min(seconds, LOADING):g} s, and is left out: its jobs wait."
                f" `quledger backends check {name}` tries it alone; put right what it waits for while it is imported,"
                " and start again what serves it"
            )
        return begun

    def get(self, name: str) -> Backend:
        """Return a plug-in.

        Raises:
            BadSetting: it cannot be used, or is not loaded.
        """
        begun = self.expect(name, LOADING)
        with self._turn:
            self._begun.pop(name, None)  # what failed is tried again
        return begun.result()

    def _of(self, name: str) -> tuple[Future[Backend], float, bool]:
        with self._turn:
            is_first = name not in self._begun
            if is_first:
                self._begun[name] = begun_apart("plug-in", lambda: self._load(name)), time.monotonic() + LOADING
            return *self._begun[name], is_first


def made(point: EntryPoint) -> Backend:
    """Return the plug-in's backend.

    Raises:
        BadSetting: it cannot be imported or does not fit; all that is wrong is named.
    """
    what = f"the plug-in {point.name!r} ({point.value})"
    try:
        found: Any = point.load()
        if isinstance(found, type) or not hasattr(found, "config"):
            found = found()
        config = found.config
        access, schema = (getattr(found, field, None) for field in ("access", "document_schema"))
    except (Exception, SystemExit) as error:  # whatever a foreign module does must not stop the other backends
        raise BadSetting(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    missing = [step for step in _STEPS if not callable(getattr(found, step, None))]
    if missing:
        raise BadSetting(f"{what} does not fit: it has no {', '.join(missing)}")
    try:
        published = BackendConfig.model_validate(config, from_attributes=True)
    except ValidationError as error:
        raise BadSetting(f"{what} does not fit: its config is wrong in {_places(error)}") from None
    if published.display_name != point.name:
        raise BadSetting(f"{what} does not fit: its display name is {published.display_name!r}, not {point.name!r}")
    return _PlugIn(found, published, _declared(access, what), _schema(schema, what))


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
