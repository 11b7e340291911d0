"""What each backend is now, written into the ledger: when it is published, and before a result stands on it."""

import json
import logging
from collections.abc import Sequence

from models.calibrations import Version, version_of
from models.errors import BadSetting, LogError
from storage.identity.devices import standing
from tasks.backends import registry
from tasks.services import Services

_LOG = logging.getLogger("quledger.calibrations")


def version_now(services: Services, name: str) -> Version:
    """Return the configuration and calibration of a backend; an engine outside has said the latter, if it has.

    Raises:
        BadSetting: the backend does not fit.
        LogUnavailable: it is not known what an engine has said.
    """
    said = standing(services.log.engine, name).device_info if registry.served_outside(name) else ""
    if not said:
        return registry.version(name)
    try:
        return version_of(registry.load(name).config, json.loads(said))
    except (ValueError, RecursionError):
        raise BadSetting(f"what the engine of {name} says of its calibration is no JSON") from None


def record(services: Services, names: Sequence[str]) -> None:
    """Record what these backends are now, where that has changed; what cannot be recorded is tried again."""
    for name in names:
        try:
            services.calibrations.publish(name, version_now(services, name))
        except (BadSetting, LogError) as error:
            _LOG.warning("calibration_unrecorded action=try_again backend=%s: %s", name, error)


def stood_on(services: Services, name: str) -> str:
    """Return the hash of what a result of an engine outside stands on, and see to it that the ledger has it."""
    try:
        version = version_now(services, name)
    except BadSetting:
        return ""
    if not services.calibrations.knows(name, version.sha256):
        services.calibrations.ensure(name, version)
    return version.sha256
