"""The qubit devices that are published, each as a backend of its own name; nothing heavy is imported here.

`qubits` is the device of `line12.json` without errors, `noisyqubits` the same with them. Each NAME.json in the folder
of `QULEDGER_DEVICES` is a backend NAME: with the errors that its description states, or without any if it says
`"simulator": "ideal"`. With `"simulator": "none"` it is a machine that an engine outside serves.
"""

import json
import logging
import os
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from models.backend import Access, Backend
from models.errors import BadSetting, echo
from models.settings import Settings

_LOG = logging.getLogger("quledger.backends")

BUILT_IN = {"qubits": False, "noisyqubits": True}
"""Name -> whether it errs."""

PRELOADED = tuple(f"tasks.backends.qubits.{module}" for module in ("checking", "execution", "preload"))
"""What takes seconds to import, and only these backends need."""

REQUIRED = ("qiskit", "qiskit_aer", "qiskit_qasm3_import")
"""The modules of the optional group `qubits`."""

_NAME = re.compile(r"[a-z0-9]+")
_SIMULATORS = ("ideal", "noisy", "none")
_HANDED_OUT = ("on_claim", "on_list")


def names() -> list[str]:
    """Return the names of all qubit devices; none where the group `qubits` is not installed."""
    return [*BUILT_IN, *sorted(_described())] if _installed() else []


def has(name: str) -> bool:
    """Say whether this is the name of a qubit device; asked for each job, so settings and folder are read at need."""
    return _installed() and (name in BUILT_IN or name in _described())


def why_missing(name: str) -> str:
    """Return what keeps this qubit device from being one of them; empty where nothing does, or it is none."""
    is_meant = not _installed() and (name in BUILT_IN or name in _described())
    return "qubit devices need Qiskit, which is not installed: quledger[qubits] brings it" if is_meant else ""


@lru_cache(maxsize=1)
def _installed() -> bool:
    return all(find_spec(module) is not None for module in REQUIRED)


def _described() -> dict[str, Path]:
    folder = Settings.read().devices
    if folder is None:
        return {}
    if not folder.is_dir():
        _warn("QULEDGER_DEVICES names no folder that is there, so none of its devices is served")
        return {}
    found = {path.stem: path for path in folder.glob("*.json")}
    good = {name: path for name, path in found.items() if _NAME.fullmatch(name) and name not in BUILT_IN}
    for name in sorted(found.keys() - good):
        _warn(f"{echo(name + '.json')} is no device: names are of small letters and digits, and none of ours")
    return good


@lru_cache(maxsize=64)
def _warn(why: str) -> None:
    _LOG.warning("device_left_out action=go_on: %s", why)


def is_outside(name: str) -> bool:
    """Say whether an engine outside serves this device; nothing of it runs here."""
    return _says(name, "simulator") == "none"


def is_handed_out_on_list(name: str) -> bool:
    """Say whether an engine that lists the waiting jobs of this device has them from then on."""
    return _says(name, "jobs") == "on_list"


def _says(name: str, key: str) -> object:
    """Return what the description of a device says of it beside what it can do."""
    path = None if name in BUILT_IN else _described().get(name)
    if path is None:
        return None
    try:
        return _read(path, path.stat().st_mtime_ns).get(key)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> dict[str, object]:
    """Return a description as it stands in its file; an empty one where it is none, which its loading will say."""
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def access() -> Access:
    """Return what jobs of qubit devices need: the descriptions, and a process of its own for a circuit with a loop."""
    return _access(os.environ.get("QULEDGER_DEVICES"))


@lru_cache(maxsize=8)
def _access(_set: str | None) -> Access:
    folder = Settings.read().devices
    return Access(processes=True, paths=() if folder is None else (os.path.abspath(folder.expanduser()),))


def load(name: str) -> Backend:
    """Return the backend of a published device.

    Raises:
        BadSetting: its description cannot be used; all that is wrong is listed.
    """
    from tasks.backends.qubits.backend import Qubits  # noqa: PLC0415 - numpy is for those who load one
    from tasks.backends.qubits.device import DEFAULT, Device  # noqa: PLC0415

    if name in BUILT_IN:
        return Qubits(name, DEFAULT, noisy=BUILT_IN[name])
    path = _described()[name]
    try:
        text = path.read_text("utf-8-sig")
        device = Device.read(text)
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"the device {name} cannot be read: {type(error).__name__}") from None
    except BadSetting as error:
        raise BadSetting(f"the device {name}: {error}") from None
    said = json.loads(text)
    simulator, handed_out = said.get("simulator", "noisy"), said.get("jobs", "on_claim")
    if simulator not in _SIMULATORS:
        raise BadSetting(f"the device {name}: simulator: got {echo(simulator)}; it must be {', '.join(_SIMULATORS)}")
    if handed_out not in _HANDED_OUT:
        raise BadSetting(f"the device {name}: jobs: got {echo(handed_out)}; it must be {' or '.join(_HANDED_OUT)}")
    if simulator == "none":
        from tasks.backends.qubits.outside import OutsideDevice  # noqa: PLC0415 - as above

        return OutsideDevice(name, device)
    return Qubits(name, device, noisy=simulator == "noisy")
