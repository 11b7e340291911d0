"""Access tokens: what a user shows to the API. Only the hash of one is kept.

A token of ours is `qlg_<id>_<secret>`. Any other text can be one too, such as a token of qlued's: it is found by its
hash alone.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

PREFIX = "qlg"
ID_BYTES, SECRET_BYTES = 6, 24
"""48 random bits tell tokens apart, 192 cannot be guessed."""

LOCAL_NOTE = "for programs on the machine of the server, and from there alone"
"""A token with this note lets nobody in who comes from elsewhere."""

_TOKEN_ID = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}")

LEAST_SECRET = 16
"""Characters below which a token of somebody else's making counts as guessable."""

MOST_SECRET = 1000
"""No longer text is looked up."""


class NewToken(NamedTuple):
    """A token when it is made, the only time that its text is known.

    Attributes:
        text: for its user alone.
        token_id: names it in lists and logs.
        sha256: of the whole text, in hexadecimal digits.
    """

    text: str
    token_id: str
    sha256: str


def new_token() -> NewToken:
    """Return a new token. It has letters and digits alone, so that a double click selects all of it."""
    token_id = new_token_id()
    text = f"{PREFIX}_{token_id}_{secrets.token_hex(SECRET_BYTES)}"
    return NewToken(text, token_id, token_sha256(text))


def new_token_id() -> str:
    """Return a new id of a token: 12 hexadecimal digits."""
    return secrets.token_hex(ID_BYTES)


def is_token_id(text: str) -> bool:
    """Return whether a token may have this id."""
    return _TOKEN_ID.fullmatch(text) is not None


def token_sha256(text: str) -> str:
    """Return the SHA-256 of a token, under which it is kept and found."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
