"""Two jobs side by side, a job as it stood at a time, and results within what chance allows."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from scipy.special import chdtrc

from deployments.comparison import chance_of_more, compare_results
from models.calibrations import Calibration, version_of
from models.comparison import Record, compare
from models.facts import Compiled
from models.job import State
from models.past import job_at
from tests.unit.histories import CLAIMED, COMPILED, DONE, EXECUTED, NOW, SUBMITTED, VALIDATED, history, job_after
from tests.unit.sandbox_fakes import CONFIG


def test_a_job_as_it_stood():
    """What was recorded by then counts, to the microsecond."""
    events = history(*DONE)
    assert job_at(events, NOW - timedelta(microseconds=1)) is None
    states = [found.state for second in range(5) if (found := job_at(events, NOW + timedelta(seconds=second)))]
    assert states == [State.QUEUED, State.CLAIMED, State.VALIDATED, State.COMPILED, State.EXECUTED]
    assert job_at(events, NOW + timedelta(seconds=3, microseconds=999_999)) == job_after(*DONE[:4])
    assert job_at(events, NOW + timedelta(days=1)) == job_after(*DONE)


def a_record(readout: float, seed: int = 5, document: Any = None, **executed: Any) -> Record:
    """Return the record of a job that has run."""
    version = version_of(CONFIG, {"readout": readout})
    ran = EXECUTED.model_copy(update={"calibration_sha256": version.sha256, **executed})
    compiled = Compiled(program_sha256=f"p{seed}", program_bytes=1, seed=seed)
    submitted = SUBMITTED.model_copy(update={"document_sha256": str(document)})
    job = job_after(submitted, CLAIMED, VALIDATED, COMPILED, ran)
    return Record(job, document, compiled, Calibration(sha256=version.sha256, text=version.text))


def test_the_same_record_differs_in_nothing():
    """Ids and times are no difference."""
    assert compare(a_record(0.1), a_record(0.1)) == {}


def test_each_thing_that_differs_is_told():
    """Hashes, seeds, versions; of documents and calibrations the places."""
    one, other = {"shots": 1, "same": 2}, {"shots": 2, "same": 2}
    found = compare(a_record(0.1, document=one), a_record(0.2, seed=6, document=other, versions={"numpy": "2"}))
    assert (found["seed"], found["program"]) == ([5, 6], ["p5", "p6"])
    assert found["document"] == [{"path": "shots", "one": "1", "other": "2"}]
    assert found["calibration_changes"] == [{"path": "calibration.readout", "one": "0.1", "other": "0.2"}]
    assert found["versions"] == {"python": ["3.11", "-"], "numpy": ["-", "2"]}
    assert "backend" not in found
    reformatted = a_record(0.1, document=one)
    job = reformatted.job.model_copy(update={"document_sha256": "other"})
    assert compare(reformatted, reformatted._replace(job=job)) == {
        "document": [{"path": "as text alone", "one": None, "other": None}]
    }


def result(**memory: list[str]) -> dict[str, Any]:
    """Return a result document with these experiments."""
    return {
        "results": [
            {"header": {"name": name}, "shots": len(shots), "success": True, "data": {"memory": shots}}
            for name, shots in memory.items()
        ]
    }


def test_counts_within_chance_and_beyond():
    """Sixty and forty of a hundred are chance at 1 % (p = 0.0047 two-sided is not), fifty and fifty-five are."""
    (row,) = compare_results(result(a=["0"] * 60 + ["1"] * 40), result(a=["0"] * 40 + ["1"] * 60))
    # chi-squared of a 2 x 2 table: 200 (60 * 60 - 40 * 40)^2 / (100^4) = 8, one degree of freedom.
    assert row["p_value"] == pytest.approx(0.0046777, rel=1e-4)
    assert (row["distance"], row["same"], row["shots"]) == (0.2, False, [100, 100])
    (row,) = compare_results(result(a=["0"] * 50 + ["1"] * 50), result(a=["0"] * 55 + ["1"] * 45))
    assert row["p_value"] > 0.4
    (row,) = compare_results(result(a=["0"] * 9), result(a=["0"] * 9))
    assert (row["same"], row["distance"], row["p_value"]) == (True, 0.0, None)


@pytest.mark.parametrize("degrees", [1, 2, 3, 10, 101, 5000])
def test_the_tail_of_chi_squared(degrees: int):
    """As scipy has it, near and far from what is expected."""
    for squared in (0.0, 1e-9, 1.0, 0.9 * degrees, 1.1 * degrees, 5.0 * degrees):
        assert chance_of_more(squared, degrees) == pytest.approx(chdtrc(degrees, squared), rel=1e-9, abs=1e-300)


@pytest.mark.slow
def test_the_p_value_is_uniform_where_there_is_nothing_to_find():
    """Also with rare outcomes: of 200 pairs about 5 % fall below 0.05."""
    rng = np.random.default_rng(1)
    shares = [0.5, 0.3, 0.15, 0.04, 0.006, 0.004]
    below = 0
    for _ in range(200):
        one, other = (list(map(str, rng.choice(6, 300, p=shares))) for _ in range(2))
        below += compare_results(result(a=one), result(a=other))[0]["p_value"] < 0.05
    assert 2 <= below <= 20


def test_experiments_that_one_of_them_lacks_and_expectation_values():
    """They are not the same; values are compared in standard errors."""
    first, second = compare_results(result(a=["0"]), result(b=["0"]))
    assert (first["same"], first["shots"], second["shots"]) == (False, [1, None], [None, 1])
    one, other = (
        {"results": [{"header": {"name": "a"}, "shots": 9, "data": {"memory": [], "exp_value": value, "stds": 0.3}}]}
        for value in (0.0, 0.5)
    )
    (row,) = compare_results(
        one, {"results": [other["results"][0] | {"data": other["results"][0]["data"] | {"stds": 0.4}}]}
    )
    assert (row["values"], row["sigmas"]) == ([0.0, 0.5], 1.0)
