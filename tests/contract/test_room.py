"""A folder that has no room, and what killed writers leave in it."""

import errno
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import DocumentTooLarge, StorageFull
from storage.providers.beside import shortage, sweep
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage, probe

LIMIT = 100_000


@pytest.fixture(params=["file://{}", "dir::file://{}"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> StorageProvider:
    """A folder, by our own means and by those of fsspec."""
    return open_storage(request.param.format(tmp_path / "store"))


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond `LIMIT` bytes while the test runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def halves(folder: Path) -> list[str]:
    """Return the names of all files that are no documents."""
    return sorted(path.name for path in folder.rglob(".*.tmp"))


@pytest.mark.usefixtures("small_files")
def test_a_document_that_is_too_large_leaves_nothing_behind(storage: StorageProvider, tmp_path: Path):
    """The error says how large it was, the half that was written is gone, and the document is as it was."""
    storage.put("results/rydberg/j.json", b"small")
    for write in (storage.put, storage.create):
        with pytest.raises(DocumentTooLarge) as caught:
            write(f"results/rydberg/{'j' if write == storage.put else 'k'}.json", bytes(LIMIT + 1))
        assert caught.value.size == LIMIT + 1
        assert str(tmp_path) not in str(caught.value)
    assert storage.get("results/rydberg/j.json") == b"small"
    assert not storage.exists("results/rydberg/k.json")
    assert halves(tmp_path) == []


def test_a_probe_writes_what_a_job_writes(storage: StorageProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is as large as an ordinary result, or as what there was no room for; a large one is not left behind."""
    probe(storage)
    (file,) = tmp_path.rglob(".probe")
    assert file.stat().st_size == 64_000
    sizes: list[int] = []
    original = storage.put
    monkeypatch.setattr(storage, "put", lambda path, content: sizes.append(len(content)) or original(path, content))  # type: ignore[func-returns-value]
    probe(storage, 700_000)
    probe(storage, 50_000_000)
    assert sizes == [700_000, 0, 1_000_000, 0]


def test_the_halves_of_killed_writers_are_swept(storage: StorageProvider, tmp_path: Path):
    """What is older than an hour goes; what may still be written, documents and strangers' files stay."""
    storage.put("events/rydberg/j.json", b"{}")
    (folder,) = (file.parent for file in tmp_path.rglob("j.json"))
    old, young = f".j.json.{'a' * 32}.tmp", f".j.json.{'b' * 32}.tmp"
    strange = ".theirs.tmp"
    for name in (old, young, strange):
        (folder / name).write_bytes(b"{")
    then = time.time() - 3700
    for name in (old, strange, "j.json"):
        os.utime(folder / name, (then, then))
    assert sweep(storage) == 1
    assert sorted(path.name for path in folder.iterdir()) == [young, strange, "j.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_want_of_room_is_told_from_other_errors(number: int):
    """A full disk and a used up quota are want of room, with the size that was wanted; nothing else is."""
    found = shortage(OSError(number, "x"), "a.json", 5)
    assert isinstance(found, StorageFull)
    assert found.size == 5
    assert shortage(OSError(errno.EIO, "x"), "a.json", 5) is None
