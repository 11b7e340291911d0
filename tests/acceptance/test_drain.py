"""Jobs through a real Prefect: what becomes of good ones, bad ones, and of what is no job at all."""

import contextlib
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests import prefect_home
from tests.contract.storages import LIVES, Servers
from tests.installation import Installation, experiment, installation_on
from tests.waiting import until

# The tests of one drain share it, so they run in one process.
PI = math.pi
FLIP = {"experiment_0": experiment(["rlx", [0], [PI]], ["measure", [0], []], shots=7)}
GOOD = {
    "singlequdit": {
        "experiment_0": experiment(["load", [0], [3]], ["rlx", [0], [PI]], ["measure", [0], []], shots=50),
        "experiment_7": experiment(["measure", [0], []], shots=5, seed=3),
    },
    "multiqudit": {
        "experiment_0": experiment(["rlx", [1], [PI]], ["measure", [1], []], ["measure", [0], []], wires=2, shots=20)
    },
    "fermions": {
        "experiment_0": experiment(
            ["load", [0], []], ["fhop", [0, 1, 2, 3], [PI / 2]], ["measure", [0], []], ["measure", [2], []], wires=8
        )
    },
    "rydberg": {
        "experiment_0": experiment(["rlx", [0], [PI]], ["measure", [0], []], ["measure", [1], []], wires=2, shots=30)
    },
}
EXPECTED = {
    "singlequdit": [["3"] * 50, ["0"] * 5],
    "multiqudit": [["1 0"] * 20],
    "fermions": [["0 1"] * 100],
    "rydberg": [["1 0"] * 30],
}
BAD = {
    "unknown": ({"experiment_0": experiment(["nope", [0], []], ["measure", [0], []])}, "experiment_0, instruction 0"),
    "shots": ({"experiment_0": experiment(["measure", [0], []], shots=0)}, "shots"),
    "not_json": ("{", "not JSON"),
    "huge": (
        {
            f"experiment_{i}": experiment(["rlx", [0], [1.0]], ["measure", [0], []], shots=1_000_000)
            for i in range(1000)
        },
        "shots",
    ),
}


@pytest.fixture(scope="module", params=LIVES)
def drained(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    prefect_api: str,
    storage_servers: Servers,
) -> Iterator[tuple[Installation, dict[str, str]]]:
    """A laboratory that has drained good and bad jobs, through both doors, in one go; on each kind of storage."""
    with installation_on(request.param, tmp_path_factory.mktemp("lab"), prefect_api, storage_servers) as installation:
        yield installation, _drained(installation)


def _drained(installation: Installation) -> dict[str, str]:
    jobs = {name: installation.submit(name, document, user="ann") for name, document in GOOD.items()}
    jobs |= {name: installation.submit("singlequdit", document) for name, (document, _) in BAD.items()}
    jobs["inbox"] = uuid4().hex[:24]
    installation.queue("singlequdit", f"{jobs['inbox']}.json", json.dumps(FLIP).encode())
    counts = installation.json("drain", "--until-empty")
    assert counts == {"DONE": 5, "ERROR": 4}
    return jobs


@pytest.mark.parametrize("backend", GOOD)
def test_a_good_job_gives_what_physics_says(drained: tuple[Installation, dict[str, str]], backend: str):
    """The result document of each backend has the contract's form and the outcomes that must come out."""
    installation, jobs = drained
    result = installation.json("result", jobs[backend])
    assert result == installation.read(f"results/{backend}/{jobs[backend]}.json")
    assert [each["data"]["memory"] for each in result["results"]] == EXPECTED[backend]
    assert [each["header"]["name"] for each in result["results"]] == list(GOOD[backend])
    assert (result["job_id"], result["display_name"], result["status"]) == (jobs[backend], backend, "DONE")
    assert list(result) == [
        "backend_name",
        "display_name",
        "backend_version",
        "job_id",
        "qobj_id",
        "success",
        "status",
        "header",
        "results",
    ]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_job_is_told_what_is_wrong(drained: tuple[Installation, dict[str, str]], name: str):
    """A job that cannot run ends in ERROR with a reason, is kept, and has no result."""
    installation, jobs = drained
    status = installation.read(f"status/singlequdit/{jobs[name]}.json")
    assert set(status) == {"job_id", "status", "detail", "error_message"}
    assert status["status"] == "ERROR"
    assert status["detail"].startswith("Got your json.; Failed ")
    assert BAD[name][1] in status["error_message"]
    assert "Traceback" not in json.dumps(status)
    assert str(installation.home) not in json.dumps(status)
    assert installation.exists(f"jobs/deleted/{jobs[name]}.json")
    assert not installation.exists(f"results/singlequdit/{jobs[name]}.json")
    failed = installation.run("result", jobs[name], check=False)
    assert failed.returncode == 1
    assert "ended in ERROR" in failed.stderr


def test_every_job_is_a_flow_run_with_four_tasks(drained: tuple[Installation, dict[str, str]]):
    """Prefect shows one run per job, with its id, tags of backend and user, and four task runs if it came through."""
    installation, jobs = drained
    for name, job_id in jobs.items():
        (run,) = installation.prefect("/flow_runs/filter", {"flow_runs": {"name": {"any_": [job_id]}}})
        if name in BAD:
            ended, steps = "FAILED", {"validation": "FAILED"}
            assert BAD[name][1] in run["state"]["message"]
        else:
            ended = "COMPLETED"
            steps = dict.fromkeys(("validation", "compilation", "execution", "upload"), "COMPLETED")
        assert run["state_type"] == ended
        # Prefect records task runs a little later, in the background.
        until(lambda run=run, steps=steps: tasks(installation, run["id"]) == steps)  # type: ignore[misc]
        backend = name if name in GOOD else "singlequdit"
        assert set(run["tags"]) == ({backend, "ann"} if name in GOOD else {backend})
        recorded = {event["flow_run_id"] for event in installation.history(job_id)} - {None}
        assert recorded == {run["id"]}


def tasks(installation: Installation, run_id: str) -> dict[str, str]:
    """Return the state of each task run of a flow run that Prefect knows."""
    found = installation.prefect("/task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [run_id]}}})
    return {task["name"].rsplit("-", 1)[0]: task["state_type"] for task in found}


def test_the_history_tells_everything(drained: tuple[Installation, dict[str, str]]):
    """Each transition is there with its time and attempt; the execution with seed and library versions."""
    installation, jobs = drained
    events = installation.json("history", jobs["fermions"])
    assert events == installation.history(jobs["fermions"])
    assert [event["kind"] for event in events] == [
        "submitted",
        "claimed",
        "validated",
        "compiled",
        "executed",
        "uploaded",
        "completed",
    ]
    assert [event["seq"] for event in events] == list(range(7))
    assert [event["attempt"] for event in events] == [0, 1, 1, 1, 1, 1, 1]
    assert sorted(event["recorded_at"] for event in events) == [event["recorded_at"] for event in events]
    executed = events[4]["data"]
    assert {"python", "numpy", "scipy", "quledger"} <= set(executed["versions"])
    assert executed["seed"] == events[3]["data"]["seed"]
    shown = installation.run("history", jobs["fermions"]).stdout
    assert "executed" in shown
    assert str(executed["seed"]) in shown


def test_the_mirror_holds_the_same_events(drained: tuple[Installation, dict[str, str]]):
    """What the storage keeps of a job's history is what the log keeps."""
    installation, jobs = drained
    for name, job_id in jobs.items():
        backend = name if name in GOOD else "singlequdit"
        assert installation.read(f"events/{backend}/{job_id}.json")["events"] == installation.history(job_id)


def test_documents_lie_where_front_ends_look(drained: tuple[Installation, dict[str, str]]):
    """After a drain nothing is queued, running or staged; done jobs are in finished, and configs are published."""
    installation, _ = drained
    tops = ("backends", "events", "jobs", "results", "staged", "status")
    folders = Counter(path.rpartition("/")[0] for top in tops for path in installation.documents(top))
    assert folders["jobs/finished/singlequdit"] == 2
    assert folders["jobs/deleted"] == 4
    assert folders["backends/configs"] == 6
    assert not [folder for folder in folders if folder.startswith(("jobs/queued", "jobs/running", "staged"))]
    config = installation.read("backends/configs/rydberg.json")
    assert (config["display_name"], config["num_wires"], config["pending_jobs"]) == ("rydberg", 5, 0)
    assert config["last_queue_check"].endswith("+00:00")


def test_a_seed_gives_the_same_shots(installation: Installation):
    """Two jobs with the same seed give the same memory; without one they differ."""
    document = experiment(["load", [0], [50]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=200)
    seeded = {"experiment_0": document | {"seed": 11}}
    jobs = [installation.submit("singlequdit", each) for each in (seeded, seeded, {"experiment_0": document})]
    installation.run("drain", "--until-empty")
    memories = [installation.read(f"results/singlequdit/{job}.json")["results"][0]["data"]["memory"] for job in jobs]
    assert memories[0] == memories[1] != memories[2]


def test_garbage_in_the_queue_stops_nothing(installation: Installation):
    """Whatever else lies in the queue folder is left there, and each real job gets its answer."""
    folder = installation.store / "jobs" / "queued" / "singlequdit"
    good = json.dumps(FLIP).encode()
    dated = "job-20260101_000000-singlequdit-ann-0a1b2"
    installation.queue("singlequdit", "aaaaaaaaaaaaaaaaaaaaaaaa.json", good)
    installation.queue("singlequdit", f"{dated}.json", good)
    installation.queue("singlequdit", "bbbbbbbbbbbbbbbbbbbbbbbb.json", b"")
    installation.queue("singlequdit", "cccccccccccccccccccccccc.json", bytes(range(256)))
    installation.queue("singlequdit", "dddddddddddddddddddddddd.json", b'{"x": "' + b"y" * 5_000_000 + b'"}')
    installation.queue("singlequdit", "half.json.tmp", b"{")
    installation.queue("singlequdit", "..evil.json", good)
    installation.queue("singlequdit", "..%2f..%2fetc.json", good)
    installation.queue("singlequdit", "notes.txt", b"hello")
    (folder / "eeeeeeeeeeeeeeeeeeeeeeee.json").mkdir()
    (folder / "ffffffffffffffffffffffff.json").symlink_to("/nowhere")
    installation.run("drain", "--until-empty")
    assert installation.states() == {
        "aaaaaaaaaaaaaaaaaaaaaaaa": "DONE",
        dated: "DONE",
        "bbbbbbbbbbbbbbbbbbbbbbbb": "ERROR",
        "cccccccccccccccccccccccc": "ERROR",
        "dddddddddddddddddddddddd": "ERROR",
    }
    assert sorted(path.name for path in folder.iterdir()) == [
        "..%2f..%2fetc.json",
        "..evil.json",
        "eeeeeeeeeeeeeeeeeeeeeeee.json",
        "ffffffffffffffffffffffff.json",
        "half.json.tmp",
        "notes.txt",
    ]


def test_deleting_prefects_database_changes_nothing(lone_installation: Installation):
    """Without PREFECT_API_URL an embedded server is used, and what it stored may be thrown away."""
    installation = lone_installation
    prefect_home.fill(installation.home / "prefect")
    job = installation.submit("singlequdit", FLIP)
    installation.run("drain", "--until-empty")
    before = [installation.json(command, job) for command in ("status", "history", "result")]
    database = installation.home / "prefect" / "prefect.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT state_type FROM flow_run WHERE name = ?", (job,)).fetchall() == [
            ("COMPLETED",)
        ]
    for path in database.parent.glob("prefect.db*"):
        path.unlink()
    assert [installation.json(command, job) for command in ("status", "history", "result")] == before
    assert before[0]["state"] == "DONE"
