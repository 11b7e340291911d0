"""Homes of releases as they were left behind, opened in today's databases as the release had made them."""

import json
import os
import sqlite3
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, insert
from sqlalchemy.engine import make_url

from storage.log import database
from storage.log.dialects import dialect_named

FOLDER = Path(__file__).parent
SCHEMAS = {"0.1.0": "0002"}
"""The newest migration of each release."""


@dataclass(frozen=True)
class FrozenHome:
    """A copy of what a release left behind; whatever is done to it, the next test gets another one.

    Attributes:
        folder: `log.sql`, the storages `installation` and `far`, `keys`, `devices`, `expected.json`.
        expected: by job id: `last_hash`, and as `listed` what the release's `quledger list --json` said.
    """

    folder: Path
    release: str

    @classmethod
    def of(cls, release: str, folder: Path) -> "FrozenHome":
        """Unpack the home of a release into a folder, which is made."""
        with tarfile.open(FOLDER / f"{release}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        # The program refuses keys that others may read.
        os.chmod(folder / "keys", 0o700)
        os.chmod(folder / "keys" / "keyring.json", 0o600)
        return cls(folder, release)

    @property
    def expected(self) -> dict[str, dict[str, Any]]:
        """What the release said of its jobs."""
        return json.loads((self.folder / "expected.json").read_text())  # type: ignore[no-any-return]

    @property
    def settings(self) -> dict[str, str]:
        """The settings that it was made with, but for where things lie now: a database in this very folder."""
        storages = {name: (self.folder / name).as_uri() for name in ("lab", "far")}
        return {
            "QULEDGER_HOME": str(self.folder),
            "QULEDGER_STORAGE": json.dumps(storages),
            "QULEDGER_DEVICES": str(self.folder / "devices"),
            "QULEDGER_SIGN": '["singlequdit", "triangle"]',
            "QULEDGER_RETRY_SECONDS": "0.1",
        }

    def fill(self, url: str) -> None:
        """Put the log into an empty database, with the tables that the release had there."""
        if url.startswith("sqlite"):
            with sqlite3.connect(make_url(url).database or "") as log:
                log.executescript((self.folder / "log.sql").read_text(encoding="utf-8"))
            log.close()
            return
        source = sqlite3.connect(":memory:")
        source.row_factory = sqlite3.Row
        source.executescript((self.folder / "log.sql").read_text(encoding="utf-8"))
        dialect = dialect_named("postgresql")
        assert dialect is not None
        engine = dialect.engine(make_url(url), 60, existing=False)
        config = Config()
        config.set_main_option("script_location", str(database.MIGRATIONS))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, SCHEMAS[self.release])
            tables = MetaData()
            tables.reflect(connection)
            for table in ("job", "event", "mirror", "lease"):
                rows = [dict(row) for row in source.execute(f"SELECT * FROM {table}")]
                for row in rows if table == "mirror" else []:
                    row["behind"] = bool(row["behind"])
                if rows:
                    connection.execute(insert(tables.tables[table]), rows)
        engine.dispose()
        source.close()
