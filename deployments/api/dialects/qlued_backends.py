"""The backends by the names that clients of qlued use: display names, and names in three parts."""

from typing import NamedTuple

from deployments.api.dialects.qlued_documents import full_name
from deployments.api.laboratory import Laboratory
from models.backend import BackendConfig
from models.errors import UnknownBackend
from tasks.backends import registry

THREE = 3
"""Parts of a name: storage, display name, simulator or hardware."""


class Found(NamedTuple):
    """A backend.

    Attributes:
        storage: that its jobs are kept in; the empty name is that of the first one.
        name: in three parts.
    """

    config: BackendConfig
    storage: str
    name: str


def find_all(laboratory: Laboratory) -> list[Found]:
    """Return each backend, with each storage that jobs can be kept in."""
    configs = [laboratory.config(name) for name in laboratory.names()]
    return [Found(config, storage, full_name(storage, config)) for storage in laboratory.storages for config in configs]


def is_ours(name: str) -> bool:
    """Return whether a name may be that of a backend whose configuration is here, with nothing to be imported first."""
    return _display_name(name) in registry.BUILT_IN


def _display_name(name: str) -> str:
    parts = name.split("_")
    return parts[1] if len(parts) == THREE else name


def find(laboratory: Laboratory, name: str) -> Found:
    """Return the backend that is meant, by its display name or its name in three parts.

    Raises:
        UnknownBackend: there is none.
    """
    display_name = _display_name(name)
    config = laboratory.config(display_name)
    found = [Found(config, storage, full_name(storage, config)) for storage in laboratory.storages]
    for each in found:
        if name in (display_name, each.name):
            return each
    raise UnknownBackend(name, [each.name for each in found])
