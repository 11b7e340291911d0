"""Jobs that another spooler had brought to their end: what their front ends read of it stays as it is."""

from typing import Literal

from models.submitted import FactModel


class Adopted(FactModel):
    """Another spooler ran the job, and its result is taken over as it lies there.

    Attributes:
        detail, error_message: of its status, to the letter.
        path: of the result below the storage's root.
        sha256: of its bytes.
        kid: of the key with which it says to be signed; None where it is not.
    """

    kind: Literal["adopted"] = "adopted"
    version: Literal[1] = 1
    detail: str
    error_message: str
    path: str
    bytes: int
    sha256: str
    kid: str | None = None


class AdoptedError(FactModel):
    """Another spooler ended the job in ERROR; `detail` and `error_message` are those of its status."""

    kind: Literal["adopted_error"] = "adopted_error"
    version: Literal[1] = 1
    detail: str
    error_message: str
