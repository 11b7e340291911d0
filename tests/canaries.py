"""Made-up secrets that are put wherever a secret can be put, and looked for wherever one may not be."""

import base64
import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from models.keys import Jwk
from storage.signatures.signing import new_key

UNREACHABLE = "127.0.0.1:9"


class Place(NamedTuple):
    """A place for a secret.

    Attributes:
        settings: the environment; `{}` stands for the secret.
        command: what is called with it, and fails.
        said: what the program says of it, at least.
    """

    settings: dict[str, str]
    command: tuple[str, ...] = ("drain", "--until-empty")
    said: str = ""


BREAKING = {
    "password of a storage that nobody can open": Place({"QULEDGER_STORAGE": "nosuch://ann:{}@host/x"}, said="storage"),
    "query of a storage that nobody can open": Place({"QULEDGER_STORAGE": "nosuch://host/x?token={}"}, said="storage"),
    "storage that is no URL": Place({"QULEDGER_STORAGE": "{}"}, said="no URL"),
    "password of a storage that is not there": Place(
        {"QULEDGER_STORAGE": f"ftp://ann:{{}}@{UNREACHABLE}/x"}, said="storage"
    ),
    "password in a chain of URLs": Place(
        {"QULEDGER_STORAGE": f"simplecache::ftp://ann:{{}}@{UNREACHABLE}/x"}, said="storage"
    ),
    "storage to restore from": Place({}, ("restore", "--from", f"ftp://ann:{{}}@{UNREACHABLE}/x"), said="storage"),
    "password of a MongoDB": Place(
        {"QULEDGER_STORAGE": f"mongodb://ann:{{}}@{UNREACHABLE}/?serverSelectionTimeoutMS=500"}, said="MongoDB"
    ),
    "one of several storages": Place(
        {"QULEDGER_STORAGE": f'{{{{"lab": "ftp://ann:{{}}@{UNREACHABLE}/x"}}}}'}, said="storage"
    ),
    "several storages that are no JSON": Place({"QULEDGER_STORAGE": '{{"lab": "{}"'}, said="not JSON"),
    "AWS_SECRET_ACCESS_KEY": Place(
        {
            "QULEDGER_STORAGE": "s3://bucket/x",
            "AWS_ENDPOINT_URL": f"http://{UNREACHABLE}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "{}",
            "AWS_MAX_ATTEMPTS": "1",
        },
        said="AWS_ENDPOINT_URL",
    ),
    "AWS_SESSION_TOKEN": Place(
        {
            "QULEDGER_STORAGE": "s3://bucket/x",
            "AWS_ENDPOINT_URL": f"http://{UNREACHABLE}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_SESSION_TOKEN": "{}",
            "AWS_MAX_ATTEMPTS": "1",
        },
        said="AWS_ENDPOINT_URL",
    ),
    "DROPBOX_APP_SECRET": Place(
        {
            "QULEDGER_STORAGE": "dropbox:///x",
            "DROPBOX_API_HOST": UNREACHABLE,
            "DROPBOX_APP_KEY": "key",
            "DROPBOX_APP_SECRET": "{}",
            "DROPBOX_REFRESH_TOKEN": "x",
        },
        said="Dropbox",
    ),
    "DROPBOX_REFRESH_TOKEN": Place(
        {
            "QULEDGER_STORAGE": "dropbox:///x",
            "DROPBOX_API_HOST": UNREACHABLE,
            "DROPBOX_APP_KEY": "key",
            "DROPBOX_APP_SECRET": "x",
            "DROPBOX_REFRESH_TOKEN": "{}",
        },
        said="Dropbox",
    ),
    "token in the URL of a Dropbox": Place({"QULEDGER_STORAGE": "dropbox:///x?token={}"}, said="DROPBOX_REFRESH_TOKEN"),
    "password of a database that is not there": Place(
        {"QULEDGER_DATABASE": f"postgresql://ann:{{}}@{UNREACHABLE}/log"}, said="event log"
    ),
    "PGPASSWORD": Place(
        {"QULEDGER_DATABASE": f"postgresql://ann@{UNREACHABLE}/log", "PGPASSWORD": "{}"}, said="event log"
    ),
    "password of a database with a bad port": Place(
        {"QULEDGER_DATABASE": "postgresql://ann:{}@127.0.0.1:none/log"}, said="database"
    ),
    "password of a database that is not supported": Place(
        {"QULEDGER_DATABASE": "oracle://ann:{}@127.0.0.1/log"}, said="not supported"
    ),
    "QULEDGER_SIGNING_KEY": Place({"QULEDGER_SIGN": "true", "QULEDGER_SIGNING_KEY": "{}"}, said="QULEDGER_SIGNING_KEY"),
    "QULEDGER_SIGNING_KEY for keys show": Place(
        {"QULEDGER_SIGNING_KEY": "{}"}, ("keys", "show"), "QULEDGER_SIGNING_KEY"
    ),
    "setting of the wrong kind": Place({"QULEDGER_DISPATCH": "{}"}, said="QULEDGER_DISPATCH"),
    "setting that is no number": Place({"QULEDGER_CONCURRENCY": "{}"}, said="QULEDGER_CONCURRENCY"),
    "PREFECT_API_AUTH_STRING": Place({"PREFECT_API_AUTH_STRING": "operator:{}"}, said="PREFECT_API_AUTH_STRING"),
    "password of Prefect's address": Place({"PREFECT_API_URL": f"http://ann:{{}}@{UNREACHABLE}/api"}, said="Prefect"),
}
"""One line for each place whose secret is used, in vain."""


class Canaries:
    """The secrets of one test, each known by the place where it was put."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, ...]] = {}

    def new(self, place: str) -> str:
        """Return a secret for a place."""
        secret = f"canary{secrets.token_hex(12)}"
        self.add(place, secret)
        return secret

    def new_signing_key(self, place: str) -> str:
        """Return a private key as a setting; its private part is the secret, in whatever shape."""
        key: Jwk = new_key("canary-key")
        private = key.secret_document()["d"]
        setting = base64.urlsafe_b64encode(json.dumps(key.secret_document()).encode()).decode()
        self.add(place, private, setting, base64.urlsafe_b64decode(private), base64.urlsafe_b64decode(private).hex())
        assert Jwk.from_setting(SecretStr(setting)) == key
        return setting

    def add(self, place: str, *shapes: str | bytes) -> None:
        """Know a secret, in each shape in which it would be one, and each of them in base64."""
        raw = [shape.encode() if isinstance(shape, str) else shape for shape in shapes]
        # Whatever stands before it in an encoded text, one of the three shifts is inside.
        encoded = [base64.b64encode(b"x" * shift + each)[4:-4] for each in raw for shift in range(3)]
        self._known[place] = (*raw, *encoded)

    def in_bytes(self, content: bytes) -> set[str]:
        """Return the places whose secrets are in it."""
        return {place for place, shapes in self._known.items() if any(shape in content for shape in shapes)}

    def in_files(self, folder: Path, leave: Iterable[Path] = ()) -> dict[str, set[str]]:
        """Return which files below the folder hold which secrets, but for those that are there to keep them."""
        kept = set(leave)
        files = (path for path in folder.rglob("*") if path.is_file() and path not in kept)
        found = {str(path.relative_to(folder)): self.in_bytes(path.read_bytes()) for path in files}
        return {path: places for path, places in found.items() if places}
