"""The backends for those who only validate: nothing is loaded beforehand, and nothing that only running takes."""

from tasks.backends import registry
from tasks.backends.registry import access, lasting, ours
from tasks.backends.registry import load_here as load

__all__ = ["access", "lasting", "load", "needs", "ours"]

_TO_RUN = ("tasks.backends.qubits.execution", "tasks.backends.qubits.preload")


def needs(name: str) -> tuple[str, ...]:
    """Return the modules that this backend alone needs for that and that take seconds to import; imports nothing."""
    return tuple(module for module in registry.needs(name) if module not in _TO_RUN)
