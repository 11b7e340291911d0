"""Where the server is, and the token that is shown to it and to nobody else."""

import ipaddress
import warnings
from collections.abc import Callable
from urllib.parse import urlsplit

LOCAL_NAMES = frozenset({"localhost"})
_PAGES = ("/ui", "/v1", "/v1/docs")


class Secret:
    """A text that is shown in no representation of anything."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "<secret>"

    def reveal(self) -> str:
        """Return the text."""
        return self._text


class Endpoint:
    """A server and the token for it.

    Args:
        renew: returns address and token anew, where they may change while a program runs; None if they are gone.

    Attributes:
        url: without a slash at its end.

    Raises:
        ValueError: the address is none.
    """

    def __init__(self, url: str, token: Secret, renew: "Callable[[], tuple[str, Secret] | None] | None" = None) -> None:
        self.url, self.token, self._renew = _checked(url), token, renew
        said = token.reveal()
        if not said or " " in said or not said.isascii() or not said.isprintable():
            raise ValueError("the token is empty, or holds what no token has, such as a blank or the end of a line")

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    def has_changed(self) -> bool:
        """Look for another address or token, take them if there are any, and return whether there were."""
        found = self._renew() if self._renew is not None else None
        if found is None or (found[0] == self.url and found[1].reveal() == self.token.reveal()):
            return False
        self.url, self.token = found
        return True

    def __repr__(self) -> str:
        return repr(getattr(self, "url", ""))


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or address alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in LOCAL_NAMES


def _checked(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address of the server begins with https:// or http://, such as https://jobs.example.org")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the address of the server has no user, no password, no ? and no #; the token goes beside it")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        warnings.warn(
            f"the token goes to {parts.hostname} unencrypted; use https:// if the server has it", stacklevel=4
        )
    path = parts.path.rstrip("/")
    for page in _PAGES:
        path = path.removesuffix(page)
    return f"{parts.scheme}://{parts.netloc}{path}"
