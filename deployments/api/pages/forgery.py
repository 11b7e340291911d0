"""Whether a form was sent from a page of ours, or by another page in the name of whoever has signed in."""

from collections.abc import Mapping
from urllib.parse import urlsplit

_OURS = frozenset({"same-origin", "none"})
"""What a browser says of where a request comes from: a page of ours, or the person himself."""

LONGEST_PATH = 500


def why_foreign(headers: Mapping[str, str]) -> str:
    """Return why a request that changes something comes from elsewhere; empty where nothing says so.

    Args:
        headers: by their names in lower case.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in _OURS:
        return "the browser says that another site sent it"
    if origin is not None and not _is_host(origin, headers.get("host", "")):
        return "it was sent from a page of another address"
    return ""


def local_path(text: str) -> str:
    """Return a path below /ui to go on to after signing in; anything else becomes the first page."""
    is_plain = text.isascii() and text.isprintable() and len(text) <= LONGEST_PATH
    return text if is_plain and text.startswith("/ui/") and "//" not in text and "\\" not in text else "/ui/"


def _is_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return bool(host) and parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()
