"""What sqooler's own tests ask of a storage provider, asked of each of ours.

The behaviours are those of `tests/storage_provider_test_utils.py` and its neighbours in sqooler's repository.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.providers.registry import open_storage
from tests.contract.sqooler_names import SqoolerNames
from tests.contract.storages import KINDS, Servers, kind_named, surrounded

ONE: dict[str, Any] = {"experiment_0": "Nothing happened here."}
TWO: dict[str, Any] = {"experiment_1": "Nothing happened here."}


@pytest.fixture(params=KINDS)
def provider(request: pytest.FixtureRequest, tmp_path: Path, storage_servers: Servers) -> Iterator[SqoolerNames]:
    """Each kind of storage, empty."""
    place = storage_servers.place(kind_named(request.param), tmp_path)
    with surrounded(place):
        yield SqoolerNames(open_storage(place.url))


@pytest.fixture
def job_id() -> str:
    """An id as sqooler makes it."""
    return uuid.uuid4().hex[:24]


@pytest.mark.parametrize(
    "folders", [("test/subcollection", "test/subcollection_2"), ("jobs/queued/d", "/jobs/running/")]
)
def test_upload_and_move(provider: SqoolerNames, job_id: str, folders: tuple[str, str]):
    """A document that was uploaded is read, moved and read again, and is nowhere else."""
    here, there = folders
    provider.upload(ONE, here, job_id)
    assert provider.get(here, job_id) == ONE
    assert provider.get_file_queue(here) == [job_id]
    provider.move(here, there, job_id)
    assert provider.get(there, job_id) == ONE
    with pytest.raises(FileNotFoundError):
        provider.get(here, job_id)
    assert provider.get_file_queue(here) == []
    provider.delete(there, job_id)
    with pytest.raises(FileNotFoundError):
        provider.get(there, job_id)


def test_upload_twice(provider: SqoolerNames, job_id: str):
    """An upload never overwrites."""
    provider.upload(ONE, "jobs/queued/d", job_id)
    with pytest.raises(FileExistsError):
        provider.upload(TWO, "jobs/queued/d", job_id)
    assert provider.get("jobs/queued/d", job_id) == ONE


def test_update(provider: SqoolerNames, job_id: str):
    """A document that is not there cannot be updated; one that is, is replaced as a whole."""
    with pytest.raises(FileNotFoundError):
        provider.update(ONE, "status/d", job_id)
    provider.upload(ONE, "status/d", job_id)
    provider.update(TWO, "status/d", job_id)
    assert provider.get("status/d", job_id) == TWO


def test_what_is_not_there(provider: SqoolerNames, job_id: str):
    """Reading, moving and deleting what is not there is an error, also with an id that cannot be one."""
    for unknown in (job_id, "non_existing", "../jobs/x", ""):
        with pytest.raises(FileNotFoundError):
            provider.get("results/d", unknown)
        with pytest.raises(FileNotFoundError):
            provider.move("results/d", "results/e", unknown)
        with pytest.raises(FileNotFoundError):
            provider.delete("results/d", unknown)


def test_a_configuration_is_uploaded_once_and_updated(provider: SqoolerNames):
    """A configuration is found by the backend's name, is not uploaded twice, and its time is renewed."""
    config = {"display_name": "dummy1", "cold_atom_type": "fermion", "last_queue_check": None}
    with pytest.raises(FileNotFoundError):
        provider.get("backends/configs", "dummy1")
    provider.upload(config, "backends/configs", "dummy1")
    assert provider.get_file_queue("backends/configs") == ["dummy1"]
    with pytest.raises(FileExistsError):
        provider.upload(config, "backends/configs", "dummy1")
    for moment in ("2026-11-21T09:10:46+00:00", "2026-11-21T09:10:47+00:00"):
        provider.update(config | {"last_queue_check": moment, "cold_atom_type": "boson"}, "backends/configs", "dummy1")
    assert provider.get("backends/configs", "dummy1") == config | {
        "last_queue_check": "2026-11-21T09:10:47+00:00",
        "cold_atom_type": "boson",
    }
    with pytest.raises(FileNotFoundError):
        provider.update(config, "backends/configs", "randonname")


def test_a_public_key_is_found_by_its_id(provider: SqoolerNames):
    """A key is uploaded, replaced, and found by its `kid` alone."""
    key = {"x": "abc", "kid": "dummy1", "d": None}
    provider.upload(key, "backends/public_keys", "dummy1")
    provider.update(key | {"x": "def"}, "backends/public_keys", "dummy1")
    assert provider.get("backends/public_keys", "dummy1")["x"] == "def"
    with pytest.raises(FileNotFoundError):
        provider.get("backends/public_keys", "random")


def test_the_life_of_a_job(provider: SqoolerNames, job_id: str):
    """A job goes from the queue to the finished ones, its status and result appear, as `update_in_database` does it."""
    instructions = [["load", [7], []], ["measure", [7], []]]
    job = {"experiment_0": {"instructions": instructions, "num_wires": 8, "shots": 4, "wire_order": "sequential"}}
    assert provider.get_file_queue("jobs/queued/d") == []
    provider.upload(job, "jobs/queued/d", job_id)
    provider.upload({"job_id": job_id, "status": "INITIALIZING"}, "status/d", job_id)
    assert provider.get_file_queue("jobs/queued/d") == [job_id]
    provider.move("jobs/queued/d", "jobs/running", job_id)
    assert provider.get("jobs/running", job_id) == job
    provider.upload({"job_id": job_id, "results": []}, "results/d", job_id)
    provider.move("jobs/running", "jobs/finished/d", job_id)
    provider.update({"job_id": job_id, "status": "DONE"}, "status/d", job_id)
    assert provider.get("jobs/finished/d", job_id) == job
    assert provider.get("status/d", job_id)["status"] == "DONE"
    assert provider.get("results/d", job_id) == {"job_id": job_id, "results": []}
