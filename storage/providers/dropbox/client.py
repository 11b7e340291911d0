"""Asks Dropbox: the official client, with the pauses that Dropbox wants, tries that have an end, and answers as tags.

The client itself renews the access token when it runs out or is refused as expired. It tries nothing else again here
(its own tries know of no cut connection and of no end to waiting).
"""

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import dropbox
from dropbox.exceptions import ApiError, InternalServerError, RateLimitError
from requests import RequestException, Response
from requests.exceptions import ConnectTimeout, SSLError

from models.errors import StorageError, StorageUnavailable
from storage.providers.dropbox.errors import meaning, tags_of

TRIES = 5
"""How often a request is tried that Dropbox did not answer or was too busy for; the pauses double, with jitter."""

FIRST_PAUSE = 0.5
"""Seconds before the second try."""

PATIENCE = 30.0
"""If Dropbox wants a longer pause than this (seconds), nothing is asked meanwhile, and the caller is told at once."""

SILENCE = (10, 60)
"""Seconds that Dropbox may take for a connection, and for the next bytes of an answer."""

CONNECTIONS = 64
"""As many as a drain runs jobs at once."""

_BUSY = frozenset({"too_many_write_operations", "internal_error", "content_hash_mismatch"})

T = TypeVar("T")


class Login(NamedTuple):
    """What Dropbox needs to let us in, and where it is.

    Attributes:
        api, content: host (and port) of its two halves; empty for its own.
    """

    app_key: str
    app_secret: str
    refresh_token: str
    api: str = ""
    content: str = ""


class Said(Exception):
    """Dropbox has answered no.

    Attributes:
        tags: from the outermost to the innermost, such as `("path", "not_found")`.
        doubtful: an earlier try of this very request was not answered: it may have been done.
    """

    def __init__(self, tags: tuple[str, ...], *, doubtful: bool) -> None:
        super().__init__("/".join(tags))
        self.tags = tags
        self.doubtful = doubtful


class Caller:
    """Does requests, from any thread and on both sides of a fork."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._connections: dict[int, _Connection] = {}  # by process

    def ask(self, path: str, request: Callable[[dropbox.Dropbox], T]) -> T:
        """Do one request about the document at a path of the layout, again where that may help.

        Raises:
            Said: Dropbox has answered no.
            StorageUnavailable: it does not answer, or wants to be left alone for a while.
            StorageRefused: it does not let us in.
        """
        doubtful = False
        for tried in range(1, TRIES + 1):
            pause = FIRST_PAUSE * 2 ** (tried - 1) * random.uniform(0.5, 1)  # noqa: S311 - spreads the tries
            connection = self._connected()
            connection.wait(path)
            try:
                with connection.token:
                    connection.client.check_and_refresh_access_token()
                return request(connection.client)
            except ApiError as error:
                said = tags_of(error.error)
                if not _BUSY.intersection(said) or tried == TRIES:
                    raise Said(said, doubtful=doubtful) from None
                doubtful = doubtful or "internal_error" in said
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - the client, requests and urllib3 each raise their own kinds
                if isinstance(error, RateLimitError):
                    pause = max(pause, connection.pause(error))
                elif not _may_pass(error):
                    raise meaning(error, path) from None
                if tried == TRIES:
                    raise meaning(error, path) from None
                doubtful = doubtful or _may_have_happened(error)
            time.sleep(pause)
        raise AssertionError

    def _connected(self) -> "_Connection":
        """Return the connections of this process: none is ever shared with a child or a parent."""
        found = self._connections.get(os.getpid())
        # Two threads may both make one; both take the one that comes first, and fetch one token between them.
        return found or self._connections.setdefault(os.getpid(), _Connection(self._login))


class _Connection:
    """The client of one process, with its pool of connections and its access token.

    Attributes:
        token: held while the access token is looked at, so that one thread renews it for all.
    """

    def __init__(self, login: Login) -> None:
        session = dropbox.create_session(max_connections=CONNECTIONS)
        session.hooks["response"].append(self._note)
        self.client = _Client(login, session)
        self.token = threading.Lock()
        self._own = threading.local()
        self._not_before = 0.0

    def _note(self, response: Response, **_: Any) -> None:
        """Remember how long this thread's last answer wants us to wait: the client looks at the JSON body alone."""
        self._own.seconds = 0.0
        with contextlib.suppress(ValueError):
            self._own.seconds = float(response.headers.get("Retry-After", ""))

    def pause(self, error: RateLimitError) -> float:
        """Let no thread ask before Dropbox wants it; return the seconds that this one request has to wait."""
        header: float = self._own.seconds
        seconds = max(float(error.backoff or 0), header)
        if "too_many_write_operations" in tags_of(error.error):
            # Others write the same Dropbox just now: that is of no concern to who reads.
            return min(seconds, PATIENCE)
        self._not_before = max(self._not_before, time.monotonic() + seconds)
        return 0.0

    def wait(self, path: str) -> None:
        """Wait until Dropbox may be asked.

        Raises:
            StorageUnavailable: that is too long.
        """
        seconds = self._not_before - time.monotonic()
        if seconds > PATIENCE:
            raise StorageUnavailable(
                f"Dropbox wants no requests for another {seconds:.0f} s, so {path} has to wait; fewer workers, or a"
                " longer QULEDGER_POLL_SECONDS, ask less"
            )
        if seconds > 0:
            time.sleep(seconds)


class _Client(dropbox.Dropbox):  # type: ignore[misc]  # published without types
    """The official client, with hosts that may be set for each instance, not only once for each process."""

    def __init__(self, login: Login, session: Any) -> None:
        super().__init__(
            app_key=login.app_key,
            app_secret=login.app_secret,
            oauth2_refresh_token=login.refresh_token,
            session=session,
            user_agent="Quledger",
            timeout=SILENCE,
            max_retries_on_error=0,
            max_retries_on_rate_limit=0,
        )
        hosts = {"api": login.api, "content": login.content}
        self._host_map |= {name: host for name, host in hosts.items() if host}

    def refresh_access_token(self, host: str | None = None, scope: list[str] | None = None) -> None:
        """Get a new access token."""
        super().refresh_access_token(host or self._host_map["api"], scope)


def hosts_in(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the hosts that the official client would take from its own variables; empty for those of Dropbox."""
    domain = environment.get("DROPBOX_API_DOMAIN") or environment.get("DROPBOX_DOMAIN") or ""
    return (
        environment.get("DROPBOX_API_HOST") or (domain and f"api{domain}"),
        environment.get("DROPBOX_API_CONTENT_HOST") or (domain and f"content{domain}"),
    )


def _may_pass(error: Exception) -> bool:
    """Say whether the same request may succeed a moment later."""
    return isinstance(error, InternalServerError) or (
        isinstance(error, RequestException) and not isinstance(error, SSLError | ValueError)
    )


def _may_have_happened(error: Exception) -> bool:
    """Say whether the request may have been done all the same."""
    if isinstance(error, RateLimitError | ConnectTimeout):
        return False
    refused = getattr(error.args[0] if error.args else None, "reason", None)
    return type(refused).__name__ != "NewConnectionError"
