"""Which result of a job was accepted, by the log, and whether some bytes are that one. Nothing here does I/O."""

import hashlib
import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from models.errors import NotAuthentic, printable
from models.keys import Jwk
from models.results import fault_of_document
from models.signing import unwrapped
from storage.signatures.signing import check_signed


class Accepted(BaseModel):
    """What is known of the result of a job that is DONE.

    Attributes:
        sha256: of its bytes in the storage; None where the log does not say.
        kid: of the key that has signed it; None where none has.
        key: the public half of it; None where nobody knows it.
        signed_at: when that was, by the log (UTC).
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    sha256: str | None
    kid: str | None = None
    key: Jwk | None = None
    signed_at: datetime | None = None

    def document(self, content: bytes) -> dict[str, Any]:
        """Return the result in a document.

        Raises:
            NotAuthentic: the document is not the one that was accepted, or holds no result.
        """
        try:
            document = self._signed(content)
            self._check_hash(content)
            self._check_job(document)
        except NotAuthentic as error:
            raise self._distrust(error) from None
        if (fault := fault_of_document(document)) is not None:
            raise NotAuthentic(f"the result of job {self.job_id} cannot be shown: {printable(fault)}")
        return dict(document)

    def check_hash(self, content: bytes) -> None:
        """Refuse all other bytes; nothing is parsed, and other threads go on meanwhile.

        Raises:
            NotAuthentic: they are others.
        """
        try:
            self._check_hash(content)
        except NotAuthentic as error:
            raise self._distrust(error) from None

    def _check_hash(self, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise NotAuthentic("it is not the one that was accepted, by its hash in the log")

    def _check_job(self, document: Any) -> None:
        if not isinstance(document, dict) or document.get("job_id") != self.job_id:
            raise NotAuthentic("it is of another job")

    def _signed(self, content: bytes) -> Any:
        if self.kid is not None:
            return check_signed(content, self.kid, self.key, self.signed_at)
        try:
            return unwrapped(json.loads(content))
        except (ValueError, RecursionError):
            raise NotAuthentic("it is not JSON") from None

    def _distrust(self, error: NotAuthentic) -> NotAuthentic:
        return NotAuthentic(f"the result of job {self.job_id} is not to be trusted: {error}")
