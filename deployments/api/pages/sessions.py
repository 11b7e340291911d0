"""Sessions of people who have signed in: signed, so that none can be made up, and never with the token itself.

A session names its token by the token's id, so that whoever revokes the token ends the session.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

SECONDS = 12 * 3600
"""A session lasts a working day."""

KEY_BYTES, ID_BYTES = 32, 16
LONGEST = 300
"""Characters of a cookie; no longer one is looked at."""


class Session(NamedTuple):
    """That somebody has signed in.

    Attributes:
        expires: seconds since 1970.
    """

    session_id: str
    token_id: str
    expires: int


class EndedSessions(Protocol):
    """Remembers who has signed out."""

    def add(self, session_id: str, expires: int) -> None:
        """Remember that a session has ended, as long as it would have lasted."""
        ...

    def __contains__(self, session_id: object, /) -> bool: ...


class Sessions:
    """Begins sessions, knows them again and ends them.

    Args:
        key: that they are signed with.
        ended: those that have ended before their time.
    """

    def __init__(self, key: bytes, ended: EndedSessions, now: Callable[[], float] = time.time) -> None:
        self._key, self._ended, self._now = key, ended, now

    def begin(self, token_id: str) -> tuple[Session, str]:
        """Return a new session and the text of its cookie."""
        session = Session(secrets.token_hex(ID_BYTES), token_id, int(self._now()) + SECONDS)
        return session, f"{_text(session)}.{self._sign('session', _text(session))}"

    def read(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie; None where it is none of ours, or over."""
        if not cookie or len(cookie) > LONGEST:
            return None
        text, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign("session", text).encode()):
            return None
        session_id, token_id, expires = text.split(".")
        session = Session(session_id, token_id, int(expires))
        return None if session.expires <= self._now() or session_id in self._ended else session

    def end(self, session: Session) -> None:
        """End a session: its cookie is good for nothing any more, wherever it was copied to."""
        self._ended.add(session.session_id, session.expires)

    def form_token(self, session: Session) -> str:
        """Return what every form of a session carries; nobody else knows it."""
        return self._sign("form", _text(session))

    def is_form_token(self, session: Session, text: str) -> bool:
        """Return whether a form is of this session."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.form_token(session).encode())

    def _sign(self, what: str, text: str) -> str:
        return hmac.new(self._key, f"{what}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _text(session: Session) -> str:
    return f"{session.session_id}.{session.token_id}.{session.expires}"
