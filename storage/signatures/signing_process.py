"""Signs a large payload in a process of its own, which has nothing to do with any job and reads no document.

    python -P -m storage.signatures.signing_process

Standard input: 32 bytes of the private key, 8 bytes that say how long the header is, the header, the payload to the
end. Standard output: the 64 bytes of the signature. The key is in no argument, variable or file.
"""

import json
import struct
import sys

from models.errors import KeyUnusable
from models.keys import KEY_BYTES
from models.signing import SIGNATURE_BYTES, signing_input
from storage.one_shot import answer_of

SIZE = struct.Struct("!Q")
MODULE = "storage.signatures.signing_process"


def sign_apart(private: bytes, head: dict[str, str], text: bytes) -> bytes:
    """Return the signature of a payload.

    Args:
        private: the private key.
        head: the header of the signed document.
        text: the payload.

    Raises:
        KeyUnusable: the process did not sign; the machine may be short of memory.
    """
    about = json.dumps(head).encode("ascii")
    signature = answer_of(MODULE, private + SIZE.pack(len(about)) + about, text)
    if len(signature) != SIGNATURE_BYTES:
        raise KeyUnusable("the process that signs a large result ended without a signature")
    return signature


def main() -> None:
    """Sign what standard input holds."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - only here

    source = sys.stdin.buffer
    private = source.read(KEY_BYTES)
    (size,) = SIZE.unpack(source.read(SIZE.size))
    head = json.loads(source.read(size))
    message = signing_input(head, source.read())
    sys.stdout.buffer.write(Ed25519PrivateKey.from_private_bytes(private).sign(message))


if __name__ == "__main__":
    main()
