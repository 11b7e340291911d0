"""The kinds of what others are told (`models.notices`), and the secret that signs it: what settings say of them."""

import base64
import binascii
from typing import Literal

Kind = Literal["job.ended", "backend.paused", "backend.resumed", "health.bad", "health.good"]

KINDS: tuple[Kind, ...] = ("job.ended", "backend.paused", "backend.resumed", "health.bad", "health.good")
OF_OPERATORS: tuple[Kind, ...] = KINDS[1:]

SECRET_PREFIX = "whsec_"  # noqa: S105 - begins a secret that is base64


def key_of(secret: str) -> bytes:
    """Return the key that a secret means: base64 behind `whsec_`, or its own bytes.

    Raises:
        ValueError: what follows `whsec_` is no base64.
    """
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {SECRET_PREFIX} is no base64") from None
