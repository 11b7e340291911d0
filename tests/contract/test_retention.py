"""What is older than it is kept is shown, and removed when that is wished: an event says so, and the history stays."""

import os
import time
from pathlib import Path

import pytest

from models.errors import ResultMissing
from storage import layout
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.log.event_log import EventLog
from storage.log.payloads import Payloads
from tasks.jobs.results import result_document
from tests.contract.databases import Databases
from tests.contract.log_fixture import RESULT, LogFixture
from tests.program import Program

A_MOMENT = "0.0000001"


@pytest.fixture
def lab(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> LogFixture:
    """A log with a job that is DONE and one that waits, in a laboratory of the command line."""
    lab = LogFixture(tmp_path, databases.open(url := databases.new(tmp_path)))
    lab.submit("done")
    lab.finish(lab.take())
    lab.submit("waits")
    lab.relay.update_all()
    monkeypatch.setenv("QULEDGER_DATABASE", url)
    monkeypatch.setenv("QULEDGER_STORAGE", lab.folder.as_uri())
    time.sleep(0.05)
    return lab


def test_old_results_go_and_their_histories_stay(
    lab: LogFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str], databases: Databases
) -> None:
    """Shown first; then the document goes, front ends find none, nothing differs, and a second time finds nothing."""
    program, path = Program(tmp_path / "home", capsys), layout.result("rydberg", "done")
    before = lab.log.history("done")
    shown = program.json("retention", "--results-days", A_MOMENT)
    assert (shown["results"]["number"], shown["results"]["bytes"], shown["applied"]) == (1, len(RESULT), False)
    assert lab.log.history("done") == before
    assert lab.storage.exists(path)
    assert program.json("retention", "--results-days", "1", "--apply")["results"]["number"] == 0

    assert program.said("retention", "--results-days", A_MOMENT, "--apply") == "removed: 1 result of 0.0 MB\n"
    job = lab.log.get("done")
    assert (job.state, job.is_result_removed, job.updated_at) == ("DONE", True, before[-1].recorded_at)
    assert [event.kind for event in lab.log.history("done")] == [*(each.kind for each in before), "result_removed"]
    assert not lab.storage.exists(path)
    assert lab.read(layout.status("rydberg", "done"))["status"] == "DONE"  # type: ignore[index,call-overload]
    assert program.json("retention", "--results-days", A_MOMENT, "--apply")["results"]["number"] == 0
    assert list(Verifier(lab.log.engine, lab.stores).all()) == []
    with program.services() as services, pytest.raises(ResultMissing, match="was removed"):
        result_document(services, "done")
    again = databases.open(databases.new(tmp_path / "again"))
    restore(again, lab.storage)
    assert EventLog(again).history("done") == lab.log.history("done")

    lab.storage.put(path, RESULT)
    assert [each.what for each in Verifier(lab.log.engine, lab.stores).job("done")] == ["result"]


def test_whoever_dies_before_the_document_is_gone_leaves_that_to_the_relay(
    lab: LogFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is there first, and the mirror is behind until the document is gone."""
    monkeypatch.setattr("storage.documents.relay.Relay.update", lambda *_: None)
    Program(tmp_path / "home", capsys).said("retention", "--results-days", A_MOMENT, "--apply")
    assert lab.storage.exists(layout.result("rydberg", "done"))
    assert [each.what for each in Verifier(lab.log.engine, lab.stores).job("done")] == ["behind"]
    monkeypatch.undo()
    lab.relay.update_all()
    assert not lab.storage.exists(layout.result("rydberg", "done"))


def test_old_payloads_go(lab: LogFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of all users; by the setting, where the call does not say how long they are kept."""
    payloads = Payloads(lab.log.engine)
    payloads.put("alice", b"12345")
    time.sleep(0.05)
    os.environ["QULEDGER_PAYLOADS_DAYS"] = A_MOMENT
    try:
        program = Program(tmp_path / "home", capsys)
        assert program.json("retention") == {
            "applied": False,
            "payloads": {"days": float(A_MOMENT), "number": 1, "bytes": 5},
        }
        assert len(payloads.all("alice")) == 1
        program.said("retention", "--apply")
    finally:
        del os.environ["QULEDGER_PAYLOADS_DAYS"]
    assert payloads.all("alice") == []


def test_somebody_has_to_say_how_long(lab: LogFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is removed by default."""
    program = Program(tmp_path / "home", capsys)
    assert "nothing says how long they are kept" in program.refused("retention", "--apply")
    assert "days above 0" in program.refused("retention", "--results-days", "0", "--apply")
    assert "days above 0" in program.refused("retention", "--results-days", "nan", "--apply")
