"""What is otherwise now than when a job ran, and where two JSON values differ."""

import pytest

from models.calibrations import Calibration, version_of
from models.facts import Executed
from models.json_changes import MOST, changes
from models.reruns import Change, NotRepeatable, since
from tasks.jobs.reruns import executed_of, installed
from tests.unit.histories import DONE, EXECUTED, SUBMITTED, job_after
from tests.unit.sandbox_fakes import CONFIG

OLD, NEW = (version_of(CONFIG, {"readout": [0.01, error]}) for error in (0.02, 0.03))


def ran(**more: object) -> Executed:
    """Return an execution of then."""
    return Executed.model_validate(EXECUTED.model_dump() | more)


def test_nothing_is_otherwise():
    """The same versions and the same calibration."""
    then = ran(versions={"numpy": "1.0"}, calibration_sha256=OLD.sha256)
    assert [*since(then, {"numpy": "1.0"}, OLD, None)] == []
    never = ran(versions={"qiskit": "-"}, calibration_sha256=OLD.sha256)
    assert [*since(never, {}, OLD, None)] == []


def test_each_thing_that_is_otherwise_is_named():
    """Packages one by one; of a calibration that the ledger has, each place."""
    then = ran(versions={"numpy": "1.0", "qiskit": "1.2", "scipy": "9"}, calibration_sha256=OLD.sha256)
    old = Calibration(sha256=OLD.sha256, text=OLD.text)
    said = [str(each) for each in since(then, {"numpy": "2.0", "qiskit": "1.2"}, NEW, old)]
    assert said == [
        "numpy: 1.0 then, 2.0 now",
        "scipy: 9 then, - now",
        f"calibration: {OLD.sha256[:16]} then, {NEW.sha256[:16]} now",
        "calibration.readout[1]: 0.02 then, 0.03 now",
    ]
    assert [str(each) for each in since(then, then.versions, None, None)] == ["backend: there then, - now"]


def test_many_places_of_a_calibration_are_not_all_named():
    """What one side has not is `-`; the last word is that there is more."""
    one, other = version_of(CONFIG, {"a": 1}), version_of(CONFIG, {"b": [0]})
    then = ran(versions={}, calibration_sha256=one.sha256)
    said = [str(each) for each in since(then, {}, other, Calibration(sha256=one.sha256, text=one.text))]
    assert said[1:] == ["calibration.a: 1 then, - now", "calibration.b: - then, [0] now"]
    one, other = (version_of(CONFIG, {"readout": [error] * (MOST + 1)}) for error in (0, 1))
    then = ran(versions={}, calibration_sha256=one.sha256)
    told = [*since(then, {}, other, Calibration(sha256=one.sha256, text=one.text))]
    assert len(told) == MOST + 2
    assert told[-1] == Change("and more", "-", "-")


def test_an_old_result_is_compared_by_its_configuration():
    """Its calibration is not known."""
    then = ran(versions={}, backend_config_sha256=OLD.config_sha256)
    assert [*since(then, {}, NEW, None)] == []
    assert [each.what for each in since(ran(versions={}), {}, NEW, None)] == ["configuration"]


def test_places_of_json_values():
    """Types count; what is missing on one side is None; a thousand places are not listed."""
    places, more = changes({"a": [1, {"b": 1}], "c": 0}, {"a": [1, {"b": True}, 2], "d": None})
    assert [tuple(place) for place in places] == [
        ("a[1].b", "1", "true"),
        ("a[2]", None, "2"),
        ("c", "0", None),
        ("d", None, "null"),
    ]
    assert not more
    assert changes(1, 1.0)[0][0].path == "all"
    places, more = changes([0] * 1000, [1] * 1000)
    assert (len(places), more) == (MOST, True)


def test_what_was_never_executed_cannot_be_repeated():
    """Nothing says with which seed."""
    assert executed_of(job_after(*DONE)).seed == 5
    with pytest.raises(NotRepeatable, match="never executed"):
        executed_of(job_after(SUBMITTED))


def test_what_is_installed():
    """Also where the module has another name than its package."""
    assert installed("numpy")[0].isdigit()
    assert installed("qiskit_aer")[0].isdigit()
    assert installed("python").startswith("3.")
    assert installed("nosuch") == "-"
