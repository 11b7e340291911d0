"""The public keys in a storage, one document each, where sqooler's clients look for them."""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime

from models.errors import DocumentMissing, KeyUnusable, StorageInactive
from models.keys import Jwk, is_kid
from storage import layout
from storage.providers.protocol import StorageProvider
from storage.providers.stores import Stores


def later(one: datetime | None, other: datetime | None) -> bool:
    """Say whether `one` revokes less than `other`: from a later time on, or not at all."""
    return other is not None and (one is None or one > other)


class PublicKeys:
    """The public keys of one storage."""

    def __init__(self, storage: StorageProvider) -> None:
        self._storage = storage

    def get(self, kid: str) -> Jwk:
        """Return the key with this id.

        Raises:
            DocumentMissing: none is published under it.
            KeyUnusable: what is published is no public key, or another one.
        """
        if not is_kid(kid):
            raise DocumentMissing(kid)
        content = self._storage.get(layout.public_key(kid))
        try:
            key = Jwk.read(json.loads(content), private=False)
        except (ValueError, RecursionError):
            raise KeyUnusable("it is not JSON") from None
        if key.kid != kid:
            raise KeyUnusable(f"it is the key {key.kid}")
        return key

    def publish(self, key: Jwk) -> Jwk:
        """Publish the public part of a key, if it is not, and its revocation; return it as it is published then.

        A revocation that is published stays, unless ours is of an earlier time: another machine may have said so.

        Raises:
            KeyUnusable: another key is published under this id.
        """
        there = None
        # What is no key is written over: whoever has the key knows better.
        with contextlib.suppress(DocumentMissing, KeyUnusable):
            there = self.get(key.kid)
        if there is not None:
            if there.x != key.x:
                raise KeyUnusable(f"another public key is published as {key.kid}; sign with a key of another id")
            if not later(there.revoked_at, key.revoked_at):
                return there
        self._storage.put(layout.public_key(key.kid), json.dumps(key.document()).encode("ascii"))
        return key.public

    def all(self) -> Iterator[Jwk]:
        """Yield every key that is published, leaving out documents that are no keys."""
        for entry in self._storage.entries(layout.PUBLIC_KEYS):
            kid = entry.name.removesuffix(".json")
            if entry.regular and kid != entry.name:
                with contextlib.suppress(DocumentMissing, KeyUnusable):
                    yield self.get(kid)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the path of each document that is no public key, and why."""
        for entry in self._storage.entries(layout.PUBLIC_KEYS):
            if entry.name.startswith("."):
                continue
            path = f"{layout.PUBLIC_KEYS}/{entry.name}"
            kid = entry.name.removesuffix(".json")
            if not entry.regular or kid == entry.name or not is_kid(kid):
                yield path, "it is no public key"
                continue
            try:
                self.get(kid)
            except DocumentMissing:
                continue
            except KeyUnusable as error:
                yield path, str(error)


class PublicKeysEverywhere(PublicKeys):
    """The public keys of several storages, as one: each key is published in all of them that are switched on."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def get(self, kid: str) -> Jwk:
        """Return the key with this id from the first storage that has it.

        Raises:
            DocumentMissing: none is published under it.
            KeyUnusable: what is published is no public key, or another one.
        """
        for keys in self._each():
            with contextlib.suppress(DocumentMissing):
                return keys.get(kid)
        raise DocumentMissing(kid)

    def publish(self, key: Jwk) -> Jwk:
        """Publish the public part of a key everywhere; return it as it is published then.

        Raises:
            KeyUnusable: another key is published under this id.
            StorageUnavailable: a storage does not answer; a drain publishes there what is missing.
        """
        for keys in self._each():
            key = keys.publish(key)
        return key.public

    def all(self) -> Iterator[Jwk]:
        """Yield every key that is published, leaving out documents that are no keys."""
        seen: set[str] = set()
        for keys in self._each():
            for key in keys.all():
                if key.kid not in seen:
                    seen.add(key.kid)
                    yield key

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the path of each document that is no public key, and why."""
        for keys in self._each():
            yield from keys.faults()

    def _each(self) -> Iterator[PublicKeys]:
        for name in self._stores.names:
            with contextlib.suppress(StorageInactive):
                yield PublicKeys(self._stores.of(name))
