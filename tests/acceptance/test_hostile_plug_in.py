"""A backend of another package sends what no backend may: each time the fault is the backend's, and nobody waits."""

import json

import pytest

from models.job import State
from tests.installation import ROOT, Installation, experiment

PACKAGE = """
import json, os, socket, time
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

RESULTS = {
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


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> tuple[Installation, dict[str, str]]:
    """A laboratory that has run one job of each hostile backend, with good ones beside; the ids of the jobs."""
    folder = tmp_path_factory.mktemp("hostile")
    site = folder / "site"
    about = site / "hostile-1.dist-info"
    about.mkdir(parents=True)
    (site / "hostile_package.py").write_text(PACKAGE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1\n")
    names = [f"plug{kind}" for kind in (*KINDS, "good")]
    points = "\n".join(f"{name} = hostile_package:{name}" for name in names)
    (about / "entry_points.txt").write_text(f"[quledger.backends]\n{points}\n")
    installation = Installation(folder, prefect_api)
    installation.environment["PYTHONPATH"] = f"{ROOT}:{site}"
    jobs = {}
    document = json.dumps({"experiment_0": experiment(shots=10)}).encode()
    ours = json.dumps({"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []])}).encode()
    for name in names:
        jobs[name] = f"job{name}"
        installation.queue(name, f"job{name}.json", document)
        installation.queue("singlequdit", f"good{name}.json", ours)
    backends = [part for name in (*names, "singlequdit") for part in ("--backend", name)]
    installation.run("drain", "--until-empty", "--concurrency", "4", *backends, QULEDGER_WALL_SECONDS="20")
    return installation, jobs


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_that_is_none_is_the_fault_of_its_backend(
    hostile: tuple[Installation, dict[str, str]], kind: str
) -> None:
    """The job ends at once, in its first attempt, with one sentence; nothing of it was accepted."""
    installation, jobs = hostile
    job = installation.log.get(jobs[f"plug{kind}"])
    assert (job.state, job.blame, job.attempt, job.failures) == (State.ERROR, "backend", 1, 0), job.reason
    assert "Traceback" not in job.reason
    assert len(job.reason) < 500
    assert "executed" not in [event["kind"] for event in installation.history(job.job_id)]
    done = installation.run("result", job.job_id, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_its_neighbours_come_through(hostile: tuple[Installation, dict[str, str]]) -> None:
    """Every job of ours, and that of a plug-in that does as it should, is DONE in one attempt."""
    installation, jobs = hostile
    good = [job for job in installation.log.jobs(limit=100) if job.backend in {"singlequdit", "pluggood"}]
    assert len(good) == len(jobs) + 1
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
def test_whatever_lies_in_the_storage_is_shown_or_refused(
    hostile: tuple[Installation, dict[str, str]], content: bytes
) -> None:
    """In a sentence; never as a traceback."""
    installation, jobs = hostile
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
