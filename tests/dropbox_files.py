"""The files of the Dropbox that tests use: kept in SQLite, so that its server may be killed and started again."""

import contextlib
import datetime as dt
import json
import sqlite3
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PAGE = 200
"""The most entries of one page, however many are asked for."""


FILES = "files.db"
"""The database of the files, in the server's folder."""


_TABLES = """
CREATE TABLE IF NOT EXISTS node (
    path TEXT PRIMARY KEY, name TEXT NOT NULL, shown TEXT NOT NULL, folder INTEGER NOT NULL, id TEXT NOT NULL,
    rev TEXT, content BLOB, hash TEXT, client_modified TEXT, server_modified TEXT
);
CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, closed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS part (session TEXT NOT NULL, start INTEGER NOT NULL, content BLOB NOT NULL);
"""


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, error: Any, status: int = 409, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers or {}
        self.error = error

    @property
    def body(self) -> dict[str, Any]:
        """The error as Dropbox writes it."""
        words, error = [], self.error
        while isinstance(error, dict) and ".tag" in error:
            words.append(error[".tag"])
            error = error.get(error[".tag"], error.get("reason"))
        return {"error_summary": "/".join([*words, "..."]), "error": self.error}


def union(*tags: str, **fields: Any) -> dict[str, Any]:
    """Return nested unions of Dropbox's as JSON; the fields stand beside the innermost tag."""
    found: Any = fields
    for tag in reversed(tags):
        found = {".tag": tag} | ({tag: found} if ".tag" in found else found)
    return dict(found)


class Store:
    """The files. Every call is one transaction under one lock, so it is done whole, or not at all."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        # The process is killed in the tests, the machine is not.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _TABLES)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Do what is in the block, or nothing of it."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def node(self, path: str) -> sqlite3.Row | None:
        """Return what lies at a path."""
        found: sqlite3.Row | None = self._db.execute("SELECT * FROM node WHERE path = ?", [path.lower()]).fetchone()
        return found

    def commit(self, arg: dict[str, Any], content: bytes, *, in_parts: bool = False) -> dict[str, Any]:
        """Write a file, as its mode allows."""
        path, mode = arg["path"], arg.get("mode", "add")
        mode = mode if isinstance(mode, str) else mode[".tag"]
        _check(path, ("path",))

        def refused(what: str) -> Refused:
            # An upload says more than the end of one in parts.
            why = union("conflict", what)
            return Refused(
                {".tag": "path", "path": why}
                if in_parts
                else {".tag": "path", "reason": why, "upload_session_id": "none"}
            )

        old = self.node(path)
        if old is not None and old["folder"]:
            raise refused("folder")
        new = content_hash(content)
        if old is not None and mode == "add":
            if arg.get("strict_conflict") or old["hash"] != new:
                raise refused("file")
            return _metadata(old)
        if old is not None and old["hash"] == new:
            return _metadata(old)
        self._folders(path, lambda: refused("file_ancestor"))
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        identity = old["id"] if old is not None else f"id:{uuid.uuid4().hex}"
        name = path.rpartition("/")[2]
        self._db.execute(
            "INSERT OR REPLACE INTO node VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
            [path.lower(), name, path, identity, _rev(), content, new, arg.get("client_modified") or now, now],
        )
        return _metadata(self._there(path))

    def download(self, arg: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return a file's metadata and content."""
        node = self._lookup(arg["path"], "path")
        if node["folder"]:
            raise Refused(union("path", "not_file"))
        return _metadata(node), bytes(node["content"])

    def get_metadata(self, arg: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of a file or a folder."""
        return _metadata(self._lookup(arg["path"], "path"), tagged=True)

    def move(self, arg: dict[str, Any]) -> dict[str, Any]:
        """Give a file another path."""
        origin, goal = arg["from_path"], arg["to_path"]
        _check(goal, ("to",))
        node = self._lookup(origin, "from_lookup")
        if (there := self.node(goal)) is not None:
            raise Refused(union("to", "conflict", "folder" if there["folder"] else "file"))
        assert not node["folder"], "nobody moves folders here"
        self._folders(goal, lambda: Refused(union("to", "conflict", "file_ancestor")))
        self._db.execute(
            "UPDATE node SET path = ?, name = ?, shown = ?, rev = ? WHERE path = ?",
            [goal.lower(), goal.rpartition("/")[2], goal, _rev(), origin.lower()],
        )
        return {"metadata": _metadata(self._there(goal), tagged=True)}

    def delete(self, arg: dict[str, Any]) -> dict[str, Any]:
        """Remove a file, or a folder with all that is in it."""
        node = self._lookup(arg["path"], "path_lookup")
        if arg.get("parent_rev") not in (None, node["rev"]):
            raise Refused(union("path_write", "conflict", "file"))
        path = node["path"]
        self._db.execute("DELETE FROM node WHERE path = ? OR path GLOB ?", [path, f"{_literal(path)}/*"])
        return {"metadata": _metadata(node, tagged=True)}

    def list_folder(self, arg: dict[str, Any]) -> dict[str, Any]:
        """Return the first page of a listing."""
        path = arg["path"].rstrip("/")
        if path and not self._lookup(path, "path")["folder"]:
            raise Refused(union("path", "not_folder"))
        return self.go_on(
            {
                "path": path.lower(),
                "recursive": arg.get("recursive", False),
                "after": "",
                "limit": min(arg.get("limit") or PAGE, PAGE),
            }
        )

    def go_on(self, cursor: dict[str, Any]) -> dict[str, Any]:
        """Return the page of a listing that follows."""
        path, limit, after = cursor["path"], cursor["limit"], cursor["after"]
        # A range and no pattern: each page is found at once, however many came before. "0" is what follows "/".
        columns = "path, name, shown, folder, id, rev, hash, client_modified, server_modified, length(content) AS size"
        depth = "" if cursor["recursive"] else " AND path NOT GLOB ?"
        rows = self._db.execute(
            f"SELECT {columns} FROM node WHERE path > ? AND path < ?{depth} ORDER BY path LIMIT ?",
            [
                max(after, f"{path}/"),
                f"{path}0",
                *([] if cursor["recursive"] else [f"{_literal(path)}/*/*"]),
                limit + 1,
            ],
        ).fetchall()
        if cursor["recursive"] and path and after < path:
            rows = [self._there(path), *rows][: limit + 1]
        page = rows[:limit]
        then = cursor | {"after": page[-1]["path"] if page else cursor["after"]}
        return {
            "entries": [_metadata(each, tagged=True) for each in page],
            "cursor": urllib.parse.quote(json.dumps(then)),
            "has_more": len(rows) > limit,
        }

    def session_start(self, content: bytes) -> dict[str, Any]:
        """Begin a file that comes in parts."""
        session = f"pid_upload_session:{uuid.uuid4().hex}"
        self._db.execute("INSERT INTO session (id) VALUES (?)", [session])
        self._db.execute("INSERT INTO part VALUES (?, 0, ?)", [session, content])
        return {"session_id": session}

    def session_append(self, cursor: dict[str, Any], content: bytes, *above: str) -> None:
        """Take the next part of a file."""
        session, offset = cursor["session_id"], cursor["offset"]
        row = self._db.execute("SELECT closed FROM session WHERE id = ?", [session]).fetchone()
        if row is None:
            raise Refused(union(*above, "not_found"))
        if row["closed"]:
            raise Refused(union(*above, "closed"))
        ends = "SELECT coalesce(max(start + length(content)), 0) FROM part WHERE session = ?"
        (correct,) = self._db.execute(ends, [session]).fetchone()
        if correct != offset:
            raise Refused(union(*above, "incorrect_offset", correct_offset=correct))
        self._db.execute("INSERT INTO part VALUES (?, ?, ?)", [session, offset, content])

    def session_finish(self, arg: dict[str, Any], content: bytes) -> dict[str, Any]:
        """Write the file whose parts have come."""
        self.session_append(arg["cursor"], content, "lookup_failed")
        session = arg["cursor"]["session_id"]
        parts = self._db.execute(
            "SELECT content FROM part WHERE session = ? ORDER BY start, length(content)", [session]
        )
        whole = b"".join(bytes(part["content"]) for part in parts)
        self._db.execute("UPDATE session SET closed = 1 WHERE id = ?", [session])
        return self.commit(arg["commit"], whole, in_parts=True)

    def _there(self, path: str) -> sqlite3.Row:
        node = self.node(path)
        assert node is not None
        return node

    def _lookup(self, path: str, tag: str) -> sqlite3.Row:
        _check(path, (tag,))
        node = self.node(path)
        if node is None:
            raise Refused(union(tag, "not_found"))
        return node

    def _folders(self, path: str, refused: Callable[[], Refused]) -> None:
        """Make the folders above a path."""
        above = path.rpartition("/")[0]
        while above:
            there = self.node(above)
            if there is not None and not there["folder"]:
                raise refused()
            if there is not None:
                return
            self._db.execute(
                "INSERT INTO node (path, name, shown, folder, id) VALUES (?, ?, ?, 1, ?)",
                [above.lower(), above.rpartition("/")[2], above, f"id:{uuid.uuid4().hex}"],
            )
            above = above.rpartition("/")[0]


def content_hash(content: bytes) -> str:
    """Return Dropbox's hash of a content: of the hashes of its blocks of 4 MiB."""
    from hashlib import sha256  # noqa: PLC0415 - what it is about

    size = 4 * 2**20
    blocks = (sha256(content[start : start + size]).digest() for start in range(0, len(content), size))
    return sha256(b"".join(blocks)).hexdigest()


def _rev() -> str:
    return uuid.uuid4().hex[:15]


def _literal(path: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in path)


def _check(path: str, above: tuple[str, ...]) -> None:
    if not path.startswith("/") or path.endswith("/") or "//" in path or "/../" in f"{path}/" or "/./" in f"{path}/":
        raise Refused(union(*above, "malformed_path", malformed_path=path))


def _metadata(node: sqlite3.Row, *, tagged: bool = False) -> dict[str, Any]:
    """Return a file or a folder as Dropbox writes it."""
    known = {"name": node["name"], "path_lower": node["path"], "path_display": node["shown"], "id": node["id"]}
    tag = {".tag": "folder" if node["folder"] else "file"} if tagged or node["folder"] else {}
    if node["folder"]:
        return tag | known
    return (
        tag
        | known
        | {
            "client_modified": node["client_modified"],
            "server_modified": node["server_modified"],
            "rev": node["rev"],
            "size": node["size"] if "size" in node.keys() else len(node["content"]),  # noqa: SIM118 - of a row
            "is_downloadable": True,
            "content_hash": node["hash"],
        }
    )
