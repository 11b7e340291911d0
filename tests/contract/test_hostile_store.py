"""A folder into which somebody hostile has written, read as a store that is taken over."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deployments.cli.results import print_text
from models.errors import DocumentMissing
from storage.documents.store_survey import Survey
from storage.providers.folder import FolderStorage

HEADER = {"alg": "EdDSA", "typ": "JWS", "version": "0.1"}


def status(**changes: Any) -> dict[str, Any]:
    """Return the status of a job that is DONE."""
    return {"job_id": "job", "status": "DONE", "detail": "", "error_message": ""} | changes


def result() -> dict[str, Any]:
    """Return its result."""
    one = {"header": {"name": "e\x1b[2J"}, "shots": 1, "success": True, "data": {"memory": ["\x1b[31m"]}}
    value = one | {"data": {"memory": [], "exp_value": 0.5, "stds": 0.1}}
    return {"job_id": "job", "display_name": "\x1b]0;x\x07", "backend_version": "1", "results": [one, value]}


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    """A store with a job in it."""
    for folder in ("jobs/finished/rydberg", "status/rydberg", "results/rydberg"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "jobs/finished/rydberg/job.json").write_text("{}")
    (tmp_path / "jobs/finished/rydberg/a\x1b[2J\n.json").write_text("{}")
    return Survey(FolderStorage(f"file://{tmp_path}"), ["rydberg"])


def test_pipes_and_devices_are_no_documents(survey: Survey, tmp_path: Path) -> None:
    """They are not waited for, and not read to an end that they do not have."""
    os.mkfifo(tmp_path / "status/rydberg/job.json")
    (tmp_path / "results/rydberg/job.json").symlink_to("/dev/zero")
    (found,) = survey.jobs()
    assert (found.job_id, found.status, found.has_result) == ("job", "", False)
    with pytest.raises(DocumentMissing):
        FolderStorage(f"file://{tmp_path}").get("status/rydberg/job.json")


@pytest.mark.parametrize(
    "head", [[], None, {"kid": {"a": 1}}, HEADER, HEADER | {"kid": "a\x1b[31m\n"}, HEADER | {"kid": "../../x"}]
)
def test_a_result_signed_with_no_key_that_can_be_is_none(survey: Survey, tmp_path: Path, head: Any) -> None:
    """Whatever its header holds."""
    path = tmp_path / "results/rydberg/job.json"
    path.write_text(json.dumps({"header": head, "payload": result(), "signature": "x"}))
    assert survey.result("rydberg", "job") is None
    path.write_text(json.dumps({"header": HEADER | {"kid": "k1"}, "payload": result(), "signature": "x"}))
    assert survey.result("rydberg", "job") == path.read_bytes()


@pytest.mark.parametrize("changes", [{"detail": "\ud800"}, {"error_message": "\udfff"}, {"more": 2**70}])
def test_a_status_that_the_log_cannot_hold_is_none(survey: Survey, tmp_path: Path, changes: dict[str, Any]) -> None:
    """As one that is no JSON."""
    path = tmp_path / "status/rydberg/job.json"
    path.write_text(json.dumps(status(**changes)))
    assert survey.status("rydberg", "job") is None
    path.write_text(json.dumps(status()))
    assert survey.status("rydberg", "job") is not None


def test_a_result_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Names of experiments, outcomes and backends are spelt out."""
    print_text(result())
    said = capsys.readouterr().out
    assert all(each.isprintable() for each in said.splitlines())
    assert r"e\u001b[2J" in said
