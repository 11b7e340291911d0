"""What a job's process may read: what Python and its libraries lie in, and nothing that is kept secret beside them."""

import os
import site
import sys
from collections.abc import Iterable

from tasks.python import ROOT

PACKAGES = ("deployments", "flows", "models", "storage", "tasks")
"""Our own, which may be imported from a folder that holds more."""

SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/os-release",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/kernel/osrelease", "/proc/sys/vm",
    "/sys/devices/system/cpu", "/sys/devices/system/node",
)  # fmt: skip
"""What any process reads."""

MYSELF = "/proc/self"
"""What the process that asks may read of itself; of others it sees nothing."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
"""What any process may use."""

NAMES = (
    "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    "/etc/protocols", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/crypto-policies", "/run/systemd/resolve",
)  # fmt: skip
"""How the network's names and certificates are looked up."""


def of_imports(hidden: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the folders and files from which this process has imported, or may still.

    Args:
        hidden: what may not be read, even if it lies in such a folder.
    """
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    libraries = [os.path.join(prefix, folder) for prefix in prefixes for folder in ("lib", "lib64", "pyvenv.cfg")]
    libraries += [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path]
    ours = [os.path.join(ROOT, package) for package in PACKAGES]
    # A module may lie where a link or an import hook has found it, beside all folders of the path.
    loaded = [path for name, module in sys.modules.items() if "." not in name for path in _folders(module)]
    imports = [path for path in sys.path if path]
    return without([*libraries, *ours, *imports, *site.getsitepackages(), *loaded], hidden)


def _folders(module: object) -> list[str]:
    folders = getattr(module, "__path__", None) or ()
    return [path for path in folders if isinstance(path, str) and os.path.isabs(path)]


def without(places: Iterable[str], hidden: Iterable[str]) -> tuple[str, ...]:
    """Return the places; of one that holds something hidden all else that is in it. What lies in another is left out.

    A place that lies in a hidden folder is one all the same: it was asked for by its name.
    """
    secrets = {os.path.realpath(path) for path in hidden}
    found = {path for place in map(os.path.realpath, places) for path in _without(place, secrets)}
    outermost: list[str] = []
    # With a slash at their ends, what lies in a folder comes right after it.
    for path in sorted((path for path in found if os.path.exists(path)), key=lambda path: f"{path.rstrip('/')}/"):
        if not (outermost and _is_in(path, outermost[-1])):
            outermost.append(path)
    return tuple(outermost)


def _without(place: str, secrets: set[str]) -> set[str]:
    if place in secrets:
        return set()
    if not any(_is_in(secret, place) for secret in secrets):
        return {place}
    try:
        with os.scandir(place) as entries:
            # Where a link leads is a place of its own, or none.
            inside = [entry.path for entry in entries if not entry.is_symlink()]
    except OSError:
        return set()
    return {path for entry in inside for path in _without(entry, secrets)}


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
