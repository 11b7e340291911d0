"""The envelope of a fact, the chain of hashes, and how two chains compare."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from models.errors import LogBroken
from models.events import Event, Standing, compact, event_hash, hashes, is_harmless, seal, standing
from models.facts import Claimed, Fact, Revived, Submitted, fact_from_json
from models.job import TRANSITIONS
from tests.unit.histories import CLAIMED, DONE, NOW, RETRIED, SUBMITTED, VALIDATED, history

TEXT = (
    '["j",7,2,"{\\"kind\\":\\"revived\\",\\"version\\":1,\\"by\\":\\"J\\u00f6rg\\"}",'
    '"2026-11-21T09:00:00.250000+00:00","op","run","ff"]'
)
"""The fields of an event as its hash covers them, written by hand."""


def test_an_event_holds_its_fact_its_place_and_its_hash():
    """Every field is as it was given; the hash is the SHA-256 of the fields as compact ASCII JSON."""
    elsewhere = timezone(timedelta(hours=1))
    event = seal(
        Revived(by="Jörg"),
        job_id="j",
        seq=7,
        attempt=2,
        recorded_at=datetime(2026, 11, 21, 10, 0, 0, 250_000, tzinfo=elsewhere),
        actor="op",
        flow_run_id="run",
        prev_hash="ff",
    )
    assert event.model_dump(mode="json") == {
        "job_id": "j",
        "seq": 7,
        "attempt": 2,
        "kind": "revived",
        "data": '{"kind":"revived","version":1,"by":"Jörg"}',
        "recorded_at": "2026-11-21T09:00:00.250000+00:00",
        "actor": "op",
        "flow_run_id": "run",
        "prev_hash": "ff",
        "hash": hashlib.sha256(TEXT.encode("ascii")).hexdigest(),
    }
    assert event.digest() == event.hash
    assert event.fact == Revived(by="Jörg")


@pytest.mark.parametrize(
    "field", ["job_id", "seq", "attempt", "data", "recorded_at", "actor", "flow_run_id", "prev_hash"]
)
def test_the_hash_covers_every_field_that_is_told(field: str):
    """What was changed afterwards no longer fits its hash."""
    event = history(SUBMITTED)[0]
    other = {"seq": 1, "attempt": 1, "recorded_at": NOW + timedelta(microseconds=1)}.get(field, "other")
    assert event.model_copy(update={field: other}).digest() != event.hash


def test_an_event_without_a_flow_run_says_null():
    """A hash of no run differs from that of a run without a name."""
    text = '["j",0,0,"{}","2026-11-21T09:00:00.000000+00:00","w",null,"0"]'
    assert event_hash("j", 0, 0, "{}", NOW, "w", None, "0") == hashlib.sha256(text.encode()).hexdigest()


def test_data_are_compact_json_that_everybody_can_read():
    """No blanks, no escapes of what UTF-8 has, and no numbers that JSON has not."""
    assert compact({"a": [1, "ä"], "b": None}) == '{"a":[1,"ä"],"b":null}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        compact(float("nan"))


@pytest.mark.parametrize(
    ("mirrored", "ours", "common", "why", "fork"),
    [
        ("", "", 0, "", False),
        ("", "ab", 0, "", False),
        ("ab", "ab", 2, "", False),
        ("ab", "abc", 2, "", False),
        ("ab", "", 0, "its history is in the mirror, and the log does not know the job", False),
        ("abc", "a", 1, "its mirrored history goes on to event 2, and the log ends at event 0", False),
        ("abx", "abc", 2, "its mirrored history and the log tell different stories from event 2 on", True),
        ("xb", "ab", 0, "its mirrored history and the log tell different stories from event 0 on", True),
    ],
)
def test_how_a_mirrored_history_stands_to_the_logs(mirrored: str, ours: str, common: int, why: str, fork: bool):  # noqa: FBT001 - a case
    """The mirror may be written over where the log holds all of it; else there is a reason why not."""
    found = standing(list(mirrored), list(ours))
    assert found == Standing(common, len(mirrored), len(ours))
    assert (found.why, found.is_fork) == (why, fork)


DECIDES_NOTHING = ["submitted", "claimed", "validated", "compiled", "lease_expired", "retried", "refused"]
DECIDES = [
    *("handed_over", "executed", "uploaded", "completed", "failed"),
    *("cancel_requested", "cancelled", "revived", "replaced", "withdrawn", "hidden", "labelled", "result_removed"),
    *("adopted", "adopted_error"),
]


@pytest.mark.parametrize(
    ("kinds", "right"),
    [([], True), (DECIDES_NOTHING, True), (["claimed", "executed"], False), *(([kind], False) for kind in DECIDES)],
)
def test_only_events_that_decide_nothing_are_harmless(kinds: list[str], right: bool):  # noqa: FBT001 - a case
    """A fork is set aside unasked if nobody was told of it and it holds no result, end or wish."""
    assert is_harmless(kinds) is right


def test_of_every_kind_of_event_it_is_said_whether_it_is_harmless():
    """No kind is left out of the test above."""
    assert sorted([*DECIDES_NOTHING, *DECIDES]) == sorted(["submitted", *TRANSITIONS])


def test_a_chain_is_the_hashes_in_their_order():
    """One hash for each event."""
    events = history(SUBMITTED, CLAIMED, VALIDATED)
    assert hashes(events) == [events[0].hash, events[1].hash, events[2].hash]
    assert [event.prev_hash for event in events] == ["0" * 64, events[0].hash, events[1].hash]


@pytest.mark.parametrize(
    ("document", "kept", "encoding"),
    [
        (b"{}", "{}", "utf-8"),
        ("ä".encode(), "ä", "utf-8"),
        (b"\xff\xfe", "//4=", "base64"),
        (b"1234", "1234", "utf-8"),
        (b"12345", None, "utf-8"),
    ],
)
def test_a_submission_keeps_the_document_as_it_came(document: bytes, kept: str | None, encoding: str):
    """As text where it is UTF-8, else as base64; of one over the limit size and hash alone."""
    fact = Submitted.of(document, keep_up_to=4, backend="b", user="ann", source="inbox", received_at=NOW)
    assert (fact.document, fact.encoding, fact.document_bytes) == (kept, encoding, len(document))
    assert fact.document_sha256 == hashlib.sha256(document).hexdigest()
    assert fact.raw == (None if kept is None else document)
    assert (fact.backend, fact.user, fact.source, fact.received_at) == ("b", "ann", "inbox", NOW)


@pytest.mark.parametrize("fact", [SUBMITTED, CLAIMED, VALIDATED, RETRIED], ids=lambda fact: fact.kind)
def test_a_fact_is_read_as_it_was_written(fact: Fact):
    """Through JSON and back nothing is lost."""
    assert fact_from_json(fact.model_dump_json()) == fact


def test_an_old_claim_is_brought_up_to_date():
    """A claim of version 1 had no holder and is of nobody else."""
    stored = '{"kind":"claimed","version":1,"worker":"w","lease_until":"2026-11-21T09:00:00+00:00"}'
    until = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    assert fact_from_json(stored) == Claimed(worker="w", lease_until=until)


@pytest.mark.parametrize(
    "stored",
    ['{"kind":"eaten","version":1}', '{"kind":"completed","version":9}', '{"kind":"completed","more":1}', "{}"],
)
def test_what_is_no_fact_is_not_read(stored: str):
    """An unknown kind, version or field is an error, and not guessed at."""
    with pytest.raises(ValidationError):
        fact_from_json(stored)


def test_an_event_of_a_newer_program_is_named():
    """A kind that is not known here, as after a step back to an older program, is an error that says which."""
    event = history(SUBMITTED)[0].model_copy(update={"kind": "eaten", "data": '{"kind":"eaten","version":1}'})
    with pytest.raises(LogBroken, match=r"^event 0 of job j holds no fact that this program knows: .eaten.$"):
        _ = event.fact


def test_an_event_needs_a_time_with_its_zone():
    """A time without a zone could be anywhere."""
    fields = history(SUBMITTED)[0].model_dump()
    with pytest.raises(ValidationError, match="a time needs its zone"):
        Event.model_validate(fields | {"recorded_at": NOW.replace(tzinfo=None)})


def test_events_survive_their_own_json():
    """An event read back from its JSON is the same event with the same hash."""
    for event in history(*DONE):
        again = Event.model_validate_json(event.model_dump_json())
        assert again == event
        assert again.digest() == event.hash


def test_binary_documents_are_kept_as_they_came():
    """Bytes that are not UTF-8 come out of the log as they went in."""
    raw = bytes(range(256))
    fact = Submitted.of(raw, keep_up_to=256, backend="b", source="inbox", received_at=NOW)
    assert Submitted.model_validate_json(fact.model_dump_json()).raw == raw
