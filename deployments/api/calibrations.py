"""The calls about configurations and calibrations of backends, and the results that stand on them; they block."""

from collections.abc import Sequence
from typing import Any

from models.calibrations import Calibration
from models.errors import InputError
from models.identity.access import LABORATORY, PROVEN_SOURCE, Act, Caller, Thing, why_not
from models.identity.errors import NotPermitted
from models.job import Job
from models.names import is_display_name
from models.reruns import Change
from models.standing import periods_of, version_value
from tasks.backends import registry
from tasks.jobs.reruns import changes_since
from tasks.services import Services


class CalibrationCalls:
    """What callers ask of the ledgers, and what operators write into them."""

    def __init__(self, services: Services) -> None:
        self._services, self._ledgers = services, services.calibrations

    def history(self, caller: Caller, backend: str) -> list[dict[str, Any]]:
        """Return which versions of a backend held when.

        Raises:
            UnknownBackend: there is none of this name, and nothing was recorded of one.
        """
        _permit(caller, Act.SEE, Thing.job(caller.user, PROVEN_SOURCE, ""))
        found = periods_of(self._ledgers.ledger(backend, with_text=False)) if is_display_name(backend) else []
        if not found and not registry.knows(backend):
            raise registry.unknown(backend)
        return found

    def version(self, caller: Caller, sha256: str) -> dict[str, Any]:
        """Return a version.

        Raises:
            UnknownCalibration: there is none.
            BadName: several begin so.
        """
        _permit(caller, Act.SEE, Thing.job(caller.user, PROVEN_SOURCE, ""))
        found = self._ledgers.find(self._ledgers.hash_of(sha256))
        return version_value(found.backend, found.calibration)

    def withdraw(self, caller: Caller, sha256: str, reason: str) -> dict[str, Any]:
        """Withdraw a version, and return it.

        Raises:
            UnknownCalibration: there is none.
        """
        _permit(caller, Act.ADMINISTER, LABORATORY)
        found = self._ledgers.withdraw(sha256, reason, by=caller.user)
        return version_value(found.backend, found.calibration)

    def reinstate(self, caller: Caller, sha256: str, reason: str) -> dict[str, Any]:
        """Take back the withdrawal of a version, and return it.

        Raises:
            UnknownCalibration: there is none.
            NotChanged: it was not withdrawn.
        """
        _permit(caller, Act.ADMINISTER, LABORATORY)
        found = self._ledgers.reinstate(sha256, reason, by=caller.user)
        return version_value(found.backend, found.calibration)

    def hashes(self, standing_on: str, *, withdrawn: bool) -> tuple[str, ...]:
        """Return the hashes of the versions that are asked about."""
        if bool(standing_on) is withdrawn:
            raise InputError("say either standing_on or withdrawn")
        return tuple(self._ledgers.withdrawn()) if withdrawn else (self._ledgers.hash_of(standing_on),)

    def withdrawn(self, jobs: Sequence[Job]) -> dict[str, Calibration]:
        """Return what was withdrawn of that which the results of some jobs stand on."""
        return self._ledgers.withdrawn({job.executed.stands_on for job in jobs if job.executed})

    def changes(self, job: Job) -> list[Change]:
        """Return what is otherwise now than when a job was run, which the caller may see.

        Raises:
            NotRepeatable: it was never executed, or somebody else has drawn its seeds.
        """
        return changes_since(self._services, job)


def _permit(caller: Caller, act: Act, thing: Thing) -> None:
    if why := why_not(caller, act, thing):
        raise NotPermitted(why)
