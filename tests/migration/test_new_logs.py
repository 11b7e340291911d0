"""What the other tests take for a new log is what the migrations make."""

from pathlib import Path

from sqlalchemy import Engine, text

from storage.log.database import open_database, reading
from tests.new_logs import quickly_made


def made(engine: Engine) -> tuple[set[tuple[str, ...]], list[str]]:
    """Return what a database is made of, and its version."""
    with reading(engine) as connection:
        parts = {tuple(row) for row in connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master"))}
        versions = list(connection.scalars(text("SELECT version_num FROM alembic_version")))
        (mark,) = connection.execute(text("SELECT * FROM log_mark"))
    engine.dispose()
    return parts, [*versions, *map(str, mark[1:])]


def test_it_is_the_same(tmp_path: Path) -> None:
    """Every table, index and trigger to the letter; each log has a mark of its own."""
    with quickly_made():
        quick = open_database(f"sqlite:///{tmp_path / 'quick.db'}")
    assert made(quick) == made(open_database(f"sqlite:///{tmp_path / 'migrated.db'}"))
