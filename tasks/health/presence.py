"""Whether a process of this machine is there, by the name of its worker."""

import socket
from pathlib import Path
from typing import Literal

_STOPPED = frozenset("Tt")
_GONE = frozenset("ZX")


def seen_here(worker: str) -> Literal["", "there", "stopped", "gone"]:
    """Return how the process of a worker is; empty if it runs on another machine.

    Args:
        worker: `host:pid:` and what tells it from all others, as in `Services.worker`.
    """
    host, _, rest = worker.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdecimal():
        return ""
    try:
        said = Path("/proc", pid, "stat").read_text(errors="replace")
    except OSError:
        return "gone"
    state = said.rpartition(")")[2].split()[0]
    return "stopped" if state in _STOPPED else "gone" if state in _GONE else "there"
