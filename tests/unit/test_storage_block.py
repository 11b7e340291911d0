"""A block that somebody changes while a drain runs."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from models.errors import StorageInactive, StorageRefused
from tasks import prefect_block
from tasks.prefect_block import BlockOpener, StorageBlock


def test_a_block_is_read_again_and_what_is_wrong_with_it_is_a_fault_of_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A login that cannot be used, or a switch, stops this storage and no drain; put right, it is opened again."""
    good = SecretStr(f'{{"base_path": "{tmp_path}"}}')
    blocks = iter(
        [
            StorageBlock(kind="local", login=good),
            StorageBlock(kind="local", login=SecretStr('{"base_path": "canary"}')),
            StorageBlock(kind="other", login=SecretStr('{"url": "nosuch://canary@host/x"}')),
            StorageBlock(kind="local", login=good, is_active=False),
            StorageBlock(kind="local", login=good),
        ]
    )
    monkeypatch.setattr(prefect_block, "_load", lambda _name: next(blocks))
    monkeypatch.setattr(prefect_block, "RELOAD_SECONDS", -1)
    opener = BlockOpener("block://cloud")
    opener().put("a/x.json", b"1")
    for _ in range(2):
        with pytest.raises(StorageRefused, match="'cloud'") as caught:
            opener()
        assert "canary" not in str(caught.value)
    with pytest.raises(StorageInactive, match="'cloud'"):
        opener()
    assert opener().get("a/x.json") == b"1"
