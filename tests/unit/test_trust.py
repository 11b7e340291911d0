"""Whom a check of signatures believes: the settings, the key file and the log, and never the document that it checks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.audit import Finding
from models.signing import Jwk, b64url
from storage.audit.signatures import audit_signatures
from storage.providers.folder import FolderStorage
from storage.signatures.key_file import KeyFile
from storage.signatures.public_keys import PublicKeys
from storage.signatures.signer import Signer
from storage.signatures.signing import new_key, sign

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CONFIG = {"display_name": "spin", "description": "a spin", "sign": True, "kid": "now"}


class Laboratory:
    """A key file with one key that signs, one that was rotated away and one that was revoked, all of them published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "store"
        self.storage = FolderStorage(self.folder.as_uri())
        self.file = KeyFile(folder / "keys")
        self.keys = {kid: new_key(kid) for kid in ("old", "lost", "now")}
        for key in self.keys.values():
            self.file.change(lambda ring, key=key: ring.with_key(key, ("*",)))  # type: ignore[misc]
        self.file.change(lambda ring: ring.without("lost", NOW, "stolen"))
        Signer(self.file, PublicKeys(self.storage), which=True).publish()
        self.config("spin", sign(CONFIG, self.keys["now"]))

    def config(self, backend: str, content: bytes) -> None:
        self.storage.put(f"backends/configs/{backend}.json", content)

    def publish(self, key: Jwk, **changes: Any) -> None:
        self.storage.put(f"backends/public_keys/{key.kid}.json", json.dumps(key.document() | changes).encode())

    def signer(self, which: bool | list[str] = True) -> Signer:  # noqa: FBT001, FBT002 - as the setting is written
        return Signer(self.file, PublicKeys(self.storage), which=which)

    def found(self, which: bool | list[str] = True, vouched: tuple[str, ...] = ()) -> list[str]:  # noqa: FBT001, FBT002
        found: list[Finding] = list(audit_signatures(self.storage, self.signer(which).signatures(), vouched))
        assert all((each.job_id, each.what) == ("", "signature") for each in found)
        return [each.message for each in found]


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    """A laboratory in good order."""
    return Laboratory(tmp_path)


def unsigned(**changes: Any) -> bytes:
    """Return a configuration without a signature."""
    return json.dumps(CONFIG | {"sign": False, "kid": None} | changes).encode()


ROGUE = new_key("rogue")


def test_good_order_has_no_finding(lab: Laboratory):
    """What the keys of the file have signed is right, also by a key that was rotated away since."""
    assert lab.found() == []
    lab.config("spin", sign(CONFIG | {"kid": "old"}, lab.keys["old"]))
    assert lab.found() == []
    assert list(lab.signer().signatures().notes(())) == []


def test_what_has_to_be_signed_is_said_by_the_settings(lab: Laboratory):
    """An unsigned configuration of a backend that signs is a finding, whatever it says of itself; of another, none."""
    for content in (unsigned(), unsigned(sign=True), json.dumps({"display_name": "spin"}).encode()):
        lab.config("spin", content)
        (message,) = lab.found()
        assert "spin.json: it is not signed, and QULEDGER_SIGN says that the backend signs" in message
        assert lab.found(["spin"]) == [message]
    lab.config("spin", unsigned())
    assert lab.found(["rydberg"]) == lab.found(which=False) == []
    lab.config("spin", unsigned(sign=True, kid="now"))
    assert "says that the backend signs" in lab.found(which=False)[0]


def test_a_key_of_somebody_else_signs_nothing(lab: Laboratory):
    """A key that was published beside the laboratory's is a finding, and so is every configuration that it signs."""
    lab.publish(ROGUE)
    lab.config("spin", sign(CONFIG | {"kid": "rogue"}, ROGUE))
    for which in (True, False, ["rydberg"]):
        config, key = lab.found(which)
        assert config.endswith("spin.json: it is signed with the key 'rogue', which is none of this laboratory")
        assert key == "backends/public_keys/rogue.json is a key that this laboratory has never had"


def test_a_key_that_the_log_names_is_the_laboratorys(lab: Laboratory):
    """Results were signed with it: another machine may have had it. A configuration it signs no more."""
    lab.publish(ROGUE)
    assert lab.found(vouched=("rogue",)) == []
    lab.config("spin", sign(CONFIG | {"kid": "rogue"}, ROGUE))
    assert len(lab.found(vouched=("rogue",))) == 1


def test_a_configuration_is_signed_for_its_own_backend(lab: Laboratory):
    """The signed configuration of one backend, put in the place of another's, is a finding; so is one of another key id."""
    lab.config("fermions", lab.storage.get("backends/configs/spin.json"))
    assert lab.found() == ["backends/configs/fermions.json: it is signed as the configuration of 'spin'"]
    lab.storage.delete("backends/configs/fermions.json")
    lab.config("spin", sign(CONFIG | {"kid": "old"}, lab.keys["now"]))
    assert "says that the key 'old' signs, and another one has signed it" in lab.found()[0]
    lab.config("spin", sign(CONFIG | {"sign": False}, lab.keys["now"]))
    assert "says that the backend does not sign" in lab.found()[0]


def test_a_revocation_is_not_taken_back_by_the_storage(lab: Laboratory):
    """The published key that no longer says that it is revoked, or says so of a later time, changes nothing."""
    lost = lab.keys["lost"]
    lab.config("spin", sign(CONFIG | {"kid": "lost"}, lost))
    assert len(lab.found()) == 1
    for changes in ({}, {"revoked_at": "2030-01-01T00:00:00Z", "revoked_because": ""}):
        lab.publish(lost, **changes)
        config, key = lab.found()
        assert "is revoked as of 2026-11-21T09:00:00" in config
        assert key.startswith("backends/public_keys/lost.json does not say that the key is revoked as of 2026-11-21")


@pytest.mark.parametrize("kid", ["now", "old", "lost"])
def test_a_published_key_that_was_replaced_or_removed_is_named(lab: Laboratory, kid: str):
    """Each key that the laboratory ever had is compared with the one that it keeps itself."""
    lab.publish(new_key(kid), **({"revoked_at": NOW.isoformat(), "revoked_because": ""} if kid == "lost" else {}))
    (message,) = lab.found()
    assert message == f"backends/public_keys/{kid}.json is not the public key that belongs to the private one"
    lab.storage.delete(f"backends/public_keys/{kid}.json")
    assert "is missing" in lab.found()[0]


def test_without_a_key_at_hand_the_storage_is_believed_and_that_is_said(lab: Laboratory, tmp_path: Path):
    """A machine without the key file still asks for signatures, and says that it has to believe the published keys."""
    away = Laboratory(tmp_path / "away")
    away.file = KeyFile(tmp_path / "nothing")
    assert away.found() == []
    (note,) = away.signer().signatures().notes(())
    assert "no key of the laboratory is at hand" in note
    assert "whoever can write there can replace both" in note
    away.config("spin", unsigned())
    assert "QULEDGER_SIGN says that the backend signs" in away.found()[0]
    # Where nothing was ever signed there is nothing to say.
    empty = Signer(away.file, PublicKeys(FolderStorage((tmp_path / "empty").as_uri())), which=False)
    assert list(empty.signatures().notes(())) == []


def test_public_keys_alone_are_enough_to_check(lab: Laboratory, tmp_path: Path):
    """A key file of which the private parts were taken away finds what the whole one finds, and trusts nobody."""
    ring = json.loads((tmp_path / "keys" / "keyring.json").read_text())
    for key in ring["keys"]:
        key |= {"key_ops": "verify"}
        key.pop("d")
    (tmp_path / "keys" / "keyring.json").write_text(json.dumps(ring | {"active": {}}))
    assert lab.found() == []
    assert list(lab.signer().signatures().notes(())) == []
    lab.publish(ROGUE)
    assert len(lab.found()) == 1


def test_keys_that_cannot_be_read_are_not_silently_left_out(lab: Laboratory, tmp_path: Path):
    """A key file that is broken or open to others is a note of its own, beside that of believing the storage."""
    path = tmp_path / "keys" / "keyring.json"
    path.chmod(0o644)
    first, second = lab.signer().signatures().notes(())
    assert "may be read by others" in first
    assert "no key of the laboratory is at hand" in second
    path.chmod(0o600)
    path.write_text("{")
    assert "is broken" in next(iter(lab.signer().signatures().notes(())))


def test_settings_that_ask_for_nothing_are_named_where_keys_sign(lab: Laboratory):
    """Whoever verifies in a shell without QULEDGER_SIGN is told that unsigned configurations were let pass."""
    (note,) = lab.signer(which=False).signatures().notes(())
    assert "QULEDGER_SIGN says that no backend signs" in note


def test_forged_bytes_are_never_the_laboratorys(lab: Laboratory):
    """A document that names a key of the laboratory and was signed by another is forged."""
    thief = new_key("now")
    lab.publish(thief)
    lab.config("spin", sign(CONFIG, thief))
    config, key = lab.found()
    assert "it is forged" in config
    assert "is not the public key that belongs" in key
    document = json.loads(sign(CONFIG, lab.keys["now"]))
    lab.config("spin", json.dumps(document | {"signature": b64url(bytes(64))}).encode())
    assert "it is forged" in lab.found()[0]


@pytest.mark.parametrize("which", [True, False])
def test_what_stands_in_place_of_a_configuration_is_found(lab: Laboratory, which: bool):  # noqa: FBT001 - the setting
    """An empty document, and a link to one that says something else, are read by front ends too."""
    lab.config("spin", b"")
    assert lab.found(which) == ["backends/configs/spin.json: it is not JSON"]
    file, elsewhere = lab.folder / "backends/configs/spin.json", lab.folder / "elsewhere.json"
    file.unlink()
    elsewhere.write_bytes(unsigned(description="cold"))
    file.symlink_to(elsewhere)
    assert lab.found(which) == ["backends/configs/spin.json: it is no document of its own (a link or a folder)"]
