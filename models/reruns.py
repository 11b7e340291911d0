"""What has changed since a job was run, so that the same document with the same seed may give something else."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from models.calibrations import Calibration, Version
from models.errors import InputError
from models.facts import Executed
from models.json_changes import changes


class Change(NamedTuple):
    """Something that was otherwise when the job ran; what there is not is `-`."""

    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.then} then, {self.now} now"


class NotRepeatable(InputError):
    """Nothing says with which seed the job was run."""

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(f"job {job_id} cannot be run again exactly: {why}")


def since(
    executed: Executed, versions: Mapping[str, str], version: Version | None, old: Calibration | None
) -> Iterator[Change]:
    """Yield what is otherwise now.

    Args:
        versions: of the same packages, as they are installed now.
        version: what the backend is now; None if it is not here.
        old: what the result stands on, where the ledger has it.
    """
    for name, then in executed.versions.items():
        if versions.get(name, "-") != then:
            yield Change(name, then, versions.get(name, "-"))
    if version is None:
        yield Change("backend", "there", "-")
        return
    is_known = bool(executed.calibration_sha256)
    now = version.sha256 if is_known else version.config_sha256
    if executed.stands_on == now:
        return
    yield Change("calibration" if is_known else "configuration", executed.stands_on[:16], now[:16])
    if old is not None and old.text is not None:
        places, more = changes(old.content, Calibration(sha256=version.sha256, text=version.text).content)
        for place in places:
            yield Change(place.path, place.one or "-", place.other or "-")
        if more:
            yield Change("and more", "-", "-")
