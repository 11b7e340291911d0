"""Configurations and calibrations by their hashes: what was recorded of a backend, and what was withdrawn."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from models.calibrations import (
    NO_CALIBRATIONS,
    CalibrationRecorded,
    CalibrationReinstated,
    CalibrationWithdrawn,
    UnknownCalibration,
    Version,
    version_of,
)
from models.facts import Executed
from models.identity.control_events import ControlEvent, seal
from models.identity.facts import ControlFact
from models.identity.people import BackendRecord, apply
from models.standing import periods_of
from tasks.backends import registry
from tests.unit.sandbox_fakes import CONFIG

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


def hours(number: int) -> datetime:
    """Return a time so many hours later."""
    return NOW + timedelta(hours=number)


def a_version(readout: float) -> Version:
    """Return a version with this readout error."""
    return version_of(CONFIG, {"readout": readout})


def record(*facts: ControlFact) -> BackendRecord:
    """Return what facts of the stream of a backend, an hour apart, add up to."""
    fold, prev = None, "0" * 64
    for seq, fact in enumerate(facts):
        event: ControlEvent = seal(
            fact, stream="backend/fake", seq=seq, recorded_at=hours(seq), actor="op", prev_hash=prev
        )
        fold, prev = apply(fold, event), event.hash
    assert isinstance(fold, BackendRecord)
    return fold


def test_a_version_is_its_configuration_and_calibration_and_nothing_that_changes_by_itself():
    """The hash is that of the text; how many jobs wait and when the queue was looked at are no part of it."""
    version = a_version(0.01)
    assert version.sha256 == hashlib.sha256(version.text.encode()).hexdigest()
    later = CONFIG.model_copy(update={"pending_jobs": 3, "last_queue_check": "2026-11-27T08:00:00+00:00", "kid": "k"})
    assert version_of(later, {"readout": 0.01}).sha256 == version.sha256
    assert a_version(0.02).sha256 != version.sha256
    assert version_of(CONFIG.model_copy(update={"max_shots": 1}), {"readout": 0.01}).sha256 != version.sha256
    beginning = '{"calibration":{"a":null,"b":[1,2]},"config":{"cold_atom_type":"spin","description":"For tests",'
    assert version_of(CONFIG, {"b": [1, 2], "a": None}).text.startswith(beginning)
    said = json.loads(version.text)
    assert list(said["config"]) == sorted(said["config"])
    assert (said["calibration"], said["config"]["display_name"]) == ({"readout": 0.01}, "fake")
    assert version.config_sha256 == hashlib.sha256(CONFIG.model_dump_json().encode()).hexdigest()


@pytest.mark.parametrize("wrong", [float("nan"), {1, 2}, object()])
def test_what_is_no_json_is_no_calibration(wrong: object):
    """It cannot be kept by its hash."""
    with pytest.raises((TypeError, ValueError)):
        version_of(CONFIG, wrong)


def test_a_version_holds_until_the_next_and_its_text_is_said_once():
    """Back to the first one: three times, two texts."""
    one, other = a_version(0.01), a_version(0.02)
    ledger = NO_CALIBRATIONS
    for hour, version in enumerate([one, one, other, one]):
        ledger = ledger.after_record(ledger.fact_of(version), hours(hour))
    assert [(each.sha256, each.since, each.until) for each in ledger.periods] == [
        (one.sha256, hours(0), hours(2)),
        (other.sha256, hours(2), hours(3)),
        (one.sha256, hours(3), None),
    ]
    assert ledger.current == one.sha256
    assert ledger.fact_of(one).text is None
    assert '"text"' not in ledger.fact_of(one).model_dump_json()
    assert ledger.versions[one.sha256].content["calibration"] == {"readout": 0.01}
    assert ledger.versions[one.sha256].recorded_at == hours(0)
    assert ledger.versions[one.sha256].config_sha256 == one.config_sha256


def test_a_text_of_another_hash_is_refused():
    """Nobody can put another calibration in the place of one."""
    one, other = a_version(0.01), a_version(0.02)
    fact = CalibrationRecorded(sha256=one.sha256, config_sha256=one.config_sha256, text=other.text)
    with pytest.raises(ValueError, match=r"^the text of the calibration has another hash$"):
        NO_CALIBRATIONS.after_record(fact, NOW)


def test_a_text_that_is_too_long_is_not_kept():
    """Its hash is."""
    kept, left = (Version("ab" * 32, "cd" * 32, "x" * length) for length in (4_000_000, 4_000_001))
    assert NO_CALIBRATIONS.fact_of(kept).text == kept.text
    assert NO_CALIBRATIONS.fact_of(left) == CalibrationRecorded(sha256="ab" * 32, config_sha256="cd" * 32)


def test_a_hash_of_no_calibration():
    """Which one, and where there are others."""
    said = "no calibration has the hash 'ab'; `quledger backends history BACKEND` lists them"
    assert str(UnknownCalibration("ab")) == said


def test_the_first_withdrawal_counts_and_may_come_before_any_record():
    """A hash that results named before there was a ledger has no text and no time."""
    one = a_version(0.01)
    old = "ab" * 32
    fold = record(
        NO_CALIBRATIONS.fact_of(one),
        CalibrationWithdrawn(sha256=one.sha256, reason="laser off"),
        CalibrationWithdrawn(sha256=one.sha256, reason="again"),
        CalibrationWithdrawn(sha256=old, reason="long ago"),
    )
    withdrawn = fold.ledger.versions[one.sha256]
    assert (withdrawn.withdrawn_at, withdrawn.withdrawn_by, withdrawn.reason) == (hours(1), "op", "laser off")
    assert [(row["sha256"], row["since"], row["reason"]) for row in periods_of(fold.ledger)] == [
        (one.sha256, "2026-11-27T08:00:00.000000+00:00", "laser off"),
        (old, None, "long ago"),
    ]


def test_a_withdrawal_is_taken_back_and_may_come_again():
    """The version is as it was before; without a withdrawal nothing is taken back."""
    one = a_version(0.01)
    recorded, gone = NO_CALIBRATIONS.fact_of(one), CalibrationWithdrawn(sha256=one.sha256, reason="laser off")
    back = CalibrationReinstated(sha256=one.sha256, reason="it was on")
    as_before = record(recorded).ledger.versions
    assert record(recorded, gone, back).ledger.versions == as_before
    assert record(recorded, back, CalibrationReinstated(sha256="ab" * 32, reason="x")).ledger.versions == as_before
    again = record(recorded, gone, back, CalibrationWithdrawn(sha256=one.sha256, reason="off again"))
    assert (again.ledger.versions[one.sha256].reason, again.ledger.versions[one.sha256].withdrawn_at) == (
        "off again",
        hours(3),
    )


def test_a_result_names_what_it_stands_on():
    """An old one names the configuration alone, and is written as ever."""
    fields = {
        "seconds": 1, "cpu_seconds": 1, "seed": 1, "versions": {}, "backend_config_sha256": "c",
        "result_sha256": "r", "result_bytes": 1, "staged": "s",
    }  # fmt: skip
    old = Executed.model_validate(fields)
    assert old.stands_on == "c"
    assert "calibration" not in old.model_dump_json()
    assert Executed.model_validate(fields | {"calibration_sha256": "v"}).stands_on == "v"


def test_a_device_with_errors_says_them():
    """One without has no calibration; nor have simulators that only compute."""
    noisy = json.loads(registry.version("noisyqubits").text)["calibration"]
    assert noisy["device_id"] == "line12"
    assert noisy["readout"][0] == {"qubit": 0, "prob_meas1_prep0": 0.005, "prob_meas0_prep1": 0.02}
    assert json.loads(registry.version("qubits").text)["calibration"] is None
    assert json.loads(registry.version("rydberg").text)["calibration"] is None
