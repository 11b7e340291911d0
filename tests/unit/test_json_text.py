"""JSON that says something twice, or begins with a byte order mark."""

import time

import pytest

from models.documents import parse_document, parse_job
from models.errors import JobRejected
from models.json_text import MAX_REPEATED, Repeated, read_json


def test_keys_that_stand_twice_are_found_wherever_they_are():
    """Spelled differently too; what looks like a key within a text is none."""
    text = '{"a": {"x": [1, {"y": 1, "\\u0079": 2}]},\n "b,{": "\\"k\\": ", "a": 3}'
    value, repeated = read_json(text)
    assert value == {"a": 3, "b,{": '"k": '}
    assert repeated == [Repeated("y", ("a", "x", 1), 1, 26, 1), Repeated("a", (), 2, 20, 1)]
    assert read_json('[{"a": 1}, {"a": 1}, {"b": {"a": 1}, "a": "a"}]')[1] == []


def test_a_long_text_of_repetitions_is_read_once():
    """The time grows with the text and no faster, and so many repetitions are named."""
    started = time.process_time()
    _, repeated = read_json('{"a": 1' + ', "a": "\\\\"' * 200_000 + "}")
    assert time.process_time() - started < 5
    assert len(repeated) == MAX_REPEATED


def test_a_job_document_says_everything_once():
    """Each key that stands twice is a fault with its place; who compares documents reads them as others do."""
    raw = b"""{"experiment_0": {"shots": 1, "shots": 2, "instructions": []},
 "experiment_1": {"simulator_info": {"seed": 1, "seed": 2}},
 "experiment_0": {"shots": 3}}"""
    with pytest.raises(JobRejected) as caught:
        parse_job(raw)
    assert [str(fault) for fault in caught.value.faults] == [
        "experiment_0: the key 'shots' stands twice (line 1, column 31; before on line 1)",
        "experiment_1, simulator_info: the key 'seed' stands twice (line 2, column 49; before on line 2)",
        "the key 'experiment_0' stands twice (line 3, column 2; before on line 1)",
    ]
    assert parse_document(raw)["experiment_0"] == {"shots": 3}


def test_a_byte_order_mark_is_no_part_of_a_document():
    """That of UTF-8 is taken off, however often it stands there; a text in UTF-16 or UTF-32 is called by its name."""
    for marks in (1, 2):
        assert parse_job(b"\xef\xbb\xbf" * marks + b'{"a": 1}') == {"a": 1}
    for name in ("UTF-16", "UTF-32"):
        for end in ("le", "be"):
            with pytest.raises(JobRejected, match=name):
                parse_job('\ufeff{"a": 1}'.encode(f"{name}-{end}"))
