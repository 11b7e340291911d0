"""The migrations make exactly the tables that the code declares."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlmodel import SQLModel

from storage.log import database, tables
from storage.log.database import HEAD, open_database


def indexes(connection: Connection) -> dict[str, str]:
    """Return the statement of each index, by name."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_migrations_and_models_agree(tmp_path: Path):
    """A database made by all migrations differs in nothing from one made from the models."""
    assert tables.EventRow.metadata is SQLModel.metadata
    migrated = open_database(f"sqlite:///{tmp_path / 'migrated.db'}")
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    SQLModel.metadata.create_all(declared)
    with migrated.connect() as one, declared.connect() as other:
        differences = compare_metadata(MigrationContext.configure(one), SQLModel.metadata)
        # Alembic cannot compare an index with an expression; the next line compares them all to the letter.
        assert [each for each in differences if not str(each[0]).endswith("_index")] == []
        assert indexes(one) == indexes(other)


def test_the_code_names_the_newest_migration():
    """`HEAD` is the one head of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_opening_twice_changes_nothing(tmp_path: Path):
    """A database of today's version is opened without a migration."""
    path = tmp_path / "log.db"
    open_database(f"sqlite:///{path}").dispose()
    before = path.read_bytes()
    open_database(f"sqlite:///{path}").dispose()
    assert path.read_bytes() == before
