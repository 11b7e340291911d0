"""Several spoolers on one store: ours, killed and started again, and one of the peer's."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.installation import DRAIN, ONE_BACKEND, Installation, experiment
from tests.waiting import until

ALL = os.environ.get("QULEDGER_TEST_CRASH") == "all"
PEER = Path(__file__).parents[2] / ".venv-peer" / "bin" / "python"
SPOOLER = Path(__file__).parents[1] / "peer" / "spooler.py"
JOB = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=300)}
SETTINGS = {"QULEDGER_LEASE_SECONDS": "5", "QULEDGER_PUBLISH_SECONDS": "1", "QULEDGER_RETRY_SECONDS": "0"}


def fill(installation: Installation, number: int) -> list[str]:
    """Queue so many jobs of four users, one user's after the other's, and return their ids."""
    ids = [
        f"20260101_{index // 60:04d}{index % 60:02d}-singlequdit-user{4 * index // number}-{index:05x}"
        for index in range(number)
    ]
    for job_id in ids:
        installation.queue("singlequdit", f"{job_id}.json", json.dumps(JOB).encode())
    return ids


def test_drains_that_are_killed_at_random_share_one_queue(installation: Installation):
    """Several drains empty one queue while some are killed: each job is DONE, answered once, and users take turns."""
    number, workers, kills = (400, 4, 6) if ALL else (60, 2, 2)
    ids = fill(installation, number)
    drains = [installation.start("drain", *ONE_BACKEND, **SETTINGS) for _ in range(workers)]
    chance = random.Random(7)
    finished = installation.store / "jobs" / "finished" / "singlequdit"
    try:
        for kill in range(1, kills + 1):
            until(lambda kill=kill: count(finished) >= kill * number // (kills + 2))  # type: ignore[misc]
            victim = chance.randrange(workers)
            drains[victim].send_signal(signal.SIGKILL)
            drains[victim].communicate()
            drains[victim] = installation.start("drain", *ONE_BACKEND, **SETTINGS)
        until(lambda: count(finished) == number, 480)
    except AssertionError as error:
        left = {
            job_id: installation.history(job_id)[-3:]
            for job_id, state in installation.states().items()
            if state != "DONE"
        }
        error.add_note(f"not DONE: {left}; the drains printed {[each.printed()[-1500:] for each in drains]}")
        raise
    finally:
        for each in drains:
            each.send_signal(signal.SIGTERM)
        for each in drains:
            each.communicate(timeout=180)
    installation.run(*DRAIN, **SETTINGS)
    assert installation.states() == dict.fromkeys(ids, "DONE")
    histories = {job_id: installation.history(job_id) for job_id in ids}
    check_turns(histories)
    for events in histories.values():
        kinds = Counter(event["kind"] for event in events)
        assert (kinds["uploaded"], kinds["completed"]) == (1, 1)
    assert count(installation.store / "results" / "singlequdit") == number
    assert count(installation.store / "jobs" / "running") == 0


def check_turns(histories: dict[str, list[dict[str, Any]]]) -> None:
    """Replay all events: whoever was claimed for had no more jobs running than anybody else who waited."""
    events = sorted(
        (event["recorded_at"], event["seq"], job_id, event) for job_id, h in histories.items() for event in h
    )
    waiting: dict[str, str] = {}
    running: Counter[str] = Counter()
    for now, _, job_id, event in events:
        user = job_id.split("-")[2]
        if event["kind"] == "submitted":
            waiting[job_id] = now
        elif event["kind"] == "retried":
            running[user] -= 1
            waiting[job_id] = event["data"]["not_before"]
        elif event["kind"] == "completed":
            running[user] -= 1
        elif event["kind"] == "claimed":
            others = {each.split("-")[2] for each, since in waiting.items() if since < now}
            assert running[user] <= min(running[other] for other in others | {user}), job_id
            del waiting[job_id]
            running[user] += 1


@pytest.mark.skipif(not PEER.exists(), reason="the peer's environment is missing: make peer")
def test_a_spooler_of_the_peer_beside_a_drain_of_ours(installation: Installation):
    """While a laboratory migrates, each job is answered once: by the peer, or by us."""
    ids = fill(installation, 60 if ALL else 30)
    drain = installation.start(*DRAIN, QULEDGER_CONCURRENCY="2", **SETTINGS)
    until(lambda: count(installation.store / "jobs" / "finished" / "singlequdit") >= 2)
    peer = subprocess.Popen(
        [PEER, SPOOLER, str(installation.store)],
        env=os.environ | {"T_WAIT_MAIN": "0.3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        output, _ = drain.communicate(timeout=200)
        assert drain.returncode == 0, output
        # The peer moves the job and writes the status after the result.
        until(lambda: set(statuses(installation)) == set(ids) and set(statuses(installation).values()) == {"DONE"})
        until(lambda: count(installation.store / "jobs" / "finished" / "singlequdit") == len(ids))
    finally:
        peer.kill()
        peer.wait()
    states = installation.states()
    for job_id in ids:
        memory = installation.read(f"results/singlequdit/{job_id}.json")["results"][0]["data"]["memory"]
        theirs = set(memory) == {"peer"}
        # What the peer took before we looked, our log never knew.
        assert states.get(job_id) in ({"WITHDRAWN", None} if theirs else {"DONE"})
        assert installation.read(f"status/singlequdit/{job_id}.json")["status"] == "DONE"
        assert (installation.store / f"jobs/finished/singlequdit/{job_id}.json").exists()
    assert (
        count(installation.store / "jobs" / "running")
        == count(installation.store / "jobs" / "queued" / "singlequdit")
        == 0
    )
    assert "DONE" in states.values()


def statuses(installation: Installation) -> dict[str, str]:
    """Return what is written of each job; a document that is just being written does not count."""
    found = {}
    for path in (installation.store / "status" / "singlequdit").glob("*.json"):
        with contextlib.suppress(ValueError):
            found[path.stem] = str(json.loads(path.read_bytes())["status"])
    return found


def count(folder: Path) -> int:
    """Return how many documents lie in a folder."""
    return len(list(folder.glob("*.json")))


@pytest.mark.skipif(not ALL, reason="part of the whole matrix: make crash")
def test_prefects_server_dies_and_comes_back(installation: Installation, tmp_path: Path):
    """While Prefect does not answer, jobs wait and none is lost; when it is back, the same drain goes on."""
    ids = fill(installation, 24)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    installation.api = installation.environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    finished = installation.store / "jobs" / "finished" / "singlequdit"
    server = start_prefect(port, tmp_path)
    drain = installation.start(*DRAIN, **SETTINGS)
    try:
        until(lambda: count(finished) >= 4)
        server.kill()
        server.wait()
        time.sleep(5)
        before = count(finished)
        server = start_prefect(port, tmp_path)
        until(lambda: count(finished) > before)
        output, _ = drain.communicate(timeout=240)
        assert drain.returncode == 0, output
    finally:
        drain.kill()
        server.terminate()
        server.wait()
    assert installation.states() == dict.fromkeys(ids, "DONE")


def start_prefect(port: int, home: Path) -> "subprocess.Popen[bytes]":
    """Start a Prefect server on this port and wait until it answers."""
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(port)],
        env=os.environ | {"PREFECT_HOME": str(home / "prefect"), "DO_NOT_TRACK": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: answers(port))
    return server


def answers(port: int) -> bool:
    """Say whether Prefect's server on this port answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
