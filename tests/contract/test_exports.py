"""Tables of jobs, events and results: their columns are documented, their rows are the log's."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deployments.parquet import COLUMNS
from models.submissions import Submission
from tasks.jobs.submission import submit_all
from tests.finished import experiment, finish
from tests.program import Program

ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """A laboratory with three jobs, two of which are DONE; files are read two jobs at a time."""
    monkeypatch.setattr("deployments.cli.exporting.PAGE", 2)
    program = Program(tmp_path / "home", capsys)
    with program.services() as services:
        for job_id in ("first", "second", "third"):
            handed_in = Submission(
                backend="singlequdit", document=b"{}", user="ann", job_id=job_id, labels={"sample": "A7"}
            )
            submit_all(services, [handed_in])
        finish(services, "first", experiment("a", "0", "1", "0"), experiment("b", "x\u00fc"))
        data = {"memory": [], "exp_value": 0.5, "stds": 0.1}
        finish(services, "second", {"header": {"name": "e"}, "shots": 9, "success": True, "data": data})
    return program


def test_the_rows_are_the_logs(program: Program, tmp_path: Path):
    """All three at once, page by page."""
    files = {what: tmp_path / f"{what}.parquet" for what in COLUMNS}
    said = program.json("export", *(word for what, file in files.items() for word in (f"--{what}", str(file))))
    jobs, events, results = (pq.read_table(file).to_pylist() for file in files.values())
    assert {what: said[what]["rows"] for what in COLUMNS} == {"jobs": 3, "events": 15, "results": 4}
    assert {job["job_id"]: (job["state"], job["seed"]) for job in jobs} == {
        "first": ("DONE", 7),
        "second": ("DONE", 7),
        "third": ("QUEUED", None),
    }
    assert jobs[0]["labels"] == [("sample", "A7")]
    assert jobs[0]["received_at"].tzinfo is not None
    history = program.json("history", "first")
    mine = [event for event in events if event["job_id"] == "first"]
    assert [event["hash"] for event in mine] == [event["hash"] for event in history]
    assert [json.loads(event["data"]) for event in mine] == [event["data"] for event in history]
    rows = {(row["job_id"], row["experiment"], row["outcome"]): row for row in results}
    assert (rows["first", "a", "0"]["count"], rows["first", "a", "0"]["shots"]) == (2, 3)
    assert rows["first", "b", "x\u00fc"]["frequency"] == 1.0
    assert (rows["second", "e", None]["exp_value"], rows["second", "e", None]["std"]) == (0.5, 0.1)


def test_filters_and_what_is_left_out(program: Program, tmp_path: Path):
    """As `list` has them; a result that is gone is named, with code 1."""
    file = str(tmp_path / "x.parquet")
    assert program.json("export", "--jobs", file, "--state", "done")["jobs"]["rows"] == 2
    assert program.json("export", "--jobs", file, "--user", "bob")["jobs"]["rows"] == 0
    assert pq.read_table(file).num_columns == len(COLUMNS["jobs"])
    assert program.json("export", "third", "--jobs", file)["jobs"]["rows"] == 1
    assert program.json("export", "--jobs", file, "--label", "sample=A7", "--since", "1h")["jobs"]["rows"] == 3
    assert program.json("export", "--jobs", file, "--until", "1h")["jobs"]["rows"] == 0
    with program.services() as services:
        services.stores.of("").delete("results/singlequdit/first.json")
    code, out, err = program("export", "--results", file, "--json")
    assert (code, json.loads(out)["results"]["rows"]) == (1, 1)
    assert "the result of job first is not in the storage any more" in err
    assert "is no state" in program.refused("export", "--jobs", file, "--state", "over")
    os.mkfifo(pipe := tmp_path / "pipe")
    for place in (tmp_path / "nosuch" / "x.parquet", tmp_path, pipe):
        assert "cannot be written" in program.refused("export", "--jobs", str(place))
    assert pipe.is_fifo()
    assert not list(tmp_path.glob(".*"))


def test_the_columns_are_documented():
    """docs/records.md has each of them, with its type."""
    page = (ROOT / "docs" / "records.md").read_text()
    for columns in COLUMNS.values():
        assert "\n".join(f"| `{each.name}` | {each.type} | {each.about} |" for each in columns) in page
