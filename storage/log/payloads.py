"""Documents that users keep here for their jobs, each user his own, by the hash of their bytes.

They are no history: a job that is made from one has a copy in its first event.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, delete, select, text

from models import clock
from models.errors import InputError, echo
from models.usage import Amount, Bounds
from storage.log.database import reading, writing
from storage.log.dialects import Turn, dialect_of
from storage.log.tables import PROVEN, JobRow, PayloadRow
from storage.log.usage import Allowance

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_PAYLOAD: Any = PayloadRow.__table__  # type: ignore[attr-defined]
_PUT = text(
    "INSERT INTO payload (owner, sha256, size, created_at, content)"
    " VALUES (:owner, :sha256, :size, :created_at, :content) ON CONFLICT (owner, sha256) DO NOTHING"
)

LISTED = 1000
"""So many payloads are listed at once."""


class UnknownPayload(InputError):
    """The user keeps no payload of this hash here; somebody else may."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"no payload has the SHA-256 {echo(sha256)}")


class PayloadInUse(InputError):
    """Jobs of the user were made from the payload."""

    def __init__(self, sha256: str, job_id: str) -> None:
        super().__init__(f"the payload {sha256} cannot be deleted: job {job_id} refers to it")
        self.job_id = job_id


class Payload(NamedTuple):
    """What is known of a payload beside its bytes."""

    sha256: str
    size: int
    created_at: datetime


class Payloads:
    """The table of them, in the log's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, owner: str, content: bytes, limits: Mapping[str, Bounds] | None = None) -> Payload:
        """Keep a document; one that is kept already stays as it is.

        Args:
            limits: `user/NAME` -> what he may keep.

        Raises:
            LimitReached: he keeps too much already; nothing was stored.
        """
        now, sha256, whose = clock.now(), hashlib.sha256(content).hexdigest(), f"user/{owner}"
        row = {"owner": owner, "sha256": sha256, "size": len(content), "created_at": clock.to_text(now)}
        with writing(self._engine) as connection:
            # As those who hand in jobs: they hold what is counted before anything else.
            dialect_of(connection).in_turn(connection, Turn.CLAIM)
            allowance = Allowance(connection, {whose: limits[whose]} if limits and whose in limits else {}, now)
            if (there := connection.execute(_about(owner, sha256)).one_or_none()) is not None:
                return _payload(there)
            if (refusal := allowance.take_for([whose], Amount(bytes=len(content)))) is not None:
                raise refusal
            connection.execute(_PUT, row | {"content": content})
            return _payload(connection.execute(_about(owner, sha256)).one())

    def get(self, owner: str, sha256: str) -> bytes:
        """Return the bytes of a payload.

        Raises:
            UnknownPayload: this user keeps none of this hash.
        """
        query = select(_PAYLOAD.c.content).where(_PAYLOAD.c.owner == owner, _PAYLOAD.c.sha256 == sha256)
        with reading(self._engine) as connection:
            content = connection.execute(query).scalar()
        if content is None:
            raise UnknownPayload(sha256)
        return bytes(content)

    def all(self, owner: str, *, after: str = "", limit: int = LISTED) -> list[Payload]:
        """Return the user's first payloads behind a hash, in the order of their hashes."""
        query = _about(owner).where(_PAYLOAD.c.sha256 > after).order_by(_PAYLOAD.c.sha256).limit(limit)
        with reading(self._engine) as connection:
            return [_payload(row) for row in connection.execute(query)]

    def delete(self, owner: str, sha256: str) -> None:
        """Keep a payload no longer.

        Raises:
            UnknownPayload: this user keeps none of this hash.
            PayloadInUse: a job of his was made from it.
        """
        jobs = select(_JOB.c.job_id).where(PROVEN, _JOB.c.owner == owner, _JOB.c.document_sha256 == sha256).limit(1)
        of_hash = (_PAYLOAD.c.owner == owner, _PAYLOAD.c.sha256 == sha256)
        with writing(self._engine) as connection:
            held = connection.execute(select(_PAYLOAD.c.size).where(*of_hash).with_for_update()).scalar()
            if held is None:
                raise UnknownPayload(sha256)
            if (job_id := connection.execute(jobs).scalar()) is not None:
                raise PayloadInUse(sha256, job_id)
            connection.execute(delete(_PAYLOAD).where(*of_hash))


def _about(owner: str, sha256: str | None = None) -> Any:
    query = select(_PAYLOAD.c.sha256, _PAYLOAD.c.size, _PAYLOAD.c.created_at).where(_PAYLOAD.c.owner == owner)
    return query if sha256 is None else query.where(_PAYLOAD.c.sha256 == sha256)


def _payload(row: Any) -> Payload:
    return Payload(row.sha256, row.size, datetime.fromisoformat(row.created_at))
