"""Signs a large payload in a process of its own, which has nothing to do with any job and reads no document.

    python -P -m storage.signatures.signing_process

Standard input: 32 bytes of the private key, 8 bytes that say how long the header is, the header, the payload to the
end. Standard output: the 64 bytes of the signature. The key is in no argument, variable or file.
"""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

from models.errors import KeyUnusable
from models.keys import KEY_BYTES
from models.signing import SIGNATURE_BYTES, signing_input

SIZE = struct.Struct("!Q")
ROOT = Path(__file__).resolve().parents[2]
CHUNK = 1024 * 1024


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
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "storage.signatures.signing_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environment | {"PYTHONPATH": str(ROOT)},
        bufsize=0,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it was made with pipes
        assert process.stdout is not None  # noqa: S101 - as above
        try:
            _write(process.stdin.fileno(), private + SIZE.pack(len(about)) + about)
            _write(process.stdin.fileno(), text)
            process.stdin.close()
            signature = process.stdout.read()
        except OSError:
            signature = b""
    if process.returncode or len(signature) != SIGNATURE_BYTES:
        raise KeyUnusable("the process that signs a large result ended without a signature")
    return signature


def _write(pipe: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(pipe, view[:CHUNK]) :]


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
