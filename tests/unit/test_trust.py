"""Whom a check of signatures believes: the settings, the key file and the log, never the document it checks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.audit import Finding
from models.keys import Jwk, b64url
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
def installation(tmp_path: Path) -> Laboratory:
    """A laboratory in good order."""
    return Laboratory(tmp_path)


def unsigned(**changes: Any) -> bytes:
    """Return a configuration without a signature."""
    return json.dumps(CONFIG | {"sign": False, "kid": None} | changes).encode()


ROGUE = new_key("rogue")


def test_good_order_has_no_finding(installation: Laboratory):
    """What the keys of the file have signed is right, also by a key that was rotated away since."""
    assert installation.found() == []
    installation.config("spin", sign(CONFIG | {"kid": "old"}, installation.keys["old"]))
    assert installation.found() == []
    assert list(installation.signer().signatures().notes(())) == []


def test_what_has_to_be_signed_is_said_by_the_settings(installation: Laboratory):
    """An unsigned configuration of a backend that signs is a finding, whatever it says of itself; of another, none."""
    for content in (unsigned(), unsigned(sign=True), json.dumps({"display_name": "spin"}).encode()):
        installation.config("spin", content)
        (message,) = installation.found()
        assert "spin.json: it is not signed, and QULEDGER_SIGN says that the backend signs" in message
        assert installation.found(["spin"]) == [message]
    installation.config("spin", unsigned())
    assert installation.found(["rydberg"]) == installation.found(which=False) == []
    installation.config("spin", unsigned(sign=True, kid="now"))
    assert "says that the backend signs" in installation.found(which=False)[0]


def test_a_key_of_somebody_else_signs_nothing(installation: Laboratory):
    """A key that was published beside the laboratory's is a finding, and so is every configuration that it signs."""
    installation.publish(ROGUE)
    installation.config("spin", sign(CONFIG | {"kid": "rogue"}, ROGUE))
    for which in (True, False, ["rydberg"]):
        config, key = installation.found(which)
        assert config.endswith("spin.json: it is signed with the key 'rogue', which is none of this laboratory")
        assert key == "backends/public_keys/rogue.json is a key that this laboratory has never had"


def test_a_key_that_the_log_names_is_the_laboratorys(installation: Laboratory):
    """Results were signed with it: another machine may have had it. A configuration it signs no more."""
    installation.publish(ROGUE)
    assert installation.found(vouched=("rogue",)) == []
    installation.config("spin", sign(CONFIG | {"kid": "rogue"}, ROGUE))
    assert len(installation.found(vouched=("rogue",))) == 1


def test_a_configuration_is_signed_for_its_own_backend(installation: Laboratory):
    """The signed configuration of one backend in the place of another's is a finding; so is one of another key id."""
    installation.config("fermions", installation.storage.get("backends/configs/spin.json"))
    assert installation.found() == ["backends/configs/fermions.json: it is signed as the configuration of 'spin'"]
    installation.storage.delete("backends/configs/fermions.json")
    installation.config("spin", sign(CONFIG | {"kid": "old"}, installation.keys["now"]))
    assert "says that the key 'old' signs, and another one has signed it" in installation.found()[0]
    installation.config("spin", sign(CONFIG | {"sign": False}, installation.keys["now"]))
    assert "says that the backend does not sign" in installation.found()[0]


def test_a_revocation_is_not_taken_back_by_the_storage(installation: Laboratory):
    """The published key that no longer says that it is revoked, or says so of a later time, changes nothing."""
    lost = installation.keys["lost"]
    installation.config("spin", sign(CONFIG | {"kid": "lost"}, lost))
    assert len(installation.found()) == 1
    for changes in ({}, {"revoked_at": "2030-01-01T00:00:00Z", "revoked_because": ""}):
        installation.publish(lost, **changes)
        config, key = installation.found()
        assert "is revoked as of 2026-11-21T09:00:00" in config
        assert key.startswith("backends/public_keys/lost.json does not say that the key is revoked as of 2026-11-21")


@pytest.mark.parametrize("kid", ["now", "old", "lost"])
def test_a_published_key_that_was_replaced_or_removed_is_named(installation: Laboratory, kid: str):
    """Each key that the laboratory ever had is compared with the one that it keeps itself."""
    installation.publish(
        new_key(kid), **({"revoked_at": NOW.isoformat(), "revoked_because": ""} if kid == "lost" else {})
    )
    (message,) = installation.found()
    assert message == f"backends/public_keys/{kid}.json is not the public key that belongs to the private one"
    installation.storage.delete(f"backends/public_keys/{kid}.json")
    assert "is missing" in installation.found()[0]


def test_without_a_key_at_hand_the_storage_is_believed_and_that_is_said(installation: Laboratory, tmp_path: Path):
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


def test_public_keys_alone_are_enough_to_check(installation: Laboratory, tmp_path: Path):
    """A key file of which the private parts were taken away finds what the whole one finds, and trusts nobody."""
    ring = json.loads((tmp_path / "keys" / "keyring.json").read_text())
    for key in ring["keys"]:
        key |= {"key_ops": "verify"}
        key.pop("d")
    (tmp_path / "keys" / "keyring.json").write_text(json.dumps(ring | {"active": {}}))
    assert installation.found() == []
    assert list(installation.signer().signatures().notes(())) == []
    installation.publish(ROGUE)
    assert len(installation.found()) == 1


def test_keys_that_cannot_be_read_are_not_silently_left_out(installation: Laboratory, tmp_path: Path):
    """A key file that is broken or open to others is a note of its own, beside that of believing the storage."""
    path = tmp_path / "keys" / "keyring.json"
    path.chmod(0o644)
    first, second = installation.signer().signatures().notes(())
    assert "may be read by others" in first
    assert "no key of the laboratory is at hand" in second
    path.chmod(0o600)
    path.write_text("{")
    assert "is broken" in next(iter(installation.signer().signatures().notes(())))


def test_settings_that_ask_for_nothing_are_named_where_keys_sign(installation: Laboratory):
    """Whoever verifies in a shell without QULEDGER_SIGN is told that unsigned configurations were let pass."""
    (note,) = installation.signer(which=False).signatures().notes(())
    assert "QULEDGER_SIGN says that no backend signs" in note


def test_forged_bytes_are_never_the_laboratorys(installation: Laboratory):
    """A document that names a key of the laboratory and was signed by another is forged."""
    thief = new_key("now")
    installation.publish(thief)
    installation.config("spin", sign(CONFIG, thief))
    config, key = installation.found()
    assert "it is forged" in config
    assert "is not the public key that belongs" in key
    document = json.loads(sign(CONFIG, installation.keys["now"]))
    installation.config("spin", json.dumps(document | {"signature": b64url(bytes(64))}).encode())
    assert "it is forged" in installation.found()[0]


@pytest.mark.parametrize("which", [True, False])
def test_what_stands_in_place_of_a_configuration_is_found(installation: Laboratory, which: bool):  # noqa: FBT001 - the setting
    """An empty document, and a link to one that says something else, are read by front ends too."""
    installation.config("spin", b"")
    assert installation.found(which) == ["backends/configs/spin.json: it is not JSON"]
    file, elsewhere = installation.folder / "backends/configs/spin.json", installation.folder / "elsewhere.json"
    file.unlink()
    elsewhere.write_bytes(unsigned(description="cold"))
    file.symlink_to(elsewhere)
    assert installation.found(which) == [
        "backends/configs/spin.json: it is no document of its own (a link or a folder)"
    ]
