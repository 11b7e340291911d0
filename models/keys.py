"""The keys of a laboratory: JSON Web Keys for Ed25519 (RFC 8037) as the storage contract has them (sqooler 0.9.0)."""

import base64
import binascii
import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from models.clock import UtcDatetime
from models.errors import BadName, KeyUnusable, echo
from models.words import without_prefix

KEY_BYTES = 32

_KID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")


def is_kid(text: str) -> bool:
    """Return whether `text` may be the id of a key: one plain path segment without `..`."""
    return _KID.fullmatch(text) is not None and ".." not in text


def check_kid(text: str) -> str:
    """Return `text` if it may be the id of a key.

    Raises:
        BadName: it may not.
    """
    if not is_kid(text):
        raise BadName(f"{echo(text)} is not a key id (letters, digits, '-', '_' and '.', at most 100 of them)")
    return text


def b64url(content: bytes) -> str:
    """Return base64url with padding."""
    return base64.urlsafe_b64encode(content).decode("ascii")


def from_b64url(text: str, size: int | None = None) -> bytes:
    """Return the bytes that base64url with padding stands for.

    Raises:
        ValueError: it is not base64url, or not of `size` bytes. The text is not repeated: it may be secret.
    """
    try:
        content = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        msg = "not base64url with padding"
        raise ValueError(msg) from None
    if size is not None and len(content) != size:
        msg = f"not {size} bytes"
        raise ValueError(msg)
    return content


def _of_a_key(text: str) -> str:
    from_b64url(text, KEY_BYTES)
    return text


def _kid(text: str) -> str:
    if not is_kid(text):
        msg = "not a key id"
        raise ValueError(msg)
    return text


class Jwk(BaseModel):
    """A key: with `d` the private one, without it the public one.

    Attributes:
        x: the public key, 32 bytes as base64url.
        d: the private key, 32 bytes as base64url; no dump, repr or message holds it.
        revoked_at: what is signed from then on (UTC) is not to be trusted. The contract does not have this field;
            readers ignore fields that they do not know (RFC 7517, section 4).
        revoked_because: the reason, for people.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    x: Annotated[str, AfterValidator(_of_a_key)]
    key_ops: Literal["sign", "verify"]
    kid: Annotated[str, AfterValidator(_kid)]
    d: SecretStr | None = None
    kty: Literal["OKP"] = "OKP"
    alg: Literal["EdDSA"] = "EdDSA"
    crv: Literal["Ed25519"] = "Ed25519"
    revoked_at: UtcDatetime | None = None
    revoked_because: str = ""

    @model_validator(mode="after")
    def _signs_if_private(self) -> Self:
        if (self.d is not None) is not (self.key_ops == "sign"):
            msg = "a key to sign with has `d`, one to verify with has not"
            raise ValueError(msg)
        if self.d is not None:
            from_b64url(self.d.get_secret_value(), KEY_BYTES)
        return self

    @property
    def public(self) -> "Jwk":
        """The part that everybody may see."""
        return self.model_copy(update={"d": None, "key_ops": "verify"})

    def document(self) -> dict[str, Any]:
        """Return the public part as it is published, in the contract's field order."""
        value = self.public.model_dump(mode="json")
        revocation = {name: value.pop(name) for name in ("revoked_at", "revoked_because")}
        return value if self.revoked_at is None else value | revocation

    def secret_document(self) -> dict[str, Any]:
        """Return the key with its private part: only for the file that keeps it."""
        return self.document() | {
            "key_ops": self.key_ops,
            "d": None if self.d is None else self.d.get_secret_value(),
        }

    @classmethod
    def read(cls, value: Any, *, private: bool) -> "Jwk":
        """Return the key in parsed JSON.

        Raises:
            KeyUnusable: it is no key, or one of the other kind; no message holds any part of it.
        """
        try:
            key = cls.model_validate(value)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'key'}: {without_prefix(e['msg'])}" for e in error.errors()
            )
            raise KeyUnusable(f"it is no key: {faults}") from None
        if (key.d is not None) is not private:
            raise KeyUnusable("it is a private key, and a public one belongs here" if key.d else "it is no private key")
        return key

    @classmethod
    def from_setting(cls, text: SecretStr) -> "Jwk":
        """Return the private key in a setting: base64url of its JSON, as sqooler writes it.

        Raises:
            KeyUnusable: it holds no private key.
        """
        try:
            value = json.loads(from_b64url(text.get_secret_value().strip()))
        except (ValueError, RecursionError):
            raise KeyUnusable("it is not base64url of a JSON Web Key") from None
        return cls.read(value, private=True)


class Keyring(BaseModel):
    """The keys of a laboratory, and which of them sign.

    Attributes:
        active: backend, or `*` for all others -> id of the key that signs for it.
        keys: all that there ever were, the oldest first; only the public part of those that no longer sign.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    version: Literal[1] = 1
    active: dict[str, str] = Field(default_factory=dict)
    keys: tuple[Jwk, ...] = ()

    def key(self, kid: str) -> Jwk | None:
        """Return the key with this id."""
        return next((key for key in self.keys if key.kid == kid), None)

    def signing(self, backend: str) -> Jwk | None:
        """Return the key that signs for a backend."""
        kid = self.active.get(backend) or self.active.get("*")
        return None if kid is None else self.key(kid)

    def with_key(self, key: Jwk, backends: tuple[str, ...]) -> "Keyring":
        """Return the ring in which this new key signs for the backends."""
        return self._with((*self.keys, key), self.active | dict.fromkeys(backends, key.kid))

    def remembering(self, key: Jwk) -> "Keyring":
        """Return the ring with the public part of a key that never signed here, its revocation included."""
        return self._with((*self.keys, key.public), self.active)

    def without(self, kid: str, revoked_at: datetime, because: str) -> "Keyring":
        """Return the ring in which this key signs for nobody and is revoked; an earlier revocation stays."""
        mark = {"revoked_at": revoked_at, "revoked_because": because}
        keys = tuple(
            key.model_copy(update=mark) if key.kid == kid and (key.revoked_at or revoked_at) >= revoked_at else key
            for key in self.keys
        )
        return self._with(keys, {name: used for name, used in self.active.items() if used != kid})

    def uses(self, kid: str) -> tuple[str, ...]:
        """Return the backends that a key signs for."""
        return tuple(name for name, used in self.active.items() if used == kid)

    @staticmethod
    def _with(keys: tuple[Jwk, ...], active: dict[str, str]) -> "Keyring":
        """Return a ring without the private parts of keys that sign for nobody: what is gone cannot leak."""
        used = set(active.values())
        return Keyring(keys=tuple(key if key.kid in used else key.public for key in keys), active=active)

    def secret_text(self) -> str:
        """Return the file's text, private keys included."""
        keys = [key.secret_document() for key in self.keys]
        return json.dumps({"version": self.version, "active": self.active, "keys": keys}, indent=1)
