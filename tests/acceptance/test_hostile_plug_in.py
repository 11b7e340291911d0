"""A backend of another package does what no backend may: each time the fault is the backend's, and nobody waits."""

import json
from typing import NamedTuple

import pytest

from models.job import State
from tasks.sandbox.landlock import SCOPES_ABI
from tasks.sandbox.walls import offered
from tests.installation import ROOT, Installation, experiment
from tests.unit.sandbox_jobs import only_linux

PACKAGE = """
import json, os, signal, socket, time, urllib.request
from tasks.sandbox.protocol import pack

def result(name, shots, **more):
    return {"header": {"name": name}, "shots": shots, "success": True, "data": {"memory": ["0"] * shots}} | more

def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value

def frames():
    word = pack({"progress": {"done": 1, "of": 2}}) * 1000
    channel = socket.socket(fileno=os.dup(3))
    while True:
        channel.sendall(word)

DRAIN = os.getppid()

def connect():
    urllib.request.urlopen("?API?/health", timeout=5)

def signal_drain():
    os.kill(DRAIN, 0)

def signal_fork_server():
    os.kill(os.getppid(), 0)

def fork():
    if os.fork() == 0:
        os._exit(0)

ATTEMPTS = {
    "the log": lambda: open("?HOME?/quledger.db", "rb"),
    "the keys": lambda: open("?HOME?/keys/private.pem", "rb"),
    "the home": lambda: os.listdir("?HOME?"),
    "jobs of others": lambda: os.listdir("?STORE?/jobs"),
    "a file of its own": lambda: open("?HOME?/new", "w"),
    "the drain's environment": lambda: open(f"/proc/{DRAIN}/environ", "rb").read(),
    "the drain's memory": lambda: open(f"/proc/{DRAIN}/mem", "rb"),
    "a signal to the drain": signal_drain,
    "a signal to the fork server": signal_fork_server,
    "the network": connect,
    "a process": fork,
}

def tried(attempt):
    try:
        attempt()
    except OSError as error:
        return f"denied ({error})"
    return "done"

def spy():
    return [result("experiment_0", 10, tried={name: tried(attempt) for name, attempt in ATTEMPTS.items()})]

def bomb():
    until = time.monotonic() + 5
    while time.monotonic() < until:
        os.fork()
    os._exit(0)

def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
    return [result("experiment_0", 10)]

RESULTS = {
    "spy": spy,
    "nosy": spy,
    "bomb": bomb,
    "daemon": daemon,
    "good": lambda: [result("experiment_0", 10)],
    "shape": lambda: [{"oops": 1}],
    "number": lambda: [result("experiment_0", 10)] * 2,
    "nolist": lambda: 5,
    "shots": lambda: [result("experiment_0", 9)],
    "nojson": lambda: [object()],
    "deep": lambda: [result("experiment_0", 10, extra=deep(300))],
    "recursion": lambda: [result("experiment_0", 10, extra=deep(100_000))],
    "nan": lambda: [result("experiment_0", 10, extra=float("nan"))],
    "surrogate": lambda: [result("experiment_0", 10, extra=chr(0xD800))],
    "hugeint": lambda: [result("experiment_0", 10, extra=10**4000)],
    "frames": frames,
}

class Backend:
    def __init__(self, name):
        self.name = name
        if name == "plugspy":
            self.access = {}
        self.config = dict(
            description="", version="1", display_name=name, cold_atom_type="spin", gates=[], max_experiments=10,
            max_shots=100, simulator=True, supported_instructions=[], num_wires=1, wire_order="interleaved",
            num_species=1,
        )
    def validate(self, document):
        return document
    def compile(self, experiments, seed):
        return {}
    def execute(self, program):
        return RESULTS[self.name[4:]]()

def __getattr__(name):
    if name.startswith("plug"):
        return lambda: Backend(name)
    raise AttributeError(name)
"""
HOSTILE_NAME = b'{"header": {"name": "[/red]\\u001b[2J"}, "shots": 0, "data": {"memory": []}}'
KINDS = ("shape", "number", "nolist", "shots", "nojson", "deep", "recursion", "nan", "surrogate", "hugeint", "frames")
GOOD = {"singlequdit", "pluggood", "plugspy", "plugnosy", "plugdaemon"}
REACHING = ("spy", "nosy", "bomb", "daemon")
BESIDE = ("recursion", "frames", *REACHING, "good")
"""Beside these, which take what others need, a job of ours runs."""

OF_OTHERS = {
    "the drain's environment", "the drain's memory", "a signal to the drain", "a signal to the fork server",
}  # fmt: skip


class Hostile(NamedTuple):
    """A laboratory with hostile backends, the id of the job of each, and what its drain printed."""

    installation: Installation
    jobs: dict[str, str]
    printed: str


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Hostile:
    """A laboratory that has run one job of each hostile backend, with good ones beside."""
    folder = tmp_path_factory.mktemp("hostile")
    site = folder / "site"
    about = site / "hostile-1.dist-info"
    about.mkdir(parents=True)
    installation = Installation(folder, prefect_api)
    package = PACKAGE.replace("?HOME?", str(installation.home)).replace("?STORE?", str(installation.store))
    (installation.home / "keys").mkdir(parents=True)
    (installation.home / "keys" / "private.pem").write_text("precious")
    (site / "hostile_package.py").write_text(package.replace("?API?", prefect_api))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
    names = [f"plug{kind}" for kind in (*KINDS, *REACHING, "good")]
    points = "\n".join(f"{name} = hostile_package:{name}" for name in names)
    (about / "entry_points.txt").write_text(f"[quledger.backends]\n{points}\n")
    installation.environment["PYTHONPATH"] = f"{ROOT}:{site}"
    jobs = {}
    document = json.dumps({"experiment_0": experiment(shots=10)}).encode()
    ours = json.dumps({"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}).encode()
    for name in names:
        jobs[name] = f"job{name}"
        installation.queue(name, f"job{name}.json", document)
        if name[4:] in BESIDE:
            installation.queue("singlequdit", f"good{name}.json", ours)
    backends = [part for name in (*names, "singlequdit") for part in ("--backend", name)]
    done = installation.run("drain", "--until-empty", "--concurrency", "4", *backends, QULEDGER_WALL_SECONDS="20")
    del installation.environment["PYTHONPATH"]  # whoever reads results has no plug-in
    return Hostile(installation, jobs, done.stdout + done.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_that_is_none_is_the_fault_of_its_backend(hostile: Hostile, kind: str) -> None:
    """The job ends at once, in its first attempt, with one sentence; nothing of it was accepted."""
    installation, jobs, _ = hostile
    job = installation.log.get(jobs[f"plug{kind}"])
    assert (job.state, job.blame, job.attempt, job.failures) == (State.ERROR, "backend", 1, 0), job.reason
    assert "Traceback" not in job.reason
    assert len(job.reason) < 500
    assert "executed" not in [event["kind"] for event in installation.history(job.job_id)]
    done = installation.run("result", job.job_id, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr


def tried(hostile: Hostile, name: str) -> dict[str, str]:
    """Return what became of each attempt of a job."""
    installation, jobs, _ = hostile
    document = json.loads(installation.run("result", jobs[name], "--json").stdout)
    outcomes: dict[str, str] = document["results"][0]["tried"]
    return outcomes


@only_linux
def test_a_plug_in_that_declares_that_it_needs_nothing_reaches_nothing(
    hostile: Hostile,
) -> None:
    """Neither the home, nor other jobs, the drain or the network; what this kernel does not wall off is said."""
    installation, _, _ = hostile
    walls = installation.json("config")["walls"]
    outcomes = tried(hostile, "plugspy")
    print(*(f"{wall['what']:75} {wall['by'] or 'NOT WALLED OFF'}" for wall in walls), "", sep="\n")  # noqa: T201
    print(*(f"{what:75} {became}" for what, became in outcomes.items()), sep="\n")  # noqa: T201 - the table
    if all(wall["by"] for wall in walls) and offered().landlock >= SCOPES_ABI:
        assert {what for what, became in outcomes.items() if became == "done"} == set()


@only_linux
def test_a_plug_in_that_declares_nothing_is_warned_of_and_kept_from_other_processes(
    hostile: Hostile,
) -> None:
    """It has the access that it always had, to all but the drain and the fork server."""
    outcomes = tried(hostile, "plugnosy")
    if offered().landlock >= SCOPES_ABI:
        assert {what for what, became in outcomes.items() if became != "done"} == OF_OTHERS
    assert hostile.printed.count("plugnosy does not declare what it needs") == 1
    assert "plugspy does not declare" not in hostile.printed


def test_a_plug_in_that_breeds_is_bounded(hostile: Hostile) -> None:
    """A fork bomb ends in its first attempt; what a job leaves behind ends with the drain at the latest."""
    installation, jobs, _ = hostile
    bomb = installation.log.get(jobs["plugbomb"])
    assert (bomb.state, bomb.attempt, bomb.failures) == (State.ERROR, 1, 0), bomb.reason
    assert "processes" in bomb.reason


def test_its_neighbours_come_through(hostile: Hostile) -> None:
    """Every job of ours, and that of a plug-in whose result is one, is DONE in one attempt."""
    installation, jobs, _ = hostile
    good = [job for job in installation.log.jobs(limit=100) if job.backend in GOOD]
    assert len(good) == len(BESIDE) + len(GOOD) - 1
    assert {(job.state, job.attempt) for job in good} == {(State.DONE, 1)}
    assert installation.run("result", jobs["pluggood"]).returncode == 0
    assert installation.findings() == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"job_id": "jobpluggood", "results": 5}',
        b'{"job_id": "jobpluggood", "results": [{"oops": 1}], "display_name": "[/]", "backend_version": "1"}',
        b'{"job_id": "jobpluggood", "results": [], "display_name": 1, "backend_version": NaN}',
        b'{"job_id": "jobpluggood", "display_name": "d", "backend_version": "1", "results": [' + HOSTILE_NAME + b"]}",
        b'{"job_id": "jobpluggood", "display_name": "[/]\\ud800", "backend_version": "1", "results": []}',
    ],
)  # fmt: skip
def test_whatever_lies_in_the_storage_is_shown_or_refused(hostile: Hostile, content: bytes) -> None:
    """In a sentence; never as a traceback."""
    installation, jobs, _ = hostile
    path = f"results/pluggood/{jobs['pluggood']}.json"
    before = installation.storage.get(path)
    try:
        installation.storage.put(path, content)
        done = installation.run("result", jobs["pluggood"], check=False)
        assert "Traceback" not in done.stdout + done.stderr
        assert done.returncode in {0, 1, 3}
        assert "\x1b[2J" not in done.stdout
    finally:
        installation.storage.put(path, before)
