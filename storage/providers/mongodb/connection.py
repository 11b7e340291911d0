"""The connection to a MongoDB server: its URL, one client per process, and its errors in our words."""

import contextlib
import os
import re
import threading
import warnings
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError

from models.errors import BadSetting, StorageError, StorageFull, StorageRefused, StorageUnavailable
from models.settings import redact_url

Document = dict[str, Any]

PREFIX_OPTION = "databasePrefix"
"""The option of the URL that stands before the name of every database; MongoDB's own drivers have none of this name."""

DEFAULTS: dict[str, Any] = {
    "appname": "quledger",
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 30_000,  # a server that is stopped, and not gone, would be waited for without end
    "w": "majority",
    "journal": True,
}
"""What is asked for unless the URL says otherwise: a document that was written survives the server's crash."""

_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,30}")
_WRONG_LOGIN = frozenset({18, 8000})
_NOT_ALLOWED = 13
_NO_ROOM = 14031
_QUOTA = "space quota"
"""What Atlas says beside a code that it uses for much else."""

_CODECS: CodecOptions[Document] = CodecOptions(
    tz_aware=True,
    # Whatever front ends put there is read: a date that Python has none for, text that is no UTF-8.
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)


class Connection:
    """The databases of one server, or of one set of servers.

    The client is made at the first use and is as thread-safe as pymongo's always is; after a fork the child makes
    its own. It connects anew by itself when the server was away.
    """

    def __init__(self, url: str, login: Mapping[str, str] | None = None) -> None:
        """`login` may hold `username` and `password`, which then need no escaping."""
        self.url = redact_url(url)
        self._login: dict[str, Any] = dict(login or {})
        self._uri, self.prefix = _split(url)
        self._host = self.url.partition("//")[2].rpartition("@")[2].partition("/")[0].partition("?")[0]
        self._lock = threading.Lock()
        self._client: MongoClient[Document] | None = None
        self._made_in = -1
        self._make()

    def database(self, name: str) -> Database[Document]:
        """Return a database of the storage, which need not exist."""
        return self._make().get_database(f"{self.prefix}{name}", codec_options=_CODECS)

    def collection(self, database: str, name: str) -> Collection[Document]:
        """Return a collection of the storage, which need not exist."""
        return self.database(database)[name]

    def _make(self) -> MongoClient[Document]:
        if self._made_in != os.getpid():
            self._lock = threading.Lock()  # in a forked child nobody would ever release the parent's
        with self._lock:
            if self._client is None or self._made_in != os.getpid():
                self._client = self._open()
                self._made_in = os.getpid()
            return self._client

    def _open(self) -> MongoClient[Document]:
        """Return a client that has not connected yet."""
        # What the URL says comes first: pymongo takes a keyword for more than an option.
        said = {option.partition("=")[0].lower() for option in re.split("[&;]", self._uri.partition("?")[2])}
        defaults = {name: value for name, value in DEFAULTS.items() if name.lower() not in said}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # pymongo only warns of an option that it does not know
                client: MongoClient[Document] = MongoClient(
                    self._uri, connect=False, tz_aware=True, **defaults, **self._login
                )
        except (PyMongoError, ValueError, OSError, Warning) as error:
            msg = (
                f"the MongoDB URL {self.url} cannot be used ({type(error).__name__}): check host, port and options,"
                " that files it names are there, and that user and password are percent-escaped"
            )
            raise BadSetting(msg) from None
        weakref.finalize(self, _close, client, os.getpid())
        return client

    @contextlib.contextmanager
    def errors(self, path: str, size: int = 0) -> Iterator[None]:
        """Turn what pymongo raises into the contract's errors; none of them says more of the server than its name.

        Args:
            size: of the document that is being written, in bytes.
        """
        try:
            yield
        except StorageError:
            raise
        except OperationFailure as error:
            raise self._refusal(path, error, size) from None
        except (PyMongoError, BSONError, OSError) as error:
            # After a refused login pymongo takes the server for one that does not answer, and remembers why.
            for server in self._make().topology_description.server_descriptions().values():
                if isinstance(server.error, OperationFailure):
                    raise self._refusal(path, server.error) from None
            raise StorageUnavailable(f"MongoDB at {self._host} {_trouble(error)} (for {path})") from None

    def _refusal(self, path: str, error: OperationFailure, size: int = 0) -> StorageError:
        if error.code == _NO_ROOM or _QUOTA in str(error):
            msg = f"MongoDB at {self._host} has no room for {path} ({size} bytes): error {error.code}; make room there"
            return StorageFull(msg, size)
        if error.code in _WRONG_LOGIN:
            msg = f"MongoDB at {self._host} does not accept user and password: check them, and authSource in the URL"
            return StorageRefused(msg)
        if error.code == _NOT_ALLOWED:
            msg = (
                f"MongoDB at {self._host} does not allow this user to write or read {path}: it needs the role readWrite"
                f" on the databases {', '.join(f'{self.prefix}{name}' for name in _DATABASES)}"
            )
            return StorageRefused(msg)
        return StorageUnavailable(f"MongoDB at {self._host} answered with error {error.code} (for {path})")


_DATABASES = ("backends", "jobs", "status", "results", "quledger")


def _split(url: str) -> tuple[str, str]:
    """Return the URL as pymongo takes it, and the prefix of the databases."""
    address, question, query = url.partition("?")
    options = query.split("&") if query else []
    ours = [option for option in options if option.partition("=")[0] == PREFIX_OPTION]
    prefix = ours[-1].partition("=")[2] if ours else ""
    if not _PREFIX.fullmatch(prefix):
        msg = f"{PREFIX_OPTION} in the storage's URL may hold letters, digits, '_' and '-', at most 30 of them"
        raise BadSetting(msg)
    return address + question + "&".join(option for option in options if option not in ours), prefix


def _trouble(error: Exception) -> str:
    said = str(error).lower()
    if "ssl" in said or "certificate" in said or "tls" in said:
        return "cannot be reached over TLS: check tls, tlsCAFile and the certificates of server and client"
    if isinstance(error, ConfigurationError) or "name or service" in said or "getaddrinfo" in said:
        return "is not a name that can be found: check the host in the URL, and the name server"
    if isinstance(error, ConnectionFailure | OSError):
        return "does not answer: check that it runs, its host and port, the firewall, and whether it wants TLS"
    return f"failed with {type(error).__name__}"


def _close(client: MongoClient[Document], made_in: int) -> None:
    if made_in == os.getpid():  # in a forked child its sockets are still the parent's
        client.close()
