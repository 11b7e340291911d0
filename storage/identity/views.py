"""The views of control streams: the rows that a fold amounts to, and the change of them from one fold to the next."""

from typing import Any

from sqlalchemy import Connection, Table, and_, delete, insert, update

from models.clock import to_text
from models.identity.people import BackendRecord, Device, Fold, Person, Project, Token
from models.identity.streams import BACKEND, parts
from models.pauses import Pause
from storage.identity.calibration_rows import CALIBRATION, PERIOD, calibration_rows
from storage.identity.tables import AccountRow, DeviceRow, MembershipRow, NameLinkRow, ProjectRow, TokenRow
from storage.log.tables import PauseRow

ACCOUNT: Table = AccountRow.__table__  # type: ignore[attr-defined]
DEVICE: Table = DeviceRow.__table__  # type: ignore[attr-defined]
PROJECT: Table = ProjectRow.__table__  # type: ignore[attr-defined]
MEMBERSHIP: Table = MembershipRow.__table__  # type: ignore[attr-defined]
NAME_LINK: Table = NameLinkRow.__table__  # type: ignore[attr-defined]
TOKEN: Table = TokenRow.__table__  # type: ignore[attr-defined]

PAUSE: Table = PauseRow.__table__  # type: ignore[attr-defined]

VIEWS = (ACCOUNT, PROJECT, MEMBERSHIP, NAME_LINK, TOKEN, DEVICE, PAUSE, CALIBRATION, PERIOD)

TOLD_BY_NO_EVENT = "last_used_at"
"""The column of `token` that is kept as it is."""

Row = dict[str, Any]
Key = tuple[Table, tuple[Any, ...]]
"""A table, and the primary key of a row in it."""


def rows_of(fold: Fold | None) -> dict[Key, Row]:
    """Return the rows of a fold in all views, without `TOLD_BY_NO_EVENT`; None has none."""
    if fold is None:
        return {}
    rows: list[tuple[Table, Row]] = [(TOKEN, _token(token)) for token in fold.tokens.values()]
    if isinstance(fold, BackendRecord):
        rows += [(PAUSE, _pause(fold.pause))] if fold.pause else []
        rows += calibration_rows(fold.name, fold.ledger)
    if isinstance(fold, Person | Project):
        row = {"name": fold.name, "added_at": to_text(fold.added_at), "limits": fold.limits.model_dump_json()}
        if isinstance(fold, Person):
            rows.append((ACCOUNT, row | {"role": fold.role, "is_enabled": fold.is_enabled}))
            rows += [(NAME_LINK, {"name": name, "user": fold.name}) for name in fold.names]
        else:
            rows.append((PROJECT, row))
            members = fold.members.items()
            rows += [(MEMBERSHIP, {"project": fold.name, "user": user, "role": role}) for user, role in members]
    if isinstance(fold, Device):
        rows.append((DEVICE, _device(fold)))
    return {key_of(table, row): row for table, row in rows}


def key_of(table: Table, row: Row) -> Key:
    """Return what tells a row from all others."""
    return table, tuple(row[column.name] for column in table.primary_key.columns)


def stream_of(table: Table, row: Row) -> str:
    """Return the stream whose events a row repeats."""
    if table in (PAUSE, CALIBRATION, PERIOD):
        return f"{BACKEND}/{row['backend']}"
    if table is TOKEN:
        return f"device/{row['device']}" if row["device"] else f"user/{row['user']}"
    if table is DEVICE:
        return f"device/{row['name']}"
    if table is PROJECT or table is MEMBERSHIP:
        return f"project/{row['name' if table is PROJECT else 'project']}"
    return f"user/{row['name' if table is ACCOUNT else 'user']}"


def change(connection: Connection, before: Fold | None, after: Fold) -> None:
    """Write what differs between the rows of two folds of one stream."""
    old, new = rows_of(before), rows_of(after)
    for key in old.keys() - new.keys():
        connection.execute(delete(key[0]).where(_is(key)))
    for key, row in new.items():
        if key not in old:
            add(connection, key[0], row)
        elif old[key] != row:
            connection.execute(update(key[0]).where(_is(key)).values(row))


def add(connection: Connection, table: Table, row: Row) -> None:
    """Insert a row of a view; a token without a last use was not used yet."""
    unused = {TOLD_BY_NO_EVENT: ""} if table is TOKEN else {}
    connection.execute(insert(table).values(unused | row))


def _is(key: Key) -> Any:
    table, values = key
    return and_(*(column == value for column, value in zip(table.primary_key.columns, values, strict=True)))


def _device(device: Device) -> Row:
    return {
        "name": device.name,
        "status": device.status,
        "n_qubits": device.n_qubits,
        "device_info": device.device_info,
        "calibrated_at": to_text(device.calibrated_at) if device.calibrated_at else "",
    }


def _pause(pause: Pause) -> Row:
    times = {"since": to_text(pause.since), "until": to_text(pause.until) if pause.until else ""}
    return pause.model_dump() | times


def _token(token: Token) -> Row:
    kind, name = parts(token.stream)
    return {
        "token_id": token.token_id,
        "sha256": token.sha256,
        "user": name if kind == "user" else "",
        "device": name if kind == "device" else "",
        "scopes": " ".join(token.scopes),
        "note": token.note,
        "issued_at": to_text(token.issued_at),
        "expires_at": to_text(token.expires_at) if token.expires_at else "",
        "revoked_at": to_text(token.revoked_at) if token.revoked_at else "",
    }
