"""Payloads of callers: documents that they store once, and use for many jobs."""

import hashlib

from sqlalchemy import Engine

from models.errors import Fault, JobRejected
from models.identity.access import Act, Caller, Thing, why_not
from models.identity.errors import NotPermitted
from storage.identity.limits import limits_of
from storage.log.payloads import Payload, Payloads, UnknownPayload

MAX_NAMED = 64_000_000
"""Bytes of the payloads that one call names, after which it may name no more."""


class StoredPayloads:
    """The calls about payloads; they block."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._payloads = engine, Payloads(engine)

    def put(self, caller: Caller, content: bytes) -> bool:
        """Store a document for the caller; return whether it is new.

        Raises:
            LimitReached: the caller stores too much already.
            NotPermitted: the caller may not hand in jobs.
        """
        self._permit(caller, Act.SUBMIT)
        try:
            self._payloads.get(caller.user, hashlib.sha256(content).hexdigest())
        except UnknownPayload:
            self._payloads.put(caller.user, content, limits_of(self._engine, [caller.user]))
            return True
        return False

    def list(self, caller: Caller) -> list[Payload]:
        """Return what the caller has stored."""
        self._permit(caller, Act.SEE)
        return self._payloads.all(caller.user)

    def get(self, caller: Caller, sha256: str) -> bytes:
        """Return a document of the caller's.

        Raises:
            UnknownPayload: the caller has stored none of this hash.
        """
        self._permit(caller, Act.SEE)
        return self._payloads.get(caller.user, sha256)

    def delete(self, caller: Caller, sha256: str) -> None:
        """Delete a document of the caller's.

        Raises:
            UnknownPayload: the caller has stored none of this hash.
            PayloadInUse: a job of his refers to it.
        """
        self._permit(caller, Act.SUBMIT)
        self._payloads.delete(caller.user, sha256)

    @staticmethod
    def _permit(caller: Caller, act: Act) -> None:
        if why := why_not(caller, act, Thing.payload(caller.user)):
            raise NotPermitted(why)


class NamedPayloads:
    """The payloads that one call of a caller names: a few words, of which many documents are made."""

    def __init__(self, payloads: StoredPayloads, caller: Caller) -> None:
        self._payloads, self._caller = payloads, caller
        self._used = 0

    def get(self, sha256: str) -> bytes:
        """Return a document of the caller's.

        Raises:
            JobRejected: those before it have too many bytes together.
            UnknownPayload: the caller has stored none of this hash.
        """
        if self._used > MAX_NAMED:
            said = f"the payloads before this one have more than {MAX_NAMED / 1e6:g} MB together; make another call"
            raise JobRejected(Fault(field="document_sha256", message=said))
        content = self._payloads.get(self._caller, sha256)
        self._used += len(content)
        return content
