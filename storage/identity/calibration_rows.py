"""The rows of the views of a ledger, and a version read back from one."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Table

from models.calibrations import Calibration, Ledger
from models.clock import to_text
from storage.identity.tables import CalibrationPeriodRow, CalibrationRow

CALIBRATION: Table = CalibrationRow.__table__  # type: ignore[attr-defined]
PERIOD: Table = CalibrationPeriodRow.__table__  # type: ignore[attr-defined]


def calibration_rows(backend: str, ledger: Ledger) -> Iterator[tuple[Table, dict[str, Any]]]:
    """Yield the rows of the ledger of a backend, each with its table."""
    for each in ledger.versions.values():
        row = each.model_dump(exclude={"text"}) | {
            "backend": backend,
            "content": each.text or "",
            "recorded_at": _written(each.recorded_at),
            "withdrawn_at": _written(each.withdrawn_at),
        }
        yield CALIBRATION, row
    for number, period in enumerate(ledger.periods, ledger.first):
        times = {"since": to_text(period.since), "until": _written(period.until)}
        yield PERIOD, {"backend": backend, "number": number, "sha256": period.sha256} | times


def calibration_of(row: Any) -> Calibration:
    """Return the version that a row tells."""
    return Calibration(
        sha256=row["sha256"],
        config_sha256=row["config_sha256"],
        text=row["content"] or None,
        recorded_at=read(row["recorded_at"]),
        withdrawn_at=read(row["withdrawn_at"]),
        withdrawn_by=row["withdrawn_by"],
        reason=row["reason"],
    )


def read(text: str) -> datetime | None:
    """Return the time in a column; None where it is empty."""
    return datetime.fromisoformat(text) if text else None


def _written(moment: datetime | None) -> str:
    return to_text(moment) if moment else ""
