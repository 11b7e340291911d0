"""A large result is signed in a process of its own: the same bytes, and nobody waits for them."""

import asyncio
import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from models.keys import Jwk
from storage.signatures.signing import LARGE, sign, sign_text
from tests.unit.test_sandbox_protocol import MAX_STANDSTILL, Beat

SEED = bytes(range(32))
PRIVATE = Ed25519PrivateKey.from_private_bytes(SEED)
KEY = Jwk(
    x=base64.urlsafe_b64encode(PRIVATE.public_key().public_bytes_raw()).decode(),
    key_ops="sign",
    kid="lab-1",
    d=SecretStr(base64.urlsafe_b64encode(SEED).decode()),
)
HEAD = b'{"alg":"EdDSA","kid":"lab-1","typ":"JWS","version":"0.1"}'


def expected(text: bytes) -> bytes:
    """Return the signed document, put together after the contract."""
    message = base64.urlsafe_b64encode(HEAD) + b"." + base64.urlsafe_b64encode(text)
    signature = base64.urlsafe_b64encode(PRIVATE.sign(message))
    head = b'{"alg": "EdDSA", "kid": "lab-1", "typ": "JWS", "version": "0.1"}'
    return b'{"header": ' + head + b', "payload": ' + text + b', "signature": "' + signature + b'"}'


@pytest.mark.slow
def test_a_large_payload_has_the_same_signature() -> None:
    """Whichever process makes it, and whether the payload comes as a value or as its text."""
    large = {"results": ["0 1 0 1 0"] * (LARGE // 12)}
    text = json.dumps(large).encode("ascii")
    assert len(text) > LARGE
    assert sign_text(text, KEY) == expected(text)
    assert sign(large, KEY) == expected(text)
    small = json.dumps({"a": "ü", "b": [1.5, None]}).encode("ascii")
    assert sign_text(small, KEY) == expected(small)


@pytest.mark.slow
def test_the_loop_goes_on_while_a_result_is_signed() -> None:
    """That of 100 MB too; the bytes are not even read here, so they may be anything."""
    text = b"[" * 100_000_000

    async def run() -> Beat:
        async with Beat() as beat:
            await asyncio.to_thread(sign_text, text, KEY)
        return beat

    beat = asyncio.run(run())
    print(beat)  # noqa: T201 - the figure
    assert beat.longest < MAX_STANDSTILL
