"""One drain serves several storages; one of them is down, switched off, or kept by Prefect as a block."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.canaries import Canaries
from tests.installation import DRAIN, ONE_BACKEND, ROOT, Installation, Started, experiment
from tests.waiting import until

JOB = {"experiment_0": experiment(["rlx", [0], [3.0]], ["measure", [0], []], shots=7)}


class Rooms:
    """A laboratory with two storages, `installation` and `cloud`, in folders."""

    def __init__(self, folder: Path, api: str) -> None:
        self.installation = Installation(folder, api)
        self.folders = {name: folder / name for name in ("lab", "cloud")}
        self.drains: list[Started] = []
        urls = {name: path.as_uri() for name, path in self.folders.items()}
        self.settings = {"QULEDGER_STORAGE": json.dumps(urls), "QULEDGER_PUBLISH_SECONDS": "1"}

    def queue(self, name: str, job_id: str) -> None:
        path = self.folders[name] / "jobs" / "queued" / "singlequdit" / f"{job_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(JOB))

    def status(self, name: str, job_id: str) -> str:
        path = self.folders[name] / "status" / "singlequdit" / f"{job_id}.json"
        return str(json.loads(path.read_text())["status"]) if path.exists() else ""

    def drain(self) -> None:
        self.drains.append(self.installation.start("drain", *ONE_BACKEND, **self.settings))

    def stop(self) -> str:
        said = ""
        while self.drains:
            drain = self.drains.pop()
            drain.terminate()
            said += drain.communicate(timeout=60)[0]
        return said


@pytest.fixture
def rooms(tmp_path: Path, prefect_api: str) -> Iterator[Rooms]:
    """Two empty storages; what drains them ends with the test."""
    rooms = Rooms(tmp_path, prefect_api)
    yield rooms
    rooms.stop()


def test_each_job_stays_with_its_storage(rooms: Rooms, tmp_path: Path):
    """Jobs of both inboxes, and jobs submitted for either, end where they came from; log and storages agree.

    An empty database takes the histories of both storages, and nothing differs afterwards.
    """
    queued = {"lab": "a" * 24, "cloud": "b" * 24}
    for name, job_id in queued.items():
        rooms.queue(name, job_id)
    (rooms.installation.home.parent / "job.json").write_text(json.dumps(JOB))
    submitted = {
        name: rooms.installation.json(
            "submit",
            "singlequdit",
            str(rooms.installation.home.parent / "job.json"),
            "--storage",
            name,
            **rooms.settings,
        )["job_id"]
        for name in ("lab", "cloud")
    }
    rooms.installation.run(*DRAIN, **rooms.settings)
    for name, other in (("lab", "cloud"), ("cloud", "lab")):
        for job_id in (queued[name], submitted[name]):
            assert rooms.status(name, job_id) == "DONE"
            assert rooms.status(other, job_id) == ""
            assert (rooms.folders[name] / "results" / "singlequdit" / f"{job_id}.json").exists()
            assert rooms.installation.json("result", job_id, **rooms.settings)["status"] == "DONE"
        config = json.loads((rooms.folders[name] / "backends" / "configs" / "singlequdit.json").read_text())
        assert config["display_name"] == "singlequdit"
    rooms.installation.verified(**rooms.settings)
    unknown = rooms.installation.run(
        "submit",
        "singlequdit",
        str(rooms.installation.home.parent / "job.json"),
        "--storage",
        "nosuch",
        check=False,
        **rooms.settings,
    )
    assert unknown.returncode == 2
    assert "lab, cloud" in unknown.stderr
    elsewhere = rooms.settings | {"QULEDGER_DATABASE": f"sqlite:///{tmp_path / 'new.db'}"}
    assert rooms.installation.json("restore", **elsewhere)["jobs"] == 4
    rooms.installation.verified(**elsewhere)


def test_a_storage_that_is_down_holds_up_no_other(rooms: Rooms):
    """While one storage cannot be read or written, the jobs of the other run; its own wait and lose no attempt."""
    rooms.queue("lab", "a" * 24)
    rooms.drain()
    until(lambda: rooms.status("lab", "a" * 24) == "DONE")
    rooms.queue("cloud", "b" * 24)
    until(lambda: rooms.status("cloud", "b" * 24) == "DONE")
    # A file where the folder was: nothing below it can be read or written.
    down = rooms.folders["cloud"].with_name("cloud-down")
    rooms.folders["cloud"].rename(down)
    rooms.folders["cloud"].write_text("")
    rooms.queue("lab", "c" * 24)
    waiting = rooms.installation.json(
        "submit", "singlequdit", "-", "--storage", "cloud", text=json.dumps(JOB), **rooms.settings
    )["job_id"]
    until(lambda: rooms.status("lab", "c" * 24) == "DONE")

    def nothing_happens() -> bool:
        before = rooms.installation.history(waiting)
        time.sleep(3)
        return rooms.installation.history(waiting) == before

    until(nothing_happens, told=lambda: "there are events while nobody can do anything")
    rooms.folders["cloud"].unlink()
    down.rename(rooms.folders["cloud"])
    until(lambda: rooms.status("cloud", waiting) == "DONE")
    assert rooms.installation.states() == dict.fromkeys(["a" * 24, "b" * 24, "c" * 24, waiting], "DONE")
    rooms.stop()
    rooms.installation.verified(**rooms.settings)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> str:
    """Prefect, told of our kinds of blocks as users tell it; its address."""
    made = subprocess.run(
        [sys.executable, "-m", "prefect", "block", "register", "-m", "tasks.prefect_block"],
        env=Installation(tmp_path_factory.mktemp("registering"), prefect_api).environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert made.returncode == 0, made.stderr
    return prefect_api


def make_block(api: str, name: str, slug: str, **fields: str) -> str:
    """Make a block as the UI does; return its address."""
    kind_id = httpx.get(f"{api}/block_types/slug/{slug}").raise_for_status().json()["id"]
    asked = {"block_schemas": {"block_type_id": {"any_": [kind_id]}}}
    schemas = httpx.post(f"{api}/block_schemas/filter", json=asked).raise_for_status().json()
    body = {
        "name": name,
        "block_type_id": kind_id,
        "block_schema_id": schemas[0]["id"],
        "data": fields | {"owner": "bob"},
    }
    block = httpx.post(f"{api}/block_documents/", json=body).raise_for_status().json()
    return f"{api}/block_documents/{block['id']}"


def test_a_storage_that_never_answers_is_left_out(rooms: Rooms, tmp_path: Path):
    """A drain serves what can be served, names the other storage and ends with 1, and so do verify and reconcile."""
    rooms.queue("lab", "a" * 24)
    rooms.installation.run(*DRAIN, **rooms.settings)
    (tmp_path / "file").write_text("no folder")
    urls = {"lab": rooms.folders["lab"].as_uri(), "cloud": (tmp_path / "file" / "below").as_uri()}
    settings = rooms.settings | {"QULEDGER_STORAGE": json.dumps(urls)}
    rooms.queue("lab", "b" * 24)
    drain = rooms.installation.run(*DRAIN, check=False, **settings)
    assert drain.returncode == 1
    assert "drained: 1 DONE" in drain.stdout
    assert "quledger: the storage cloud was left out, 0 jobs wait for it: the storage does not answer" in drain.stderr
    verify = rooms.installation.run("verify", "--no-prefect", check=False, **settings)
    assert verify.returncode == 1
    assert verify.stdout.startswith("not compared: the storage cloud: the storage does not answer for ")
    assert verify.stdout.endswith("2 jobs verified: no differences\n")
    (rooms.folders["lab"] / "results" / "singlequdit" / f"{'a' * 24}.json").unlink()
    assert rooms.installation.run("verify", "--no-prefect", check=False, **settings).returncode == 3
    assert rooms.installation.run("reconcile", check=False, **settings).returncode == 1
    assert rooms.installation.json("result", "b" * 24, **settings)["status"] == "DONE"


def test_jobs_of_a_storage_that_was_taken_out_are_named(rooms: Rooms, tmp_path: Path):
    """Nobody waits for ever for a name that is not among the settings any more."""
    (tmp_path / "job.json").write_text(json.dumps(JOB))
    rooms.installation.run("submit", "singlequdit", str(tmp_path / "job.json"), "--storage", "cloud", **rooms.settings)
    settings = rooms.settings | {"QULEDGER_STORAGE": json.dumps({"lab": rooms.folders["lab"].as_uri()})}
    drain = rooms.installation.run(*DRAIN, check=False, **settings)
    assert drain.returncode == 1
    assert "1 job waits for the storage cloud, which is not among the settings any more" in drain.stderr
    verify = rooms.installation.run("verify", "--no-prefect", check=False, **settings)
    assert verify.returncode == 1
    assert "not compared: " in verify.stdout


def test_a_block_is_a_storage_until_it_is_switched_off(rooms: Rooms, registered: str):
    """A block made through Prefect's API is found, left alone while it is off, and served again."""
    address = make_block(registered, "cloud", "quledger-folder", base_path=str(rooms.folders["cloud"]))

    def switch(*, on: bool) -> None:
        body = {"data": {"is_active": on}, "merge_existing_data": True}
        httpx.patch(address, json=body).raise_for_status()

    rooms.settings["QULEDGER_STORAGE"] = json.dumps({"lab": rooms.folders["lab"].as_uri(), "*": "block://*"})
    assert rooms.installation.json("storages", **rooms.settings) == {"lab": "", "cloud": ""}
    rooms.queue("cloud", "a" * 24)
    rooms.installation.run(*DRAIN, **rooms.settings)
    assert rooms.status("cloud", "a" * 24) == "DONE"

    switch(on=False)
    rooms.queue("cloud", "b" * 24)
    submitted = rooms.installation.json(
        "submit", "singlequdit", "-", "--storage", "cloud", text=json.dumps(JOB), **rooms.settings
    )["job_id"]
    rooms.queue("lab", "c" * 24)
    said = rooms.installation.run(*DRAIN, **rooms.settings).stderr
    assert "'cloud' is switched off" in said
    assert rooms.status("lab", "c" * 24) == "DONE"
    assert rooms.status("cloud", "b" * 24) == rooms.status("cloud", submitted) == ""
    assert rooms.installation.states()[submitted] == "QUEUED"
    for command in ("verify", "storages"):
        assert "'cloud' is switched off" in rooms.installation.run(command, **rooms.settings).stdout
    assert "mirror_behind" not in rooms.installation.run("reconcile", **rooms.settings).stderr

    switch(on=True)
    rooms.installation.run(*DRAIN, **rooms.settings)
    assert rooms.status("cloud", "b" * 24) == rooms.status("cloud", submitted) == "DONE"
    rooms.installation.verified(**rooms.settings)
    again = rooms.settings | {"QULEDGER_DATABASE": f"sqlite:///{rooms.installation.home / 'again.db'}"}
    assert rooms.installation.json("restore", **again)["jobs"] == 4


def test_a_block_that_is_not_there_is_named(rooms: Rooms):
    """One sentence says which block is missing; nothing else happens."""
    settings = rooms.settings | {"QULEDGER_STORAGE": "block://nosuch"}
    done = rooms.installation.run(*DRAIN, check=False, **settings)
    assert done.returncode == 1
    assert "'nosuch'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_login_in_a_block_is_never_said(rooms: Rooms, registered: str):
    """Whatever is wrong with what a block holds, no word, no file and no answer of Prefect's API repeats it."""
    canaries = Canaries()
    logins = {
        "unreachable": (
            "mongodb",
            {"url": f"mongodb://ann:{canaries.new('url')}@127.0.0.1:9/?serverSelectionTimeoutMS=500"},
        ),
        "strange": ("s3", {"colour": canaries.new("strange field")}),
        "nosuch": ("other", {"url": f"nosuch://ann:{canaries.new('other')}@host/x"}),
    }
    said = ""
    for name, (kind, login) in logins.items():
        address = make_block(registered, name, "quledger-storage", kind=kind, login=json.dumps(login))
        settings = rooms.settings | {"QULEDGER_STORAGE": f"block://{name}"}
        for command in (DRAIN, ("verify",), ("config",)):
            done = rooms.installation.run(*command, check=False, **settings)
            said += done.stdout + done.stderr
        said += httpx.get(address).text
    assert "Traceback" not in said
    assert canaries.in_bytes(said.encode()) == set()
    assert all(f"the block '{name}': " in said for name in logins)
    assert canaries.in_files(rooms.installation.home.parent) == {}
