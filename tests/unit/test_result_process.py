"""A large result, in a process of its own: what is checked there, and what may go out as it is stored."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.api import result_process
from deployments.api.dialects.oqtopus_results import result_file as of_oqtopus
from deployments.api.dialects.oqtopus_uploads import unzipped
from deployments.api.dialects.qlued_results import result_file as of_qlued
from deployments.api.result_files import FORMS, Form
from deployments.api.result_process import SIZE, answer_to, made_apart
from models.errors import NotAuthentic, StorageUnavailable
from storage.signatures.signing import new_key, sign
from tasks.jobs.accepted import Accepted
from tests.finished import experiment

RESULT: dict[str, Any] = {
    "display_name": "rydberg",
    "backend_version": "1",
    "job_id": "j1",
    "status": "finished",
    "results": [experiment("experiment_0", "0 1", "1 1", "0 1")],
}
TEXT = json.dumps(RESULT).encode()
KEY = new_key("20261126-00000000")
NOW = datetime(2026, 11, 26, tzinfo=UTC)
SIGNED = sign(RESULT, KEY)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in this process what another one does."""

    def answer_of(_module: str, request: bytes, content: bytes) -> bytes:
        return b"".join(answer_to(request[SIZE.size :], content))

    monkeypatch.setattr(result_process, "answer_of", answer_of)


def accepted(content: bytes, **changes: Any) -> Accepted:
    """Return what the log would say of a result."""
    return Accepted(**{"job_id": "j1", "sha256": hashlib.sha256(content).hexdigest()} | changes)


SIGNED_BY: dict[str, Any] = {"kid": KEY.kid, "key": KEY.public, "signed_at": NOW}


@pytest.mark.parametrize(("content", "by"), [(TEXT, {}), (SIGNED, SIGNED_BY)])
@pytest.mark.usefixtures("here")
def test_what_is_stored_may_go_out_as_it_is(content: bytes, by: dict[str, Any]) -> None:
    """A signed one without what is around it."""
    span, made = made_apart(content, accepted(content, **by), FORMS["json"])
    assert span is not None
    assert (content[slice(*span)], made) == (TEXT, b"")


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(RESULT, indent=1).encode(),
        TEXT.decode().encode("utf-16"),
        b'{"display_name": "other", ' + TEXT[1:],
        json.dumps({"header": 1, "payload": RESULT, "signature": ""}, separators=(",", ":")).encode(),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_written_in_another_way_is_written_anew(content: bytes) -> None:
    """A reader could find something else in it than was checked: the first of two members of one name."""
    assert made_apart(content, accepted(content), FORMS["json"]) == (None, TEXT)


@pytest.mark.parametrize(
    ("content", "changes", "said"),
    [
        (TEXT, {"sha256": "0" * 64}, "not the one that was accepted, by its hash"),
        (TEXT, {"sha256": None}, "not the one that was accepted, by its hash"),
        (TEXT, {"job_id": "j2"}, "job j2 is not to be trusted: it is of another job"),
        (b"[1", {}, "it is not JSON"),
        (b"[" * 100_000, {}, "it is not JSON"),
        (json.dumps(RESULT | {"results": 1}).encode(), {}, "cannot be shown: the results are no list"),
        (TEXT, SIGNED_BY, "it is not signed"),
        (SIGNED, SIGNED_BY | {"key": None}, "nobody knows such a key"),
        (SIGNED, SIGNED_BY | {"kid": "20261126-00000001"}, "instead of 20261126-00000001"),
        (SIGNED, SIGNED_BY | {"key": new_key(KEY.kid).public}, "forged"),
        (
            SIGNED,
            SIGNED_BY | {"key": KEY.public.model_copy(update={"revoked_at": NOW - timedelta(1)})},
            "which is revoked as of",
        ),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_not_to_be_trusted_does_not_come_back(content: bytes, changes: dict[str, Any], said: str) -> None:
    """In the words that a small one has."""
    with pytest.raises(NotAuthentic, match=said) as apart:
        made_apart(content, accepted(content, **changes), FORMS["json"])
    with pytest.raises(NotAuthentic) as at_home:
        accepted(content, **changes).document(content)
    assert str(apart.value) == str(at_home.value)


@pytest.mark.usefixtures("here")
def test_a_result_in_all_forms() -> None:
    """As a table, and in the words of other front ends."""

    def made(form: Form) -> bytes:
        return bytes(made_apart(TEXT, accepted(TEXT), form).content)

    assert made(FORMS["csv"]).splitlines()[1] == b"experiment_0,0 1,2,0.6666666666666666"
    assert made(FORMS["parquet"])[:4] == b"PAR1"
    counted = json.loads(made(Form(of_qlued, {"name": "lab_rydberg_hardware", "counted": True})))
    assert counted["results"][0]["data"]["counts"] == {"0 1": 2, "1 1": 1}
    packed = made(Form(of_oqtopus, {"item": "transpile_result"}))
    assert unzipped(packed, 100, "transpile_result.json") == b"null"


def test_it_is_another_process() -> None:
    """One that ends before it has answered is no answer."""
    assert made_apart(TEXT, accepted(TEXT), FORMS["json"]) == ((0, len(TEXT)), b"")
    with pytest.raises(StorageUnavailable, match="ended too early"):
        made_apart(TEXT, accepted(TEXT), Form(SIZE.unpack))
