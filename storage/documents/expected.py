"""Sees that a storage is gone though something answers in its place: an unmounted disk, an emptied bucket, a typo.

What has become of it is known by the log: it has mirrored jobs there, and neither its mark nor any history is left.
"""

from typing import Any

from sqlalchemy import select

from models.errors import QuledgerError, echo
from storage import layout
from storage.log.database import open_database, reading
from storage.log.tables import JobRow, MirrorRow
from storage.providers.protocol import StorageProvider, get_or_none
from storage.providers.stores import StorageLost

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_MIRROR: Any = MirrorRow.__table__  # type: ignore[attr-defined]


def expect_ours(database_url: str, name: str, storage: StorageProvider, is_first: bool) -> bool:  # noqa: FBT001 - as `Expect`
    """Make sure that a storage holds what the log has written there, if it has; of one that does: one request.

    Args:
        name: of the storage.
        is_first: jobs that name none belong to it.

    Returns:
        Whether it is known: not while it is empty and the log cannot be asked.

    Raises:
        StorageLost: it is empty and should not be; nothing was written.
    """
    # Read, since a server that only says whether it is there does not say why it denies that.
    if get_or_none(storage, layout.MARK) is not None or next(iter(storage.entries("events")), None) is not None:
        return True
    has_mirrored = _has_mirrored(database_url, {name, ""} if is_first else {name})
    if has_mirrored:
        raise StorageLost(
            f"the storage{f' {echo(name)}' if name else ''} is empty, and jobs of this log were written there:"
            f" {layout.MARK} and events/ are missing. Is its disk mounted, is it the right place? Nothing is written,"
            " its jobs wait. If it is new and meant to be, say so: `quledger reconcile --new-storage`"
        )
    return has_mirrored is not None


def _has_mirrored(database_url: str, names: set[str]) -> bool | None:
    """Say whether the history of a job of a storage was written there; None where the log cannot be asked."""
    query = (
        select(_JOB.c.job_id)
        .join(_MIRROR, _MIRROR.c.job_id == _JOB.c.job_id)
        .where(_MIRROR.c.seq >= 0, _JOB.c.storage.in_(names))
        .limit(1)
    )
    try:
        engine = open_database(database_url, existing=True)
        try:
            with reading(engine) as connection:
                return connection.execute(query).first() is not None
        finally:
            engine.dispose()
    except QuledgerError:
        return None
