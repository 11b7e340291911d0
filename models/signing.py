"""Signed documents as the storage contract has them (sqooler 0.9.0); the cryptography is in `storage/signatures/`.

A signed document is `{"header", "payload", "signature"}`. The signature is Ed25519 (RFC 8032) over
`b64url(header) + "." + b64url(payload)`, with base64url *padded*, which RFC 7515 would not have; the header is compact
JSON, the payload JSON with `", "` and `": "`, both in the order in which they stand in the document.
"""

import base64
import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from models.errors import NotAuthentic
from models.keys import from_b64url, is_kid

ALGORITHM = "EdDSA"
PARTS = frozenset({"header", "payload", "signature"})
SIGNATURE_BYTES = 64


def header(kid: str) -> dict[str, str]:
    """Return the header of a document that this key signs."""
    return {"alg": ALGORITHM, "kid": kid, "typ": "JWS", "version": "0.1"}


def payload_text(payload: Any) -> bytes:
    """Return the payload as the JSON text that is signed."""
    return json.dumps(payload, default=_moment).encode("ascii")


def _moment(value: Any) -> str:
    """Write a time as text: a store that has a type for times (MongoDB) returns them as `datetime`."""
    if isinstance(value, datetime):
        return value.isoformat()
    msg = f"{type(value).__name__} is nothing that JSON has"
    raise TypeError(msg)


def signing_input(head: dict[str, str], payload: bytes) -> bytes:
    """Return the bytes to sign for a header and the payload's text."""
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(text) + b"." + base64.urlsafe_b64encode(payload)


class Signed(BaseModel):
    """The parts of a signed document; whether the signature is true has not been checked."""

    model_config = ConfigDict(frozen=True)

    kid: str
    payload: Any
    message: bytes
    signature: bytes


def is_signed(document: Any) -> bool:
    """Return whether a document claims to be signed: the contract's readers tell by its three parts, and no others."""
    return isinstance(document, dict) and set(document) == PARTS


def named_key(document: Any) -> str | None:
    """Return the id of the key with which a signed document says to be signed; None where it says none that can be."""
    head = document["header"] if is_signed(document) else None
    kid = head.get("kid") if isinstance(head, dict) else None
    return kid if isinstance(kid, str) and is_kid(kid) else None


def unwrapped(document: Any) -> Any:
    """Return the payload of a signed document, and any other document as it is; nothing is checked."""
    return document["payload"] if is_signed(document) else document


def taken_apart(document: Any) -> Signed:
    """Return the parts of a signed document.

    Raises:
        NotAuthentic: it is not signed, or not in the contract's way.
    """
    if not is_signed(document):
        raise NotAuthentic("it is not signed")
    head, signature = document["header"], document["signature"]
    named = header(head["kid"]) if isinstance(head, dict) and isinstance(head.get("kid"), str) else None
    if named is None or head != named:
        raise NotAuthentic("its header is none of a signature that is known here")
    if isinstance(signature, bytes):  # some stores have a type for bytes
        signature = signature.decode("ascii", "replace")
    try:
        raw = from_b64url(signature, SIGNATURE_BYTES) if isinstance(signature, str) else b""
        message = signing_input(named, payload_text(document["payload"]))
    except (TypeError, ValueError, RecursionError):
        raw = message = b""
    if not raw:
        raise NotAuthentic("its signature is none")
    return Signed(kid=named["kid"], payload=document["payload"], message=message, signature=raw)
