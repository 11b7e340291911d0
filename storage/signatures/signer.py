"""Signs what a backend publishes, where the settings say that it signs."""

import contextlib
import functools
from collections.abc import Sequence

from pydantic import SecretStr

from models.errors import BadSetting, KeyUnusable, echo
from models.keys import Jwk
from storage.providers.protocol import StorageProvider
from storage.providers.stores import Stores
from storage.signatures.key_file import KeyFile
from storage.signatures.public_keys import PublicKeys, PublicKeysEverywhere
from storage.signatures.signing import Signatures, check_halves, sign_text


class Signer:
    """The keys of this installation, and what is done with them for one storage.

    Attributes:
        file: where the keys are kept.
        published: where their public parts lie.

    Args:
        which: whether all backends sign, or which of them do.
        given: the key in QULEDGER_SIGNING_KEY, which signs for all backends in place of those in the file.
    """

    def __init__(
        self, file: KeyFile, published: PublicKeys, *, which: bool | Sequence[str], given: SecretStr | None = None
    ) -> None:
        self.file = file
        self.published = published
        self._which = which
        self._given = given
        self._seen: dict[str, Jwk] = {}

    def signs(self, backend: str) -> bool:
        """Say whether a backend signs."""
        return self._which if isinstance(self._which, bool) else backend in self._which

    def key(self, backend: str) -> Jwk | None:
        """Return the private key with which a backend signs now; None where it does not sign.

        Raises:
            KeyUnusable: it should, and there is no key that can be used; the text says what to do.
            StorageUnavailable: it is not known whether its public key can be read by others.
        """
        if not self.signs(backend):
            return None
        key = self._private(backend)
        if key.kid not in self._seen:
            # Before anything that needs it: a reader who finds a signature finds its key.
            self._seen[key.kid] = self.published.publish(key)
        if self._seen[key.kid].revoked_at is not None:
            raise KeyUnusable(f"the key {key.kid} is revoked; `quledger keys rotate` makes a new one")
        return key

    def sealed_text(self, backend: str, text: bytes) -> tuple[bytes, str | None]:
        """Return a document as the backend publishes it, and the id of the key that signed it, if one did.

        Args:
            text: JSON as `payload_text` writes it, as results are.

        Raises:
            KeyUnusable: the backend signs, and there is no key that can be used.
        """
        key = self.key(backend)
        return (text, None) if key is None else (sign_text(text, key), key.kid)

    def publish(self) -> None:
        """Publish every key and revocation of this machine, and take over the revocations that others published.

        Raises:
            KeyUnusable: the keys cannot be read, or one of them is published as another.
        """
        if self._which is False or self._which == []:
            return
        given = self.given()
        keys = self.file.read().keys if given is None else (given,)
        self._seen = {key.kid: self.published.publish(key) for key in keys}

    def kid(self, backend: str) -> str | None:
        """Return the id of the key with which a backend would sign now, for display."""
        with contextlib.suppress(KeyUnusable):
            return self._private(backend).kid if self.signs(backend) else None
        return None

    def check(self, backends: Sequence[str]) -> None:
        """See whether each of the backends that signs has a key, without asking the storage.

        Args:
            backends: all that there are.

        Raises:
            KeyUnusable: one has none.
            BadSetting: one is to sign that is none of these.
        """
        if not isinstance(self._which, bool) and (unknown := sorted(set(self._which) - set(backends))):
            raise BadSetting(f"QULEDGER_SIGN: no backend is called {', '.join(map(echo, unknown))}")
        for backend in backends:
            if self.signs(backend):
                self._private(backend)

    def signatures(self) -> Signatures:
        """Return what checks signatures, by the settings and the keys of this machine.

        Keys that cannot be read do not count; the answer says so.
        """
        own: dict[str, Jwk] = {}
        said: list[str] = []
        signing = False
        try:
            ring = self.file.read()
            own |= {key.kid: key.public for key in ring.keys}
            signing = bool(ring.active)
        except KeyUnusable as error:
            said.append(f"signatures were checked without these keys: {error}")
        try:
            if (key := self.given()) is not None:
                own.setdefault(key.kid, key.public)
                signing = True
        except KeyUnusable as error:
            said.append(f"signatures were checked without this key: {error}")
        if signing and not self._which:
            said.append(
                "QULEDGER_SIGN says that no backend signs: configurations without a signature were taken as they are"
            )
        return Signatures(self.published, own, self.signs, said)

    def given(self) -> Jwk | None:
        """Return the key in QULEDGER_SIGNING_KEY.

        Raises:
            KeyUnusable: it holds none.
        """
        try:
            return None if self._given is None else check_halves(Jwk.from_setting(self._given))
        except KeyUnusable as error:
            raise KeyUnusable(f"the key in QULEDGER_SIGNING_KEY cannot be used: {error}") from None

    def _private(self, backend: str) -> Jwk:
        if (given := self.given()) is not None:
            return self._not_revoked(given)
        key = self.file.read().signing(backend)
        if key is None or key.d is None:
            raise KeyUnusable(f"the backend {backend} signs and has no key; `quledger keys new` makes one")
        return check_halves(key)

    def _not_revoked(self, given: Jwk) -> Jwk:
        """Return the key of the setting, unless it was revoked here; somebody may have changed what is published."""
        known = self.file.read().key(given.kid)
        if known is not None and known.revoked_at is not None:
            raise KeyUnusable(f"the key {given.kid} in QULEDGER_SIGNING_KEY is revoked; put another one into it")
        return given


class Signers:
    """The signer of each storage of an installation.

    Args:
        stores: where public keys are published.
        file: where the keys are kept.
        which: whether all backends sign, or which of them do.
        given: the key that signs for all backends in place of those in the file.
    """

    def __init__(
        self, stores: Stores, file: KeyFile, *, which: bool | Sequence[str], given: SecretStr | None = None
    ) -> None:
        self._stores = stores
        self._make = functools.partial(Signer, file, which=which, given=given)
        self._made: dict[str, tuple[StorageProvider, Signer]] = {}

    def of(self, name: str) -> Signer:
        """Return what signs results and configurations in the storage of this name.

        Raises:
            StorageUnavailable: it cannot be used now.
        """
        storage = self._stores.of(name)
        made = self._made.get(name)
        # A storage that was opened anew may be another one.
        if made is None or made[0] is not storage:
            made = self._made[name] = storage, self._make(PublicKeys(storage))
        return made[1]

    def everywhere(self) -> Signer:
        """Return what publishes and revokes keys in all storages."""
        return self._make(PublicKeysEverywhere(self._stores))

    def signatures(self, name: str) -> Signatures:
        """Return what checks signatures in the storage of this name, with the keys of this machine too."""
        return self.of(name).signatures()
