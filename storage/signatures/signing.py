"""Ed25519: makes keys, signs documents, checks signatures. The `cryptography` package is imported when it is used."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from models.clock import to_text
from models.errors import DocumentMissing, KeyUnusable, NotAuthentic, echo
from models.keys import Jwk, b64url, from_b64url
from models.signing import Signed, header, is_signed, payload_text, signing_input, taken_apart, unwrapped
from storage import layout
from storage.signatures.public_keys import PublicKeys, later
from storage.signatures.signing_process import sign_apart

LARGE = 4_000_000
"""Longer payloads (in bytes) are signed in another process: the library holds every thread of this one meanwhile."""

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


_NO_KEYS = (
    "no key of the laboratory is at hand (keys/keyring.json in QULEDGER_HOME, or QULEDGER_SIGNING_KEY): signatures were"
    " checked with the public keys in the storage, and whoever can write there can replace both"
)


def new_key(kid: str) -> Jwk:
    """Return a new private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - takes 0.1 s

    key = Ed25519PrivateKey.generate()
    public, private = b64url(key.public_key().public_bytes_raw()), b64url(key.private_bytes_raw())
    return Jwk(x=public, key_ops="sign", kid=kid, d=SecretStr(private))


def check_halves(key: Jwk) -> Jwk:
    """Return a private key whose two halves belong together.

    Raises:
        KeyUnusable: they do not.
    """
    if b64url(_private(key).public_key().public_bytes_raw()) != key.x:
        raise KeyUnusable(f"the key {key.kid} is broken: `x` is not the public half of `d`")
    return key


def sign(payload: Any, key: Jwk) -> bytes:
    """Return the signed document as JSON text; the same payload and key give the same bytes (RFC 8032).

    Args:
        payload: a JSON value.
        key: a private key.
    """
    return sign_text(payload_text(payload), key)


def sign_text(text: bytes, key: Jwk) -> bytes:
    """Return the signed document of a payload that is a text already, as `payload_text` writes it; nothing is parsed.

    Args:
        key: a private key.
    """
    head = header(key.kid)
    signature = b64url(_signature(head, text, key))
    # Put together by hand: a dump of the whole would write the payload, which may be large, a second time.
    parts = (b'{"header": ', payload_text(head), b', "payload": ', text, b', "signature": "', signature.encode(), b'"}')
    return b"".join(parts)


def _signature(head: dict[str, str], text: bytes, key: Jwk) -> bytes:
    if len(text) > LARGE:
        return sign_apart(raw_private(key), head, text)
    return _private(key).sign(signing_input(head, text))


def raw_private(key: Jwk) -> bytes:
    """Return the 32 bytes of a private key."""
    assert key.d is not None  # noqa: S101 - whoever has no private key cannot come here
    return from_b64url(key.d.get_secret_value())


def _private(key: Jwk) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    return Ed25519PrivateKey.from_private_bytes(raw_private(key))


def fits(signed: Signed, key: Jwk) -> bool:
    """Say whether this key made the signature."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

    try:
        Ed25519PublicKey.from_public_bytes(from_b64url(key.x)).verify(signed.signature, signed.message)
    except InvalidSignature:
        return False
    return True


def check_signed(content: bytes, kid: str, key: Jwk | None, signed_at: datetime | None) -> Any:
    """Return the payload of a document that this key has to have signed; see `Signatures.check`.

    Args:
        key: the public half; None where nobody knows it.

    Raises:
        NotAuthentic: says what is wrong.
    """
    return _payload(_read(content, kid), key, signed_at)


def _read(content: bytes, kid: str | None) -> Signed:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise NotAuthentic("it is not JSON") from None
    signed = taken_apart(document)
    if kid is not None and signed.kid != kid:
        raise NotAuthentic(f"it is signed with the key {echo(signed.kid)} instead of {kid}")
    return signed


def _payload(signed: Signed, key: Jwk | None, signed_at: datetime | None) -> Any:
    if key is None:
        raise NotAuthentic(f"it is signed with the key {echo(signed.kid)}, and nobody knows such a key")
    if not fits(signed, key):
        raise NotAuthentic(f"it is forged: its signature is not of the key {key.kid} and this content")
    if key.revoked_at is not None and (signed_at is None or signed_at >= key.revoked_at):
        raise NotAuthentic(f"it is signed with the key {key.kid}, which is revoked as of {to_text(key.revoked_at)}")
    return signed.payload


class Signatures:
    """Checks the signatures of documents in one storage. It remembers keys, so make a new one for each round.

    Which backends sign, and which keys are the laboratory's, is said by its settings and its key file, never by the
    storage. Where this installation has no key at all, those that are published have to do, and `notes` says so.

    Args:
        own: the keys of this installation, also those that sign no more.
        signs: whether a backend signs, by the settings.
        said: what whoever reads the outcome has to know of settings and keys, a sentence each.
    """

    def __init__(
        self,
        published: PublicKeys,
        own: Mapping[str, Jwk],
        signs: Callable[[str], bool] = lambda _backend: False,
        said: Sequence[str] = (),
    ) -> None:
        self._published = published
        self._own = own
        self._signs = signs
        self._said = said
        self._known: dict[str, Jwk | None] = {}

    def notes(self, vouched: Collection[str]) -> Iterator[str]:
        """Yield what had to be believed, a sentence each.

        Args:
            vouched: see `contradictions`.
        """
        yield from self._said
        if not self._own and (vouched or any(True for _ in self._published.all())):
            yield _NO_KEYS

    def check(self, content: bytes, kid: str | None = None, signed_at: datetime | None = None) -> Any:
        """Return the payload of a signed document.

        Args:
            kid: which key has to have signed it, by the word of the log; None asks for any of the laboratory's.
            signed_at: when it was signed (UTC), as somebody trusted has said; None where nobody has.

        Raises:
            NotAuthentic: says what is wrong.
            StorageUnavailable: the key could not be read.
        """
        signed = _read(content, kid)
        if kid is None and self._own and signed.kid not in self._own:
            raise NotAuthentic(f"it is signed with the key {echo(signed.kid)}, which is none of this laboratory")
        return _payload(signed, self.key(signed.kid), signed_at)

    def fault_of_config(self, backend: str, content: bytes) -> str | None:
        """Return what is wrong with the signature of the configuration that is published for a backend."""
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            return "it is not JSON"
        config = unwrapped(document)
        if not isinstance(config, dict):
            return "it is no configuration"
        try:
            if is_signed(document):
                self.check(content)
            elif self._signs(backend):
                return "it is not signed, and QULEDGER_SIGN says that the backend signs"
            else:
                return "it is not signed, and says that the backend signs" if config.get("sign") else None
        except NotAuthentic as error:
            return str(error)
        return _contradicts_itself(config, backend, document["header"]["kid"])

    def contradictions(self, vouched: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield the path of each key that is published in another way than this installation knows it, and how.

        Args:
            vouched: ids of keys that the log names: keys of this laboratory that this installation need not have.
        """
        for kid, own in self._own.items():
            try:
                published = self._published.get(kid)
            except DocumentMissing:
                yield layout.public_key(kid), "is missing: nobody else can check what this key signs"
                continue
            except KeyUnusable:
                continue  # said elsewhere
            if published.x != own.x:
                yield layout.public_key(kid), "is not the public key that belongs to the private one"
            elif own.revoked_at is not None and later(published.revoked_at, own.revoked_at):
                yield layout.public_key(kid), f"does not say that the key is revoked as of {to_text(own.revoked_at)}"
        for key in self._published.all() if self._own else ():
            if key.kid not in self._own and key.kid not in vouched:
                yield layout.public_key(key.kid), "is a key that this laboratory has never had"

    def key(self, kid: str) -> Jwk | None:
        """Return the public key with this id, None where there is none."""
        if kid not in self._known:
            self._known[kid] = self._find(kid)
        return self._known[kid]

    def _find(self, kid: str) -> Jwk | None:
        try:
            published = self._published.get(kid)
        except (DocumentMissing, KeyUnusable):
            published = None
        own = self._own.get(kid)
        if own is None or published is None:
            return own or published
        # Whoever revokes a key may not have been here.
        return published if own.x == published.x and later(own.revoked_at, published.revoked_at) else own


def _contradicts_itself(config: dict[str, Any], backend: str, kid: str) -> str | None:
    """Return where a configuration that this key has signed says something else; the signature may be of elsewhere."""
    if not config.get("sign"):
        return "it is signed, and says that the backend does not sign"
    if config.get("kid") != kid:
        return f"it says that the key {echo(config.get('kid'))} signs, and another one has signed it"
    if config.get("display_name") != backend:
        return f"it is signed as the configuration of {echo(config.get('display_name'))}"
    return None
