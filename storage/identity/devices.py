"""How the devices that engines outside serve stand, as the views tell it: read with each look at a backend."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, bindparam, func, select

from storage.identity.views import DEVICE, TOKEN
from storage.log.database import reading

_REPORTED = select(DEVICE).where(DEVICE.c.name == bindparam("name"))
_SEEN = select(func.max(TOKEN.c.last_used_at)).where(TOKEN.c.device == bindparam("name"))


class Standing(NamedTuple):
    """What a device's engine has said, and when it was last heard of, to the minute; what it never said is empty.

    Attributes:
        status: `available` or `unavailable`.
        device_info: its calibration, as JSON text.
        calibrated_at: as it is stored.
    """

    status: str = ""
    n_qubits: int | None = None
    device_info: str = ""
    calibrated_at: str = ""
    seen_at: datetime | None = None


def standing(engine: Engine, name: str) -> Standing:
    """Return how a device stands; of one without an engine there is nothing to say."""
    with reading(engine) as connection:
        row = connection.execute(_REPORTED, {"name": name}).mappings().one_or_none()
        if row is None:
            return Standing()
        seen = connection.scalar(_SEEN, {"name": name})
    told = {field: row[field] for field in ("status", "n_qubits", "device_info", "calibrated_at")}
    return Standing(**told, seen_at=datetime.fromisoformat(seen) if seen else None)
