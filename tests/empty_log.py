"""A home that holds an empty log already: to copy one is quicker than the migrations, and to import what they need."""

import functools
import tempfile
from pathlib import Path

from storage.log.database import open_database


@functools.cache
def _empty_log() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quledger.db"
        open_database(f"sqlite:///{path}").dispose()
        return path.read_bytes()


def put(home: Path) -> None:
    """Put an empty log into a home that has none, as the program would make both."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / "quledger.db"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_empty_log())
