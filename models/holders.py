"""The token of whoever holds an attempt: a secret of one process, of which the log knows only the hash.

A worker draws one for each claim and shows it with every write of that attempt. Histories are mirrored for everybody to
read, so an event holds the token's SHA-256 alone: it says who holds the job, and lets nobody pretend to.
"""

import hashlib
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    """Return a token that nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def holder_of(token: str) -> str:
    """Return what the log knows of a token: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
