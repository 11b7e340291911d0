"""The JSON Schemas of all documents: real ones fit, and what has changed is noticed."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from models.identity.control_events import seal
from models.identity.facts import UserAdded
from models.schemas import DOCUMENTS, fields_of, schema_of
from models.status import status_document
from tasks.backends import registry
from tests.unit.histories import CLAIMED, DONE, FAILED, NOW, SUBMITTED, history, job_after

ROOT = Path(__file__).parents[2]
KNOWN = Path(__file__).parent / "known_schemas.json"


def fits(name: str, document: object) -> None:
    """Make sure that a document fits a schema."""
    jsonschema.validate(document, schema_of(name))


def test_real_documents_fit():
    """Events and their facts, jobs, statuses, configurations."""
    for event in history(*DONE):
        fits("event", event.model_dump(mode="json"))
        fits("fact", json.loads(event.data))
    for job in (job_after(*DONE), job_after(SUBMITTED, CLAIMED, FAILED), job_after(SUBMITTED)):
        fits("job", job.model_dump(mode="json"))
        fits("status", status_document(job).model_dump())
    for name in registry.usable():
        fits("config", registry.load(name).config.model_dump())
    added = seal(UserAdded(), stream="user/ann", seq=0, recorded_at=NOW, actor="op", prev_hash="0" * 64)
    fits("control-event", added.model_dump(mode="json"))
    fits("control-fact", json.loads(added.data))


def test_other_documents_do_not():
    """A word that the contract has not, a field that is missing."""
    status = status_document(job_after(SUBMITTED)).model_dump()
    for wrong in (status | {"status": "RUNNING"}, {"job_id": "j"}):
        with pytest.raises(jsonschema.ValidationError):
            fits("status", wrong)


def test_a_schema_that_changes_is_noticed():
    """Others read these documents: say it in the changelog, and put the new hash into the file."""
    found = {name: hashlib.sha256(json.dumps(schema_of(name)).encode()).hexdigest()[:16] for name in DOCUMENTS}
    assert found == json.loads(KNOWN.read_text())


def test_the_tables_in_the_docs_are_made_from_them():
    """docs/backends.md has the fields of an experiment and of a configuration."""
    page = (ROOT / "docs" / "backends.md").read_text()
    assert "\n".join(fields_of(registry.document_schema("rydberg"), "experiment")) in page
    assert "\n".join(fields_of(schema_of("config"), "")) in page
