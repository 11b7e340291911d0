"""The backends by the names that clients of qlued use: display names, and names in three parts."""

from typing import NamedTuple

from deployments.api.dialects.qlued_documents import full_name
from deployments.api.laboratory import Laboratory
from models.backend import BackendConfig
from models.errors import UnknownBackend

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
    configs = [BackendConfig.model_validate(each["config"]) for each in laboratory.backends()]
    return [Found(config, storage, full_name(storage, config)) for storage in laboratory.storages for config in configs]


def find(laboratory: Laboratory, name: str) -> Found:
    """Return the backend that is meant, by its display name or its name in three parts.

    Raises:
        UnknownBackend: there is none.
    """
    parts = name.split("_")
    display_name = parts[1] if len(parts) == THREE else name
    config = BackendConfig.model_validate(laboratory.backend(display_name)["config"])
    found = [Found(config, storage, full_name(storage, config)) for storage in laboratory.storages]
    for each in found:
        if name in (display_name, each.name):
            return each
    raise UnknownBackend(name, [each.name for each in found])
