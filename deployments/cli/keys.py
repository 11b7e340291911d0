"""`quledger keys`: the keys with which backends sign. Nothing here prints a private one."""

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from deployments.cli.output import Json
from models import clock
from models.archives import thumbprint
from models.errors import BadName, DocumentMissing, KeyExists, UnknownKey, echo, printable
from models.keys import Jwk, Keyring, check_kid
from models.names import id_meant
from storage.signatures.signing import new_key
from tasks.backends import registry
from tasks.services import current

ALL = "*"
"""All backends that have no key of their own."""

_UNKNOWN = "no key has the id {}; `quledger keys show` lists the keys"


def new(*, backend: str = ALL, kid: str = "", as_json: Json = False) -> int:
    """Make the first key, and publish its public part.

    Args:
        backend: Only for this backend, which then signs with a key of its own.
        kid: Its id; by default the date and a random number.
    """
    return _make_key(backend, kid, first=True, as_json=as_json)


def rotate(*, backend: str = ALL, kid: str = "", as_json: Json = False) -> int:
    """Replace a key: a new one signs from now on. What the old one signed stays valid; its private part is destroyed.

    Args:
        backend: Replace the key of this backend alone.
        kid: Id of the new key; by default the date and a random number.
    """
    return _make_key(backend, kid, first=False, as_json=as_json)


def show(kid: str = "", *, as_json: Json = False) -> int:
    """List the keys, or print one public key as it is published.

    Args:
        kid: Only this key, by its id or the beginning of it.
    """
    signer = current().keys
    ring, given = signer.file.read(), signer.given()
    signatures = signer.signatures()
    keys = {key.kid: key for key in signer.published.all()}
    ours = {key.kid: key for key in (*ring.keys, *([given] if given else []))}
    for own in ours.values():
        keys[own.kid] = signatures.key(own.kid) or own
    if kid:
        meant = id_meant(kid, keys)
        if meant is None:
            raise UnknownKey(_UNKNOWN.format(echo(kid)))
        print(json.dumps(keys[meant].document(), indent=None if as_json else 1))
        return 0
    rows = [
        _row(
            key, (ALL,) if given and given.kid == key.kid else () if given else ring.uses(key.kid), ours=key.kid in ours
        )
        for key in keys.values()
    ]
    if as_json:
        print(json.dumps(rows))
    for row in [] if as_json else rows:
        print(f"{row['kid']}  {row['state']:<9}{' for ' + ', '.join(row['backends']) if row['backends'] else ''}")
        print(f"  public key {row['public']['x']}")
        print(f"  thumbprint {row['thumbprint']}")
        if "revoked_at" in row["public"]:
            reason = row["public"]["revoked_because"] or "no reason given"
            print(f"  revoked as of {row['public']['revoked_at']}: {reason}")
    if not rows and not as_json:
        print("There are no keys. Make one: quledger keys new")
    return 0


def revoke(kid: str, *, since: datetime | None = None, reason: str = "", as_json: Json = False) -> int:
    """Revoke a key: what it signed from then on is not trusted any more. If it signs, a new key takes its place.

    Args:
        kid: The key's id; of a key in the home, the beginning of it will do.
        since: When it may have fallen into other hands, such as 2026-11-21T09:00 (UTC); by default now.
        reason: Why, for everybody to read.
    """
    now = clock.now()
    since = now if since is None else since if since.tzinfo else since.replace(tzinfo=UTC)
    if since > now:
        raise BadName("a key cannot be revoked as of a time to come")
    signer = current().keys
    kid = id_meant(kid, [key.kid for key in signer.file.read().keys]) or kid
    replaced: list[str] = []

    def change(ring: Keyring) -> Keyring:
        uses = ring.uses(kid)
        ring = ring.without(kid, since, printable(reason))
        if uses:
            fresh = new_key(_new_kid())
            signer.published.publish(fresh)
            replaced.append(fresh.kid)
            ring = ring.with_key(fresh, uses)
        return ring

    # First here: from now on this machine does not sign with it, whether or not the storage answers.
    key = signer.file.change(change).key(kid) if signer.file.read().key(kid) else None
    if key is None:
        try:
            key = signer.published.get(check_kid(kid))
        except DocumentMissing:
            raise UnknownKey(_UNKNOWN.format(echo(kid))) from None
        key = key.model_copy(update={"revoked_at": since, "revoked_because": printable(reason)})
        # Kept here too: whoever writes the storage could take back what is published.
        signer.file.change(lambda ring: ring.remembering(key))
    published = signer.published.publish(key)
    value = {"kid": kid, "public": published.document(), "replaced_by": replaced[0] if replaced else None}
    said = f"the key {kid} is revoked" + (f"; the key {replaced[0]} signs from now on" if replaced else "")
    print(json.dumps(value) if as_json else said)
    return 0


def _make_key(backend: str, kid: str, *, first: bool, as_json: bool) -> int:
    if backend != ALL and backend not in registry.names():
        raise registry.unknown(backend)
    signer = current().keys
    if signer.given() is not None:
        raise KeyExists("QULEDGER_SIGNING_KEY holds the key that signs; unset it here, or put another key into it")
    key = new_key(check_kid(kid) if kid else _new_kid())

    def change(ring: Keyring) -> Keyring:
        used = ring.active.get(backend)
        if first and used:
            raise KeyExists(f"the key {used} signs already; `quledger keys rotate` replaces it")
        if not first and not used:
            how = "" if backend == ALL else f" --backend {backend}"
            raise UnknownKey(f"there is no key to replace; `quledger keys new{how}` makes one")
        if ring.key(key.kid) or any(there.kid == key.kid for there in signer.published.all()):
            raise KeyExists(f"there is a key {key.kid} already; a key id is used once")
        # Published first: whoever finds a signature is to find its key.
        signer.published.publish(key)
        return ring.with_key(key, (backend,))

    signer.file.change(change)
    who = "all backends without a key of their own" if backend == ALL else f"the backend {backend}"
    print(json.dumps({"kid": key.kid, "public": key.document()}) if as_json else f"the key {key.kid} signs for {who}")
    return 0


def _new_kid() -> str:
    return f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"


def _row(key: Jwk, uses: tuple[str, ...], *, ours: bool) -> dict[str, Any]:
    # Of what is only published nobody here says that it was ever the laboratory's.
    state = "revoked" if key.revoked_at else "signs" if uses else "retired" if ours else "published"
    return {
        "kid": key.kid,
        "state": state,
        "backends": list(uses),
        "thumbprint": thumbprint(key),
        "public": key.document(),
    }
