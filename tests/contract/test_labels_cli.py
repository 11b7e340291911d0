"""`quledger label`, `list --label` and `check`, as a user calls them."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.audit.rebuild import rebuild
from storage.audit.verify import Verifier
from tests.contract.databases import Databases
from tests.program import Program

SPIN = {
    "experiment_0": {
        "instructions": [["load", [0], [20]], ["rlx", [0], [0.5]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 4,
    }
}


@pytest.fixture
def program(
    tmp_path: Path, databases: Databases, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """The program over an empty log, and a folder with a good and a bad document."""
    monkeypatch.setenv("QULEDGER_DATABASE", databases.new(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("job.json").write_text(json.dumps(SPIN))
    Path("bad.json").write_text(json.dumps(SPIN).replace("20", '"many"').replace("4}", "0}"))
    return Program(tmp_path / "home", capsys)


def submitted(program: Program, *labels: str, **more: str) -> str:
    """Hand in a job with labels; return its id."""
    options = [word for label in labels for word in ("--label", label)]
    options += [word for name, value in more.items() for word in (f"--{name.replace('_', '-')}", value)]
    return program.said("submit", "singlequdit", "job.json", "--no-check", *options).strip()


def test_jobs_are_found_by_their_labels(program: Program):
    """To the letter, and by several at once; a change of labels is an event that says whose it is."""
    first = submitted(program, "sample=A7", "good=yes", group="g")
    second = submitted(program, "sample=a7", "note=sample=A7", derived_from=first[:8])
    third = submitted(program)
    assert ids(program, "--label", "sample=A7") == [first]
    assert ids(program, "--label", "sample=A7", "--label", "good=no") == []
    assert ids(program, "--group", "g") == [first]
    assert ids(program, "--label", "ample=A7") == []
    said = program.said("label", second[:8], "sample=A7", "good=yes", "note-", "nosuch-")
    assert said == f"job {second}: sample=A7, good=yes\n"
    assert program.json("label", third, "sample=A7") == {"job_id": third, "labels": {"sample": "A7"}}
    assert program.json("label", third, "sample=A7")["labels"] == {"sample": "A7"}
    assert ids(program, "--label", "sample=A7", "--label", "good=yes") == [second, first]
    assert [event["kind"] for event in program.json("history", third)] == ["submitted", "labelled"]
    event = program.json("history", second)[1]
    assert (event["data"]["labels"], event["data"]["removed"]) == ({"sample": "A7", "good": "yes"}, ["note"])
    assert event["data"]["by"].startswith("cli:")
    assert "sample=A7, good=yes, no note, by cli:" in program.said("history", second)
    assert "group g, labels sample=A7, good=yes" in program.said("history", first)
    status = program.said("status", second)
    assert "labels        sample=A7, good=yes" in status
    assert f"derived from  {first}" in status
    assert program.json("status", first)["group"] == "g"
    with program.services() as services:
        findings = Verifier(services.log.engine, services.stores).all()
        assert [str(each) for each in findings] == []
        assert rebuild(services.log.engine)["events"] == 5
    assert ids(program, "--label", "sample=A7", "--label", "good=yes") == [second, first]


def ids(program: Program, *options: str) -> list[str]:
    """Return the ids that `list` prints."""
    return [job["job_id"] for job in program.json("list", *options)]


def test_as_many_labels_as_may_be_can_be_looked_for(program: Program):
    """Whatever they hold: an index has room for them."""
    chosen = random.Random(7)
    letters = [chr(code) for code in range(0x4E00, 0x4F00)]
    labels = [f"n{nth}={''.join(chosen.choices(letters, k=40))}" for nth in range(16)]
    job = submitted(program, *labels)
    assert ids(program, "--label", labels[15], "--label", labels[0]) == [job]


def test_what_is_wrong_with_labels_is_said(program: Program):
    """All of it, with code 2, and nothing is changed."""
    job = submitted(program, "a=1")
    refusal = program.refused("label", job, "b", "-c=1", "d-", "d=2")
    assert all(f"labels.{name}: " in refusal for name in ("b", "-c", "d"))
    assert "say what is to be changed" in program.refused("label", job)
    assert "no job has the id" in program.refused("label", "nosuch", "a=1")
    assert program.refused("list", "--label", "x") == "quledger: labels.x: write it as NAME=VALUE\n"
    assert program.json("status", job)["labels"] == {"a": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_documents_are_checked_and_not_stored(program: Program, tmp_path: Path):
    """Each file for itself, with all its faults in the words of `submit`; without a log or a storage."""
    code, out, err = program("check", "singlequdit", "job.json", "bad.json", "nosuch.json")
    assert (code, out) == (2, "job.json: singlequdit takes it: 1 experiment, 4 shots\n")
    bad, missing = err.splitlines()
    assert bad.startswith("quledger: bad.json: experiment_0")
    assert all(word in bad for word in ("shots: got 0", "got 'many'"))
    assert missing == "quledger: nosuch.json: the file 'nosuch.json' cannot be read: No such file or directory"
    assert not list(tmp_path.rglob("storage"))
    assert program.refused("submit", "singlequdit", "bad.json") == bad.replace(" bad.json:", "") + "\n"
    code, out, _ = program("check", "singlequdit", "bad.json", "--json")
    (value,) = json.loads(out)
    assert (code, value["file"], value["is_good"]) == (2, "bad.json", False)
    assert {fault["field"] for fault in value["faults"]} == {"shots", "params[0]"}
    assert program.json("check", "singlequdit", "job.json")[0]["shots"] == 4
    assert "no backend is called 'nosuch'" in program.refused("check", "nosuch", "job.json")
