"""Signatures as the storage contract has them, and what is said of those that do not hold."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from models.errors import BadName, KeyUnusable, NotAuthentic
from models.keys import Jwk, Keyring, check_kid, from_b64url
from models.signing import header, payload_text, signing_input, taken_apart
from storage.providers.folder import FolderStorage
from storage.signatures.public_keys import PublicKeys
from storage.signatures.signing import Signatures, check_halves, fits, new_key, sign

# A throw-away key, its private bytes 00 01 .. 1f, and what sqooler 0.9.0's `sign_payload` makes with it.
SETTING = (
    "eyJ4IjoiQTZFSHZfUE9FTDRkY04wWTUwdkFtV2ZrMWpDYnBRMWZIZHlHWkJKVk1iZz0iLCJrZXlfb3BzIjoic2lnbiIsImtpZCI6InZlY3Rvcl9r"
    "ZXkiLCJkIjoiQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSRWhNVUZSWVhHQmthR3h3ZEhoOD0iLCJrdHkiOiJPS1AiLCJhbGciOiJFZERTQSIsImNy"
    "diI6IkVkMjU1MTkifQ=="
)
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PUBLIC = {
    "x": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    "key_ops": "verify",
    "kid": "vector_key",
    "d": None,
    "kty": "OKP",
    "alg": "EdDSA",
    "crv": "Ed25519",
}
VECTORS = {
    "{}": "lFR8q-4YKemDCjSF3VHv3kJq72ZkTZQz-6c_PvDthM3iVMG3zGcDgtyArEENzHKYQUH-mhcEYumTKBATc0v8Ag==",
    '{"test": "test"}': "izO8ZPahlM3r2wZ77bt5y4Aoukj2wV7NPX8sdgkqn4lJZdyrEKtCiPgNceaqLurHhuRGQBOlO7A_ITiUyF8pDw==",
    '{"b": 1, "a": 2}': "VXkkEmsnRYM-KMl1ms3IB8BRcUC1b5GGcapHjkfG0HNG24hwCh7ZE2x-oNAf9VaFmoe2I-KMO3O49Rxl09fTBw==",
    '{"n": "gr\\u00fcn\\u2192\\u2603 \\ud834\\udd1e"}': (
        "2R0gjE_QYCeswdv_a6ko-zNt6gxucgDyJd_lqbvgZiKPjbJscKjcHtaGf0CI1A6-ZnKtFv_UxD8C7UjFRX2gBQ=="
    ),
}
KEY = Jwk.from_setting(SecretStr(SETTING))
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def published(tmp_path: Path) -> PublicKeys:
    """A storage that knows the key."""
    keys = PublicKeys(FolderStorage(tmp_path.as_uri()))
    keys.publish(KEY)
    return keys


@pytest.mark.parametrize(("text", "signature"), VECTORS.items())
def test_a_signature_is_sqoolers(text: str, signature: str):
    """The same key and payload give the header, the text and the signature that sqooler gives."""
    content = sign(json.loads(text), KEY)
    assert json.loads(content) == {
        "header": {"alg": "EdDSA", "kid": "vector_key", "typ": "JWS", "version": "0.1"},
        "payload": json.loads(text),
        "signature": signature,
    }
    assert content == json.dumps(json.loads(content)).encode()
    assert sign(json.loads(text), KEY) == content
    head, payload = signing_input(header("vector_key"), payload_text(json.loads(text))).split(b".")
    assert from_b64url(head.decode()) == b'{"alg":"EdDSA","kid":"vector_key","typ":"JWS","version":"0.1"}'
    assert from_b64url(payload.decode()) == text.encode()


def test_a_published_key_is_sqoolers(published: PublicKeys, tmp_path: Path):
    """The public document is the contract's, in its field order, and holds nothing private."""
    content = (tmp_path / "backends" / "public_keys" / "vector_key.json").read_text()
    assert content == json.dumps(PUBLIC)
    assert published.get("vector_key") == KEY.public


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(JSON_VALUES)
def test_whatever_is_signed_is_read_back(payload: Any):
    """The signature of any JSON value still holds when the document was parsed and written anew, in any layout."""
    content = sign(payload, KEY)
    again = json.dumps(json.loads(content), indent=2, ensure_ascii=True).encode()
    signed = taken_apart(json.loads(again))
    assert fits(signed, KEY.public)
    assert signed.payload == payload


def changed(**parts: Any) -> bytes:
    """Return a good signed document with some of its parts replaced."""
    return json.dumps(json.loads(sign({"a": 1}, KEY)) | parts).encode()


HEADER = header("vector_key")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}', "not signed"),
        (b"[]", "not signed"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (changed(payload={"a": 2}), "forged"),
        (changed(payload={"a": 1.0}), "forged"),
        (changed(signature="A" * 86 + "=="), "forged"),
        (changed(signature=VECTORS["{}"][:-2]), "its signature is none"),
        (changed(signature=VECTORS["{}"] + "\n"), "its signature is none"),
        (changed(signature=""), "its signature is none"),
        (changed(signature=17), "its signature is none"),
        (changed(header=HEADER | {"alg": "none"}), "header"),
        (changed(header=HEADER | {"kid": ["x"]}), "header"),
        (changed(header=HEADER | {"more": "x"}), "header"),
        (changed(header=HEADER | {"kid": "other"}), "instead of vector_key"),
        (changed(header="x"), "header"),
        (changed(extra=1), "not signed"),
        (sign({"a": 1}, new_key("vector_key")), "forged"),
    ],
)
def test_what_is_not_signed_as_it_should_be_is_named(published: PublicKeys, content: bytes, said: str):
    """Each way of not being signed is an error of its own words, and none is a crash."""
    signatures = Signatures(published, {})
    assert signatures.check(changed(), "vector_key") == {"a": 1}
    with pytest.raises(NotAuthentic, match=said):
        signatures.check(content, "vector_key")


def test_a_signature_that_a_store_keeps_as_bytes_is_read():
    """A signature that comes as bytes is as good as one that comes as text, and a time as good as its text."""
    moment = datetime(2026, 11, 21, 9, 10, 46, tzinfo=UTC)
    document = json.loads(sign({"last_queue_check": "2026-11-21T09:10:46+00:00"}, KEY))
    document |= {"signature": document["signature"].encode(), "payload": {"last_queue_check": moment}}
    assert fits(taken_apart(document), KEY)


def test_a_key_that_nobody_knows_is_named(published: PublicKeys):
    """A good signature of an unknown key proves nothing, whatever its id looks like."""
    signatures = Signatures(published, {})
    for kid in ("unknown", "../../x"):
        head = header(kid)
        with pytest.raises(NotAuthentic, match="nobody knows"):
            signatures.check(changed(header=head))


def test_revocation_is_about_the_time_of_signing(published: PublicKeys):
    """What the key signed before it was revoked holds, if somebody else says when; what it signed later does not."""
    published.publish(KEY.model_copy(update={"revoked_at": NOW, "revoked_because": "stolen"}))
    signatures = Signatures(published, {})
    assert signatures.check(changed(), "vector_key", NOW - timedelta(seconds=1)) == {"a": 1}
    for when in (None, NOW, NOW + timedelta(days=1)):
        with pytest.raises(NotAuthentic, match="revoked as of 2026-11-21"):
            signatures.check(changed(), "vector_key", when)


def test_a_revocation_is_not_taken_back_by_a_machine_that_does_not_know_it(published: PublicKeys):
    """A published revocation stays when the key is published again; of two, the one of the earlier time holds."""
    revoked = KEY.model_copy(update={"revoked_at": NOW})
    published.publish(revoked)
    assert published.publish(KEY).revoked_at == NOW
    assert published.publish(revoked.model_copy(update={"revoked_at": NOW + timedelta(days=1)})).revoked_at == NOW
    earlier = NOW - timedelta(days=1)
    assert published.publish(revoked.model_copy(update={"revoked_at": earlier})).revoked_at == earlier
    assert published.get("vector_key").revoked_at == earlier


def test_our_own_key_is_believed_before_a_published_one(published: PublicKeys, tmp_path: Path):
    """Who replaces the published key cannot make us believe what he signs, and the change is named."""
    thief = new_key("vector_key")
    (tmp_path / "backends" / "public_keys" / "vector_key.json").write_text(json.dumps(thief.document()))
    signatures = Signatures(published, {"vector_key": KEY.public})
    with pytest.raises(NotAuthentic, match="forged"):
        signatures.check(sign({"a": 1}, thief))
    assert signatures.check(changed()) == {"a": 1}
    ((path, why),) = signatures.contradictions(set())
    assert (path, why[:6]) == ("backends/public_keys/vector_key.json", "is not")
    with pytest.raises(KeyUnusable, match="another public key"):
        published.publish(KEY)


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"x": 1}', json.dumps(KEY.secret_document()).encode(), json.dumps(PUBLIC | {"kid": "b"}).encode()],
)
def test_what_is_published_and_is_no_public_key_is_named(published: PublicKeys, tmp_path: Path, content: bytes):
    """A document that is no public key, or a private one, is named without its content; the true key replaces it."""
    path = tmp_path / "backends" / "public_keys" / "vector_key.json"
    path.write_bytes(content)
    (path.parent / "x y.json").write_bytes(b"")
    faults = dict(published.faults())
    assert set(faults) == {"backends/public_keys/vector_key.json", "backends/public_keys/x y.json"}
    assert SECRET not in str(faults)
    published.publish(KEY)
    assert published.get("vector_key") == KEY.public


def test_a_private_key_shows_nowhere():
    """No repr, dump, copy or error of a key or a ring holds the private part; only the file's text does."""
    ring = Keyring().with_key(KEY, ("*",))
    for shown in (repr(KEY), str(KEY), KEY.model_dump_json(), str(KEY.model_dump()), repr(ring), str(KEY.document())):
        assert SECRET not in shown
    assert SECRET in ring.secret_text()
    assert Keyring.model_validate_json(ring.secret_text()) == ring


@pytest.mark.parametrize(
    "value",
    [
        {**PUBLIC, "key_ops": "sign", "d": SECRET[:-8]},
        {**PUBLIC, "d": SECRET},
        {**PUBLIC, "key_ops": "sign", "d": SECRET, "kid": "../" + SECRET},
        {**PUBLIC, "key_ops": "sign", "d": [SECRET]},
        {**PUBLIC, "key_ops": "sign", "d": SECRET, "kty": "RSA"},
        PUBLIC,
        SECRET,
    ],
)
def test_a_bad_private_key_is_named_without_its_content(value: Any):
    """A setting that holds no private key is an error that repeats none of it."""
    setting = base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
    for text in (setting, setting[:-3], SECRET, "\N{SNOWMAN}"):
        with pytest.raises(KeyUnusable) as caught:
            Jwk.from_setting(SecretStr(text))
        assert SECRET[:20] not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_two_halves_that_do_not_belong_together_are_named():
    """A private key with the public half of another one signs nothing."""
    with pytest.raises(KeyUnusable, match="not the public half"):
        check_halves(KEY.model_copy(update={"x": new_key("other").x}))


def test_a_ring_keeps_private_parts_only_of_keys_that_sign():
    """Rotation destroys the private part of the old key and keeps its public one; a backend's own key goes first."""
    old, fresh, own = new_key("old"), new_key("fresh"), new_key("own")
    ring = Keyring().with_key(old, ("*",)).with_key(own, ("rydberg",)).with_key(fresh, ("*",))
    assert ring.signing("fermions") == fresh
    assert ring.signing("rydberg") == own
    assert ring.key("old") == old.public
    revoked = ring.without("own", NOW, "lost")
    assert revoked.signing("rydberg") == fresh
    gone = revoked.key("own")
    assert gone is not None
    assert (gone.d, gone.revoked_at, gone.revoked_because) == (None, NOW, "lost")
    assert Keyring().signing("rydberg") is None


@pytest.mark.parametrize("text", ["", "..", "a/b", "../x", ".x", "a" * 101, "a b", "a..b", "gr\u00fcn"])
def test_a_key_id_is_one_segment_of_a_path(text: str):
    """What could lead elsewhere is no key id."""
    with pytest.raises(BadName):
        check_kid(text)
