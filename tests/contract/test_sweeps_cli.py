"""`quledger submit --sweep` and `group`, as a user calls them, over both databases."""

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deployments.cli.sweep_table import read_table
from models.settings import Settings
from models.submissions import Submission
from models.sweeps import Template
from storage.audit.verify import Verifier
from tasks.jobs.sweeps import RowAnswer, Sweep, hand_in
from tasks.services import Services
from tests.contract.databases import Databases, on
from tests.finished import experiment, finish
from tests.program import Program

TEMPLATE = {
    "experiment_0": {
        "instructions": [["load", [0], ["{atoms}"]], ["rlx", [0], ["{theta}"]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 4,
    }
}


@pytest.fixture
def program(
    tmp_path: Path, databases: Databases, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """The program over an empty log, and a folder with the template in it."""
    monkeypatch.setenv("QULEDGER_DATABASE", databases.new(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("job.json").write_text(json.dumps(TEMPLATE))
    return Program(tmp_path / "home", capsys)


def table(*, bad: dict[int, str]) -> str:
    """Return a sweep of 100 rows, some of them as given here."""
    rows = [bad.get(nth, f"{nth * 0.0625},20") for nth in range(1, 101)]
    return "\n".join(["theta,atoms", *rows])


BAD = {11: "many,20", 51: "0.5,-3", 78: ",20"}
"""The second one is wrong for the backend alone."""

SWEEP = ("submit", "singlequdit", "--sweep", "rabi.csv", "--template", "job.json")


def finish_all(services: Services) -> None:
    """Let each job that waits end with two outcomes that follow from its angle."""
    for job in services.log.jobs(state="QUEUED", limit=1000):
        (cells,) = services.log.submission(job.job_id).parameters
        level = round(20 * math.sin(float(cells["theta"]) / 2) ** 2)
        finish(services, job.job_id, experiment("experiment_0", *[str(level)] * 3, "0"))


@pytest.mark.slow
def test_a_sweep_with_bad_rows_is_completed_by_a_second_run(program: Program):
    """97 of 100 rows have results, 3 are named with their columns, and the second run adds only what is missing."""
    Path("rabi.csv").write_text(table(bad=BAD))
    code, out, err = program(*SWEEP)
    assert (code, out.partition(":")[2]) == (1, " 97 rows handed in, 3 left out\n")
    assert [line.split(":")[1] for line in err.splitlines()] == [
        *(" row 11, column theta", " row 51, column atoms", " row 78, column theta")
    ]
    assert "got 'many'" in err
    group = out.split()[1].rstrip(":")
    with program.services() as services:
        finish_all(services)
        assert len(services.log.jobs(state="DONE", limit=200)) == 97
    Path("rabi.csv").write_text(table(bad={}))
    said = program.json(*SWEEP, "--no-check")
    assert {name: said[name] for name in ("group", "submitted", "present", "left_out", "faults")} == {
        "group": group,
        "submitted": 3,
        "present": 97,
        "left_out": 0,
        "faults": [],
    }
    assert program.json("group") == [{"group": group, "jobs": 100, "last_submitted_at": said_at(program, group)}]
    found = program.json("group", group)
    assert (found["states"], found["parameters"]) == ({"QUEUED": 3, "DONE": 97}, ["theta", "atoms"])
    rows = program.json("group", group, "--results")
    assert len(rows) == 100
    assert rows[0] == {
        "job_id": said["jobs"][0],
        "experiment": "experiment_0",
        "theta": 0.0625,
        "atoms": 20,
        "state": "DONE",
        "shots": 4,
        "mean_0": 0,
        "error_0": 0,
    }
    done = [row for row in rows if row["state"] == "DONE"]
    assert all(row["mean_0"] == 0.75 * round(20 * math.sin(row["theta"] / 2) ** 2) for row in done)
    assert [row["mean_0"] for row in rows if row["state"] == "QUEUED"] == [None] * 3
    with program.services() as services:
        findings = Verifier(services.log.engine, services.stores).all()
        assert {each.what for each in findings} == {"behind"}  # no drain has written their documents


def said_at(program: Program, group: str) -> Any:
    """Return when the last job of a group was submitted, as its summary says it."""
    return program.json("group", group)["last_submitted_at"]


@on("sqlite")
def test_results_go_into_files(program: Program):
    """CSV, Parquet, a figure; counts of levels and outcomes; two groups side by side; a line in the terminal."""
    rows = [f"{nth / 8},20" for nth in range(8)]
    Path("rabi.csv").write_text("\n".join(["theta,atoms", *rows]))
    for name in ("one", "two"):
        program.said(*SWEEP, "--no-check", "--group", name)
    with program.services() as services:
        finish_all(services)
    csv = program.said("group", "one", "--results", "--csv")
    assert csv.splitlines()[0] == "job_id,experiment,theta,atoms,state,shots,mean_0,error_0"
    assert program.said("group", "one", "--results", "--parquet", "one.parquet") == ""
    frame = pd.read_parquet("one.parquet")
    assert list(frame["theta"]) == [nth / 8 for nth in range(8)]
    assert frame["atoms"].dtype == "int64"
    levels = program.json("group", "one", "--results", "--table", "wires")
    assert [(row["wire"], row["level"], row["count"]) for row in levels if row["theta"] == 0.875] == [
        *((0, 0, 1), (0, 4, 3))
    ]
    outcomes = program.json("group", "one", "--results", "--table", "outcomes")
    assert [(row["outcome"], row["count"]) for row in outcomes if row["theta"] == 0.875] == [("0", 1), ("4", 3)]
    compared = program.json("group", "one", "--compare", "two")
    assert len(compared) == 8
    assert compared[7]["difference"] == 0
    assert "mean_0" in program.said("group", "one", "--results")
    assert program.said("group", "one", "--plot", "one.svg") == ""
    assert "<polyline" in Path("one.svg").read_text()
    assert program.said("group", "one", "--plot") == "mean of wire 0  ▁▁▁▃▃▅▆█  0 to 3 over theta\n"
    job = frame["job_id"][7]
    program.said("result", job, "--plot", "job.svg")
    assert Path("job.svg").read_text().startswith("<svg")
    assert program.said("result", job, "--plot") == "mean of wire 0  ▁  3 to 3\n"


@pytest.mark.slow
@on("sqlite")
def test_a_whole_sweep_can_be_one_job(program: Program):
    """With an experiment for each row; what is missing comes as another job of the group."""
    Path("rabi.csv").write_text("theta,atoms,day\n0.5,20,mon\n1.0,-1,mon\n1.0,20,tue\n")
    first = program(*SWEEP, "--as-experiments", "--carry", "day", "--group", "g", "--label", "a=1", "--json")
    assert (first[0], json.loads(first[1])["submitted"]) == (1, 2)
    assert json.loads(first[1])["faults"][0]["row"] == 2
    Path("rabi.csv").write_text("theta,atoms,day\n0.5,20,mon\n1.0,1,mon\n1.0,20,tue\n")
    second = program.json(*SWEEP, "--no-check", "--as-experiments", "--carry", "day", "--group", "g")
    assert (second["submitted"], second["present"]) == (1, 2)
    (job_id,) = json.loads(first[1])["jobs"]
    with program.services() as services:
        fact = services.log.submission(job_id)
        assert fact.parameters == ({"theta": 0.5, "atoms": 20, "day": "mon"}, {"theta": 1.0, "atoms": 20, "day": "tue"})
        assert fact.labels == {"a": "1"}
        experiments = json.loads(fact.raw or b"")
        assert list(experiments) == ["experiment_0", "experiment_1"]
        assert experiments["experiment_1"]["instructions"][1] == ["rlx", [0], [1.0]]
        results = [experiment("experiment_0", "1"), experiment("experiment_1", "2", "3")]
        finish(services, job_id, *results)
    rows = program.json("group", "g", "--results")
    assert [(row["experiment"], row["day"], row["mean_0"]) for row in rows] == [
        *(("experiment_0", "mon", 1.0), ("experiment_1", "tue", 2.5), ("", "mon", None))
    ]


@on("sqlite")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--sweep rabi.csv", "needs both --sweep, its table, and --template"),
        ("job.json --sweep rabi.csv --template job.json --key k", "a FILE, --key cannot be given with a sweep"),
        ("", "say which FILE is to be handed in"),
        ("job.json --timeout 3", "--timeout is for --wait"),
        ("job.json --label a --label b-", "labels.a: write it as NAME=VALUE"),
        ("job.json --no-check --group a/b", "group: 'a/b' cannot be the name of a group"),
        ("job.json --no-check --derived-from nosuch", "no job has the id 'nosuch'"),
        ("--sweep rabi.csv --template job.json", "'{atoms}', and there is no such column; the column 'phi' has no"),
        ("--sweep rabi.csv --template job.json --group a/b --carry x", "there is no column 'x' to carry"),
        ("--sweep nosuch.csv --template job.json", "the file 'nosuch.csv' cannot be read"),
        ("--sweep rabi.csv --template rabi.csv", "the template: the document is not JSON"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_stores_nothing(program: Program, arguments: str, said: str):
    """In one sentence, with code 2."""
    Path("rabi.csv").write_text("theta,phi\n1,2\n")
    assert said in program.refused("submit", "singlequdit", *arguments.split())
    assert program.json("list") == []


@on("sqlite")
def test_what_a_sweep_is_made_of_is_bounded(program: Program, monkeypatch: pytest.MonkeyPatch):
    """A table or a template that is too large is not read to its end; nor is too much made of both."""
    Path("rabi.csv").write_text("theta,atoms\n1,2\n2,2\n")
    call = ("submit", "singlequdit", "--sweep", "rabi.csv", "--template", "job.json")
    monkeypatch.setattr("deployments.cli.sweeping.MAX_SWEPT", 200)
    assert "make several sweeps of it" in program.refused(*call)
    monkeypatch.setenv("QULEDGER_MAX_DOCUMENT_MB", "0.0001")
    assert "the file 'job.json' cannot be read: it has more than 0.0001 MB" in program.refused(*call)
    assert "has more than 0.0001 MB" in program.refused(*call[:-1], "/dev/zero")
    assert "has more than 20 MB" in program.refused(*call[:3], "/dev/zero", *call[4:])
    assert program.json("list") == []


@on("sqlite")
def test_no_group_is_no_group(program: Program):
    """Names that nobody has used, options that go together, and files that cannot be written."""
    assert "no groups" in program.said("group")
    assert "no job belongs to a group 'g'" in program.refused("group", "g")
    assert "no job belongs to a group 'g'" in program.refused("group", "g", "--results")
    assert "no job belongs to a group 'g'" in program.refused("wait", "--group", "g")
    assert "are for --results" in program.refused("group", "g", "--csv")
    program.said("submit", "singlequdit", "job.json", "--no-check", "--group", "g")
    assert "cannot be written" in program.refused("group", "g", "--results", "--parquet", "no/such.parquet")
    code, out, err = program("group", "g", "--plot", "g.svg")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_a_group_with_a_lost_result_is_shown_in_part(program: Program):
    """The code is 1 then, and 3 where a result is not the accepted one."""
    Path("rabi.csv").write_text("theta,atoms\n0.5,20\n1,20\n")
    jobs = program.json(*SWEEP, "--no-check", "--group", "g")["jobs"]
    with program.services() as services:
        finish_all(services)
        paths = [services.log.get(each).uploaded for each in jobs]
        assert paths[0] is not None
        assert paths[1] is not None
        services.stores.of("").delete(paths[0].path)
        code, out, err = program("group", "g", "--results", "--json")
        assert (code, [row["mean_0"] for row in json.loads(out)]) == (1, [None, 3.75])
        assert "is not in the storage any more" in err
        services.stores.of("").put(paths[1].path, b"{}")
    code, _, err = program("group", "g", "--results", "--json")
    assert (code, err.count("\n")) == (3, 2)


def test_two_who_hand_in_one_sweep_begin_it_once(program: Program, monkeypatch: pytest.MonkeyPatch):
    """At the same time."""
    Path("rabi.csv").write_text(table(bad={}))
    columns, rows = read_table(Path("rabi.csv").read_bytes())
    job = Submission(backend="singlequdit", document=b"", group="g")
    sweep = Sweep(Template(Path("job.json").read_bytes()), columns, rows, job)
    answers: list[list[RowAnswer]] = []

    def hand_all_in() -> None:
        services = Services(Settings.read())
        answers.append(hand_in(services, sweep, check=False))
        services.log.engine.dispose()

    monkeypatch.setenv("QULEDGER_HOME", str(program.home))
    threads = [threading.Thread(target=hand_all_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sum(answer.is_new for answer in each) for each in zip(*answers, strict=True)] == [1] * 100
