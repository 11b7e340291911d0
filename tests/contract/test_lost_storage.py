"""A storage whose disk is not mounted, or which was emptied: it is not taken for a new one, and nothing is written."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from models.errors import StorageUnavailable
from storage import layout
from storage.documents.expected import expect_ours
from storage.documents.marks import Marks
from storage.providers.folder import FolderStorage
from storage.providers.fsspec_storage import FsspecStorage
from storage.providers.stores import Stores
from tests.contract.conftest import Houses
from tests.contract.log_fixture import LogFixture
from tests.program import Program


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """The command line over a log with a job that is DONE and mirrored."""
    lab = LogFixture(tmp_path)
    lab.submit("done")
    lab.finish(lab.take())
    lab.relay.update_all()
    lab.log.engine.dispose()
    monkeypatch.setenv("QULEDGER_DATABASE", f"sqlite:///{tmp_path / 'log.db'}")
    monkeypatch.setenv("QULEDGER_STORAGE", (tmp_path / "store").as_uri())
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return Program(tmp_path / "home", capsys)


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_storage_that_is_gone_is_not_made_anew(
    program: Program, tmp_path: Path, caplog: pytest.LogCaptureFixture, left: str
) -> None:
    """Not by what begins a drain, nor by what brings right; then it is back, or somebody says that it is new."""
    store, away = tmp_path / "store", tmp_path / "away"
    store.rename(away)
    if left != "nothing":
        store.mkdir()
    for command in ("drain --until-empty", "up", "storages", "reconcile", "health"):
        caplog.clear()
        code, out, err = program(*command.split())
        assert code == 1, command
        said = out + err + caplog.text
        assert "is empty, and jobs of this log were written there: staged/.log and events/ are missing" in said
        assert "quledger reconcile --new-storage" in said
    assert not store.exists() or not list(store.iterdir())
    shutil.rmtree(store, ignore_errors=True)
    away.rename(store)
    program.said("storages")
    assert program.json("reconcile")["failed"] == 0
    shutil.rmtree(store)
    assert program("reconcile")[0] == 1
    assert program("reconcile", "--new-storage")[0] == 0
    assert (store / layout.MARK).exists()
    assert (store / layout.events("rydberg", "done")).exists()
    program.said("storages")


def test_a_mark_or_a_history_is_enough(log_fixtures: Houses, tmp_path: Path) -> None:
    """A home of 0.1.0 has no mark, a storage without jobs no history; a log that wrote nothing expects nothing."""
    lab = log_fixtures(tmp_path)
    url = lab.log.engine.url.render_as_string(hide_password=False)
    empty = FolderStorage((tmp_path / "empty").as_uri())
    expect_ours(url, "", empty, True)
    lab.submit("a")
    expect_ours(url, "", empty, True)
    lab.finish(lab.take())
    lab.relay.update_all()
    with pytest.raises(StorageUnavailable, match="the storage is empty"):
        expect_ours(url, "", empty, True)
    with pytest.raises(StorageUnavailable, match="the storage 'lab' is empty"):
        expect_ours(url, "lab", empty, True)
    expect_ours(url, "second", empty, False)
    expect_ours(url, "", lab.storage, True)
    lab.storage.delete(layout.MARK)
    expect_ours(url, "", lab.storage, True)
    empty.put(layout.MARK, b"{}")
    expect_ours(url, "", empty, True)
    expect_ours(f"sqlite:///{tmp_path / 'nowhere.db'}", "", FolderStorage((tmp_path / "other").as_uri()), True)
    assert not (tmp_path / "nowhere.db").exists()


def test_a_disk_that_goes_while_it_is_written_to(tmp_path: Path) -> None:
    """What lies in its place is not written to; it is when it is back, also as another folder with our mark."""
    root, away = tmp_path / "store", tmp_path / "away"
    storage = FolderStorage(root.as_uri())
    storage.put(layout.MARK, b"{}")
    root.rename(away)
    for make in (lambda: None, root.mkdir):
        make()
        for write in (
            lambda: storage.put("a/b", b""),
            lambda: storage.create("a/b", b""),
            lambda: storage.move(layout.MARK, "a/b"),
        ):
            with pytest.raises(StorageUnavailable, match="is its disk still mounted"):
                write()
    assert not list(root.iterdir())
    root.rmdir()
    shutil.copytree(away, root)
    storage.put("a/b", b"")
    assert storage.get("a/b") == b""


def test_a_bucket_that_is_emptied_while_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next mark is not written over what is gone; one that alone was removed is."""
    lab = LogFixture(tmp_path)
    storage = FsspecStorage(f"memory://{tmp_path.name}", {})
    url = str(lab.log.engine.url)
    stores = Stores({"": lambda: storage}, expect=partial(expect_ours, url))
    marks = Marks(lab.log.engine, stores)
    monkeypatch.setattr("storage.documents.marks.SECONDS", 0.0)
    marks.compared("")
    lab.submit("a")
    lab.finish(lab.take())
    lab.relay.update_all()
    storage.put(layout.events("rydberg", "a"), b"[]")
    storage.delete(layout.MARK)
    marks.before_writing("")
    assert storage.exists(layout.MARK)
    storage.delete(layout.MARK)
    storage.delete(layout.events("rydberg", "a"))
    storage._fs.store.clear()
    storage._fs.pseudo_dirs[:] = [""]
    with pytest.raises(StorageUnavailable, match="is empty, and jobs of this log were written there"):
        marks.before_writing("")
    with pytest.raises(StorageUnavailable, match="is empty"):
        stores.of("")
    storage.put(layout.MARK, b"{}")
    assert stores.of("") is storage
