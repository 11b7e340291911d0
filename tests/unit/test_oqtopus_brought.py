"""What an engine brings, as a result document; and what it says, as a user may read it."""

import json
from typing import Any

import pytest

from deployments.api.dialects.oqtopus_brought import SILENT, Asked, BadResult, result_document, said_of
from deployments.api.dialects.oqtopus_results import result_of, transpile_result_of


def document(result: Any, *, job_type: str = "sampling", mitigated: bool = False, **files: Any) -> dict[str, Any]:
    """Return the result document of a job of ten shots."""
    asked = Asked(name="experiment_0", job_type=job_type, shots=10, mitigated=mitigated)
    packed = {item: json.dumps(value).encode() for item, value in files.items()}
    content = result if isinstance(result, bytes) else json.dumps(result).encode()
    found: dict[str, Any] = json.loads(result_document("j", "k", "0.1", asked, {"result": content} | packed))
    return found


def refusal(result: Any, **more: Any) -> str:
    """Return why something is no result."""
    with pytest.raises(BadResult) as caught:
        document(result, **more)
    return str(caught.value)


def test_counts_come_back_as_they_were_brought():
    """In the words of the contract, and in those of the user API."""
    counts, divided = {"01": 4, "10": 6}, {"1": {"0": 4, "1": 6}, "0": {"0": 6, "1": 4}}
    found = document({"sampling": {"counts": counts, "divided_counts": divided}, "estimation": None})
    assert (found["display_name"], found["backend_version"], found["job_id"]) == ("k", "0.1", "j")
    (one,) = found["results"]
    assert (one["shots"], one["data"]["memory"], one["header"]["counts"]) == (10, [], counts)
    assert result_of(found) == {"sampling": {"counts": counts, "divided_counts": divided}}


def test_an_estimation_comes_back_as_it_was_brought():
    """With its transpilation."""
    told = {"transpiled_program": "P", "stats": {}, "virtual_physical_mapping": {}}
    found = document({"estimation": {"exp_value": -1.5, "stds": 0.25}}, job_type="estimation", transpile_result=told)
    assert result_of(found) == {"estimation": {"exp_value": -1.5, "stds": 0.25}}
    assert transpile_result_of(found) == told


def test_weighed_outcomes_are_as_many_shots_again():
    """Where the job asks for mitigation alone; what was brought stands beside them."""
    weighed = {"sampling": {"counts": {"0": 7.4, "1": 2.6}}}
    found = document({"sampling": {"counts": {"0": 7.4, "1": -0.2}}}, mitigated=True)
    data = found["results"][0]["data"]
    assert (data["counts"], data["reported"]) == ({"0": 10}, {"0": 7.4, "1": -0.2})
    assert "something else than counts, such as 7.4" in refusal(weighed)
    assert document({"sampling": {"counts": {"0": 9, "1": 3}}}, mitigated=True)["results"][0]["data"]["counts"] == {
        "0": 8,
        "1": 2,
    }


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff", "no JSON"),
        ([], "must hold an object"),
        ({}, "sampling: the job asks for one, and there is none"),
        ({"sampling": {}}, "must be an object of outcomes"),
        ({"sampling": {"counts": {}}}, "must be an object of outcomes"),
        ({"sampling": {"counts": {"0": 5, "1": 6}}}, "11 shots instead of 10"),
        ({"sampling": {"counts": {"0": 11, "1": -1}}}, "such as -1"),
        ({"sampling": {"counts": {"0": True, "1": 9}}}, "such as True"),
        ({"sampling": {"counts": {"0": 10**400}}}, "shots instead of 10"),
        ({"sampling": {"counts": {"0": 5, "01": 5}}}, "as many in each"),
        ({"sampling": {"counts": {"": 10}}}, "must be bits"),
        ({"sampling": {"counts": {"0" * 1025: 10}}}, "must be bits"),
        ({"sampling": {"counts": {"0": 10}, "divided_counts": {"a": {"0": 10}}}}, "numbers of the programs"),
        ({"sampling": {"counts": {"0": 10}, "divided_counts": {"0": {"0": 9}}}}, "divided_counts[0]: it has 9 shots"),
        ({"sampling": {"counts": {"0": 10}, "divided_counts": []}}, "must be an object of counts"),
    ],
)
def test_what_is_no_sampling_is_refused(result: Any, why: str):
    """Each with the place where it stands."""
    assert why in refusal(result)


@pytest.mark.parametrize("wrong", [b'{"estimation": {"exp_value": NaN, "stds": 0}}', {"estimation": {"exp_value": 1}}])
def test_what_is_no_estimation_is_refused(wrong: Any):
    """Both numbers are finite."""
    assert "must be a finite number" in refusal(wrong, job_type="estimation")


def test_all_faults_are_said_at_once():
    """Of the result, and of what comes beside it."""
    said = refusal({"estimation": {"exp_value": "1", "stds": -1}}, job_type="estimation", transpile_result=[])
    assert said.count(";") >= 4
    for place in ("exp_value", "stds", "transpile_result.json"):
        assert place in said


def test_numbers_that_json_does_not_have_are_refused_everywhere():
    """Also in what is kept as it comes."""
    asked = Asked(name="e", job_type="sampling", shots=1, mitigated=False)
    files = {"result": b'{"sampling": {"counts": {"0": 1}}}', "transpile_result": b'{"stats": Infinity}'}
    with pytest.raises(BadResult, match="not finite"):
        result_document("j", "k", "0.1", asked, files)
    with pytest.raises(BadResult, match="not uploaded"):
        result_document("j", "k", "0.1", asked, {})


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("failed to execute job on device", "failed to execute job on device"),
        ("no file /opt/engine/a.yaml\n  here", "no file (a path) here"),
        (r"no C:\engine\a.yaml", "no (a path)"),
        ("", SILENT),
        (" \n", SILENT),
        ("x\nTraceback (most recent call last):\n secret", SILENT),
        ("a\x1b[31mb", "a\\u001b[31mb"),
    ],
)
def test_what_an_engine_says_is_one_line_without_its_insides(message: str, said: str):
    """Paths and tracebacks are for whoever runs it."""
    assert said_of(message) == said


def test_a_long_message_is_cut():
    """No user reads a megabyte."""
    assert len(said_of("x y " * 1_000_000)) <= 500
