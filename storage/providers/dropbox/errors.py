"""What the errors of Dropbox mean: one sentence each, that says what to look at, and holds no secret."""

from typing import Any

from dropbox.exceptions import AuthError, BadInputError, HttpError, InternalServerError, RateLimitError
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import InvalidURL, ProxyError, SSLError, Timeout

from models.errors import (
    DocumentMissing,
    DocumentTooLarge,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    printable,
)

_RIGHTS = "files.metadata.read, files.content.read and files.content.write"
_TOKEN = (
    "its refresh token is not valid (any more) for this app: it was revoked, or belongs to another app;"  # noqa: S105 - a sentence
    " authorise the app again and set DROPBOX_REFRESH_TOKEN (and check DROPBOX_APP_KEY)"
)
_UNAUTHORISED = {
    "invalid_access_token": _TOKEN,
    "expired_access_token": (
        "its access token has run out and a new one is refused as well; check the clock of this machine"
    ),
    "user_suspended": "the account is suspended; ask whoever owns it",
    "missing_scope": (
        f"the app lacks a permission; it needs {_RIGHTS}: tick them in the App Console, then authorise again"
    ),
    "route_access_denied": "the app may not do this; check its permissions in the App Console",
}
_FULL = frozenset({"insufficient_space", "insufficient_quota"})
_TOO_LARGE = frozenset({"payload_too_large", "too_large"})
_REFUSED = {
    "no_write_permission": "the account may not write there; check who owns the folder",
    "restricted_content": "Dropbox does not give the file out (restricted content)",
    "malformed_path": "Dropbox cannot have a file of that name; check the folder in QULEDGER_STORAGE",
    "disallowed_name": "Dropbox cannot have a file of that name; check the folder in QULEDGER_STORAGE",
    "team_folder": "a team folder cannot be changed; choose a folder below it in QULEDGER_STORAGE",
    "not_file": "a folder lies where a document belongs; move it away",
    "folder": "a folder lies where a document belongs; move it away",
    "file_ancestor": "a file lies where a folder belongs; move it away",
    "access_error": "the account may not use this; check its plan",
}


def tags_of(error: Any) -> tuple[str, ...]:
    """Return the tags of an error of the client, from the outermost to the innermost."""
    tags: list[str] = []
    while error is not None and not isinstance(error, str):
        tag = getattr(error, "_tag", None)
        if tag is not None:
            tags.append(tag)
        # A union holds a value, a failed upload its reason.
        error = error._value if tag is not None else getattr(error, "reason", None)  # noqa: SLF001 - the one way to walk it
    return tuple(tags)


def refusal(tags: tuple[str, ...], path: str, size: int = 0) -> StorageError:
    """Return the contract's error for an answer of Dropbox about `path`.

    Args:
        size: of the document that was to be written, in bytes.
    """
    if _FULL & set(tags):
        return StorageFull(f"Dropbox has no room for {path} ({size} bytes): it is full; make room there", size)
    if _TOO_LARGE & set(tags):
        return DocumentTooLarge(f"Dropbox takes no document as large as {path} ({size} bytes)", size)
    if tags[-1:] == ("not_found",):
        return DocumentMissing(path)
    for tag in tags:
        if tag in _REFUSED:
            return StorageRefused(f"Dropbox refuses {path}: {_REFUSED[tag]}")
    return StorageUnavailable(f"Dropbox does not answer for {path}: {printable('/'.join(tags)) or 'no reason'}")


def meaning(error: Exception, path: str) -> StorageError:
    """Return the contract's error for whatever else came of a request about `path`."""
    match error:
        case AuthError():
            tag = (*tags_of(error.error), "other")[0]
            return StorageRefused(f"Dropbox lets nobody in: {_UNAUTHORISED.get(tag, printable(tag))}")
        case BadInputError():
            unknown = "Dropbox does not know the app, or its secret is another one"
            words = unknown if "invalid_client" in str(error.message) else f"Dropbox does not understand what {path} is"
            return StorageRefused(f"{words}; check DROPBOX_APP_KEY and DROPBOX_APP_SECRET")
        case RateLimitError():
            return StorageUnavailable(f"Dropbox is too busy for {path}, and was at every try")
        case InternalServerError():
            words = f"Dropbox has an error of its own ({error.status_code}) for {path}, and had at every try"
            return StorageUnavailable(words)
        case HttpError():
            return StorageUnavailable(f"Dropbox does not answer for {path}: HTTP {error.status_code}")
    return _unanswered(error, path)


def _unanswered(error: Exception, path: str) -> StorageError:
    """Return what it means that Dropbox has said nothing."""
    match error:
        case SSLError():
            words = "Dropbox shows no certificate that is trusted here; check REQUESTS_CA_BUNDLE, and any proxy"
        case ProxyError():
            words = "the proxy to Dropbox does not answer; check HTTPS_PROXY"
        case InvalidURL():
            words = "the host of Dropbox cannot be used; check DROPBOX_API_HOST and DROPBOX_API_CONTENT_HOST"
        case Timeout():
            words = f"Dropbox is silent about {path}; check the network"
        case NoConnection():
            words = f"Dropbox cannot be reached for {path}; check the network"
        case _:
            words = f"Dropbox does not answer for {path}: {type(error).__name__}"
    return StorageUnavailable(words)
