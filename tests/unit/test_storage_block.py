"""Blocks that somebody makes and changes while a drain runs, and what is said of them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr, ValidationError

from deployments.processes.blocks import Blocks
from models.errors import StorageError, StorageInactive, StorageRefused, StorageUnavailable
from models.logins import Address
from models.settings import Settings
from storage.providers.in_words import InWords
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from storage.providers.stores import Stores
from tasks import block_storages
from tasks.block_storages import BlockFinder, BlockOpener
from tasks.prefect_block import KINDS, Described, DropboxBlock, FolderBlock, MongoDBBlock, S3Block, StorageBlock
from tasks.services import Services


def kept(slug: str, name: str = "cloud", created: int = 1, **data: Any) -> dict[str, Any]:
    """Return a block as Prefect's API gives it."""
    kind = {"slug": f"quledger-{slug}", "name": slug}
    return {"name": name, "created": created, "data": data, "block_type": kind}


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Return what Prefect has; a test puts blocks in."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(
        block_storages, "_documents", lambda name=None: [each for each in found if name in (None, each["name"])]
    )
    monkeypatch.setattr(block_storages, "RELOAD_SECONDS", -1)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        yield found


def test_a_block_is_read_again_and_what_is_wrong_with_it_is_a_fault_of_the_storage(
    tmp_path: Path, blocks: list[dict[str, Any]]
):
    """A login that cannot be used, or a switch, stops this storage and no drain; put right, it is opened again."""
    good = kept("folder", base_path=str(tmp_path))
    opener = BlockOpener("block://cloud")
    with pytest.raises(StorageUnavailable, match=r"'cloud' of ours; make it in its UI"):
        opener()
    blocks.append(good)
    opener().put("a/x.json", b"1")
    for bad, words in (
        ([kept("folder", base_path="canary")], "base_path"),
        ([kept("storage", kind="local", login='{"base_path": "canary"}')], "base_path"),
        ([kept("storage", kind="other", login='{"url": "nosuch://canary@host/x"}')], "nosuch"),
        ([kept("s3", url="s3://b", secret="canary")], "key and secret belong together"),
        ([good, kept("s3", url="s3://b")], "2 blocks of this name"),
    ):
        blocks[:] = bad
        with pytest.raises(StorageRefused, match="'cloud'") as caught:
            opener()
        assert words in str(caught.value)
        assert "canary" not in str(caught.value)
    blocks[:] = [kept("folder", base_path=str(tmp_path), is_active=False)]
    with pytest.raises(StorageInactive, match="'cloud'"):
        opener()
    blocks[:] = [good]
    assert opener().get("a/x.json") == b"1"


def test_blocks_are_found_while_a_drain_runs(tmp_path: Path, blocks: list[dict[str, Any]]):
    """Every block is a storage as soon as it is made, behind those of the settings, and stays one; no strange names."""
    first = open_storage((tmp_path / "lab").as_uri())
    stores = Stores({"lab": lambda: first}, BlockFinder())
    assert stores.names == ["lab"]
    blocks += [
        kept("folder", "new", 2, base_path=str(tmp_path / "new")),
        kept("folder", "old", 1, base_path=str(tmp_path / "old")),
        kept("folder", "lab", 3, base_path=str(tmp_path / "other")),
        kept("folder", "no-name", 4, base_path=str(tmp_path)),
    ]
    stores.find()
    assert stores.names == ["lab", "old", "new"]
    assert stores.of("lab") is first
    stores.of("new").put("a/x.json", b"1")
    assert (tmp_path / "new" / "a" / "x.json").read_bytes() == b"1"
    blocks.clear()
    stores.find()
    assert stores.names == ["lab", "old", "new"]
    with pytest.raises(StorageUnavailable, match="Prefect has no block 'new'"):
        stores.of("new")
    with pytest.raises(StorageUnavailable, match="nor a block"):
        stores.of("nobody")


def test_the_control_room_says_which_blocks_are_missing_and_which_are_served(
    tmp_path: Path, blocks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    """One sentence when it is missing, one when it is there; one that was found is named; no folder of the settings."""
    monkeypatch.setattr(os, "environ", os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    monkeypatch.setattr("deployments.processes.blocks.LOOK_SECONDS", 0)
    urls = {"lab": (tmp_path / "lab").as_uri(), "cloud": "block://cloud", "*": "block://*"}
    said: list[str] = []
    shown = Blocks(Services(Settings(home=tmp_path / "home", storage=json.dumps(urls))), said.append)
    for _ in range(2):
        shown.look()
    assert said == ["Storage cloud: Prefect has no block 'cloud' of ours; make it in its UI: Blocks > + > Quledger ..."]
    blocks += [kept("folder", name, base_path=str(tmp_path / name)) for name in ("cloud", "more")]
    for _ in range(2):
        shown.look()
    assert said[1:] == ["Storage cloud: served", "Storage more: served"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (lambda: FolderBlock(base_path="/srv/jobs"), Address("file:///srv/jobs", {})),
        (
            lambda: S3Block(url="s3://b/p", key="k", secret=SecretStr("s"), region="eu"),
            Address("s3://b/p", {"key": "k", "secret": "s", "region": "eu"}),
        ),
        (
            lambda: MongoDBBlock(url="mongodb://h:1/", username="u", password=SecretStr("p")),
            Address("mongodb://h:1/", {"username": "u", "password": "p"}),
        ),
        (
            lambda: DropboxBlock(app_key="a", app_secret=SecretStr("b"), refresh_token=SecretStr("c")),
            Address("dropbox:///Backend_files", {"app_key": "a", "app_secret": "b", "refresh_token": "c"}),
        ),
        (
            lambda: StorageBlock(kind="other", login=SecretStr('{"url": "sftp://h/x"}')),
            Address("sftp://h/x", {}),
        ),
    ],
)
def test_each_kind_has_fields_of_its_own(block: Any, expected: Address):
    """What is typed says where the storage is."""
    assert block().address() == expected
    assert block().is_active


@pytest.mark.parametrize(
    ("slug", "data", "words"),
    [
        ("quledger-folder", {}, "base_path"),
        ("quledger-folder", {"base_path": "hush"}, "base_path"),
        ("quledger-s3", {"url": "https://hush"}, "url"),
        ("quledger-s3", {"url": "s3://b", "key": "hush"}, "key and secret belong together"),
        ("quledger-s3", {"url": "s3://b", "endpoint": "hush"}, "endpoint"),
        ("quledger-mongodb", {"url": "mongodb://ann:hush@h/"}, "url"),
        ("quledger-dropbox", {"app_key": "hush", "app_secret": "", "refresh_token": "hush"}, "app_secret is missing"),
        ("quledger-storage", {"kind": "s3", "login": "hush"}, "no JSON object"),
    ],
)
def test_a_block_that_cannot_be_used_is_not_made(slug: str, data: dict[str, str], words: str):
    """What is wrong is said when it is saved, by its field and never by its value."""
    with pytest.raises(ValidationError) as caught:
        KINDS[slug](**data)
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_block_connects_when_it_is_checked(tmp_path: Path):
    """`check` writes what an ordinary job writes, or says why it cannot."""
    good: Described = FolderBlock(base_path=str(tmp_path / "jobs"))
    good.check()
    (tmp_path / "file").write_text("no folder")
    bad: Described = FolderBlock(base_path=str(tmp_path / "file" / "below"))
    with pytest.raises(StorageUnavailable):
        bad.check()


def test_what_is_wrong_is_said_in_the_words_of_the_block(tmp_path: Path, blocks: list[dict[str, Any]]):
    """A provider knows variables; who made a block knows its name and its fields."""
    refused = StorageRefused("the bucket b cannot be used; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")

    class Refusing:
        def get(self, _path: str) -> bytes:
            raise refused

    blocks.append(kept("folder", base_path=str(tmp_path)))
    opener = BlockOpener("block://cloud")
    opener()
    storage: StorageProvider = InWords(Refusing(), opener._said)  # type: ignore[arg-type]
    with pytest.raises(StorageError) as caught:
        storage.get("x")
    assert str(caught.value) == "the block 'cloud': the bucket b cannot be used; check key and secret"
    assert isinstance(caught.value, StorageRefused)
