"""Labels: which there may be, and how changes of them are said."""

import pytest

from models.labels import (
    BadLabels,
    LabelChanges,
    change_in_a_line,
    changed,
    changes_said,
    in_a_line,
    label_faults,
    labels_said,
)
from models.submissions import Submission, fault_of
from storage.log.labels import written


def said_of(labels: dict[str, str]) -> list[str]:
    """Return what is said of the labels of a job."""
    return [f"{fault.field}: {fault.message}" for fault in label_faults(labels)]


def test_changes_are_said_in_words():
    """What is set, what goes; a value may hold anything that can be seen, and be empty."""
    said = changes_said(["sample=A7", "note=a=b-", "old-", "e\u0301=e\u0301", "none="])
    assert said == LabelChanges({"sample": "A7", "note": "a=b-", "é": "é", "none": ""}, ("old",))
    assert labels_said(["a=1"]) == {"a": "1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample"], "labels.sample: write NAME=VALUE to set it, NAME- to take it away"),
        (["a=1", "a-"], "labels.a: it is named twice"),
        (["=1"], "labels.: a name has 1 to 63 characters"),
        (["-a=1", "b-=1", "c=d\x07", "x" * 64 + "=1"], "labels.-a: a name has no '='"),
        ([" a=1"], "no blank at an end"),
    ],
)
def test_all_that_is_wrong_is_said_at_once(words: list[str], said: str):
    """Each fault with its label."""
    with pytest.raises(BadLabels, match="labels") as caught:
        changes_said(words)
    assert said in str(caught.value)
    assert len(caught.value.faults) == len([word for word in words if word != "a=1"])
    assert str(caught.value).isprintable()


def test_a_job_that_begins_has_no_label_to_lose():
    """Each that is to go is named."""
    with pytest.raises(BadLabels) as caught:
        labels_said(["a=1", "old-", "older", "=1"])
    assert [(fault.field, fault.message) for fault in caught.value.faults] == [
        ("labels.old", "write it as NAME=VALUE"),
        ("labels.older", "write it as NAME=VALUE"),
        ("labels.", "a name has 1 to 63 characters that can be seen, and no blank at an end"),
    ]


def test_labels_in_a_line():
    """As a history has them: what was set, then what went."""
    assert (in_a_line({}), in_a_line({"a": "1", "b": ""})) == ("", "a=1, b=")
    assert change_in_a_line({}, ()) == ""
    assert change_in_a_line({"a": "1"}, ()) == "a=1"
    assert change_in_a_line({}, ("b",)) == "no b"
    assert change_in_a_line({"a": "1", "c": "2"}, ("b", "d")) == "a=1, c=2, no b, no d"


def test_there_are_not_too_many():
    """In number, in length of each, and in bytes together; two spellings of one name are two names."""
    assert said_of({f"n{nth}": "" for nth in range(32)}) == []
    assert said_of({f"n{nth}": "" for nth in range(33)}) == ["labels: there are 33; a job has at most 32"]
    assert said_of({"x" * 63: "y" * 200}) == []
    (long,) = said_of({"a": "x" * 201})
    assert long.startswith("labels.a: the value 'xxx")
    assert long.endswith("… has to be at most 200 characters that can be seen")
    # Each label is a line: its name, the sign, its value, the end.
    ten = {f"n{nth}": "x" * 196 for nth in range(10)}
    assert said_of(ten) == []
    assert said_of(ten | {"n9": "x" * 197}) == ["labels: together they have at most 2000 bytes"]
    assert said_of({"é": "1", "e\u0301": "2"}) == ["labels: two of the names are one, written differently"]
    with pytest.raises(BadLabels, match="at most 32"):
        changed({f"n{nth}": "" for nth in range(32)}, LabelChanges({"more": ""}, ()))
    assert changed({"a": "1", "b": "2"}, LabelChanges({"c": "3"}, ("a", "zz"))) == {"b": "2", "c": "3"}


def test_a_submission_with_bad_labels_is_refused_by_their_names():
    """Together with all else that is wrong with it."""
    wrong = Submission(
        backend="rydberg", document=b"{}", key="", labels={"a=": "1"}, group="a b", parameters=[{"x": float("inf")}]
    )
    assert [fault.field for fault in getattr(fault_of(wrong, 9), "faults", ())] == [
        *(None, "labels.a=", "group", "parameters[0].x")
    ]
    assert isinstance(fault_of(Submission(backend="b", document=b"", labels={"": ""}), 9), BadLabels)
    good = Submission(backend="b", document=b"", labels={"e\u0301": "1"}, group="g", parameters=[{"x": 1, "y": "a"}])
    assert fault_of(good, 9) is None
    assert good.labels == {"é": "1"}
    assert "name it" in str(fault_of(Submission(backend="b", document=b"", parameters=[{"x": 1}]), 9))


def test_no_label_is_found_in_another():
    """In the column each has a line of its own."""
    assert written({}) == ""
    assert written({"a": "1", "b": "a=1"}) == "\na=1\nb=a=1\n"
