"""OQTOPUS: results, times and states in its words."""

from typing import Any, get_args

import pytest

from deployments.api.dialects.oqtopus_results import result_of, rounded, transpile_result_of
from deployments.api.dialects.oqtopus_views import Status, message_of, states_of, status_of, times_of
from models.clock import to_text
from models.facts import Cancelled, Fact
from models.job import FINAL, State, fold
from tests.unit.histories import (
    CANCEL_REQUESTED,
    CLAIMED,
    COMPILED,
    DONE,
    FAILED,
    GAVE_UP,
    REVIVED,
    SUBMITTED,
    VALIDATED,
    history,
)


def document(shots: int = 100, **data: Any) -> dict[str, Any]:
    """Return a result document."""
    return {"results": [{"header": {"name": "experiment_0"}, "shots": shots, "data": {"memory": []} | data}]}


def test_counts_and_their_parts() -> None:
    """As they were read."""
    assert result_of(document(counts={"00": 60, "11": 40})) == {"sampling": {"counts": {"00": 60, "11": 40}}}
    parts = {"0": {"0": 60, "1": 40}, "1": {"0": 60, "1": 40}}
    assert result_of(document(counts={"00": 60, "11": 40}, divided_counts=parts)) == {
        "sampling": {"counts": {"00": 60, "11": 40}, "divided_counts": parts}
    }


def test_an_estimation() -> None:
    """The better value where there are two, the other beside it."""
    assert result_of(document(exp_value=0.5, stds=0.1)) == {"estimation": {"exp_value": 0.5, "stds": 0.1}}
    raw = {"exp_value": 0.4, "stds": 0.2}
    assert result_of(document(exp_value=0.5, stds=0.1, unmitigated=raw)) == {
        "estimation": {"exp_value": 0.5, "stds": 0.1},
        "unmitigated": {"estimation": raw},
    }


def test_mitigated_counts_are_rounded_and_stay_as_many() -> None:
    """Divided by program too, whose bits stand side by side, program 0 rightmost."""
    found = result_of(
        document(
            counts={"000": 50, "011": 45, "100": 5},
            divided_counts={"0": {"00": 55, "11": 45}, "1": {"0": 95, "1": 5}},
            mitigated={"000": 50.4, "011": 48.3, "100": 1.3},
        )
    )

    assert found == {
        "sampling": {
            "counts": {"000": 51, "011": 48, "100": 1},
            "divided_counts": {"0": {"00": 52, "11": 48}, "1": {"0": 99, "1": 1}},
        },
        "unmitigated": {
            "sampling": {
                "counts": {"000": 50, "011": 45, "100": 5},
                "divided_counts": {"0": {"00": 55, "11": 45}, "1": {"0": 95, "1": 5}},
            }
        },
    }


@pytest.mark.parametrize(
    ("values", "total", "right"),
    [
        ({"0": 0.5, "1": 0.5}, 1, {"0": 1}),
        ({"0": 33.4, "1": 33.3, "2": 33.3}, 100, {"0": 34, "1": 33, "2": 33}),
        ({"0": 99.6, "1": 0.4}, 100, {"0": 100}),
        ({"0": 2.0}, 4, {"0": 4}),
        ({}, 0, {}),
    ],
)
def test_rounding(values: dict[str, float], total: int, right: dict[str, int]) -> None:
    """The largest fractions are rounded up."""
    assert rounded(values, total) == right


def test_what_was_run() -> None:
    """The program on physical qubits, where each qubit is, and how long it got."""
    transpiled = {
        "program": "OPENQASM 3.0;",
        "layout": [5, 4],
        "depth": 3,
        "two_qubit_gates": 1,
        "operations": {"cx": 1},
    }

    assert transpile_result_of(document(counts={"00": 100}, transpiled=transpiled)) == {
        "transpiled_program": "OPENQASM 3.0;",
        "stats": {"after": {"depth": 3, "n_gates_2q": 1, "operations": {"cx": 1}}},
        "virtual_physical_mapping": {"qubit_mapping": {"0": 5, "1": 4}, "bit_mapping": {"0": 0, "1": 1}},
    }
    assert transpile_result_of(document(counts={"00": 100})) is None


@pytest.mark.parametrize(
    ("facts", "status", "times"),
    [
        ((SUBMITTED,), "submitted", ["submitted_at"]),
        ((SUBMITTED, CLAIMED), "ready", ["submitted_at", "ready_at"]),
        ((SUBMITTED, CLAIMED, VALIDATED), "ready", ["submitted_at", "ready_at"]),
        ((SUBMITTED, CLAIMED, VALIDATED, COMPILED), "running", ["submitted_at", "ready_at", "running_at"]),
        (
            (SUBMITTED, CLAIMED, VALIDATED, COMPILED, CANCEL_REQUESTED),
            "cancelling",
            ["submitted_at", "ready_at", "running_at"],
        ),
        (DONE, "succeeded", ["submitted_at", "ready_at", "running_at", "ended_at"]),
        ((SUBMITTED, CLAIMED, FAILED), "failed", ["submitted_at", "ready_at", "ended_at"]),
        ((SUBMITTED, CANCEL_REQUESTED, Cancelled()), "cancelled", ["submitted_at", "ended_at"]),
        ((SUBMITTED, CLAIMED, GAVE_UP, REVIVED), "submitted", ["submitted_at", "ready_at"]),
    ],
)
def test_where_a_job_stands(facts: tuple[Fact, ...], status: Status, times: list[str]) -> None:
    """In the eight words, with the moment at which it came there; a job that waits again has not ended."""
    events = history(*facts)
    job = fold(events)
    assert job is not None

    assert status_of(job) == status
    assert job.state in states_of(status)
    found = times_of(job, events[1:])
    assert list(found) == times
    assert found["submitted_at"] == to_text(events[0].recorded_at)
    if "ended_at" in times:
        assert found["ended_at"] == to_text(events[-1].recorded_at)


def test_every_state_has_a_word() -> None:
    """Each status leads back to its states, and `registered` to none: there is no job yet."""
    assert states_of("registered") == []
    assert set(states_of("cancelling")) == set(State) - FINAL
    assert set().union(*(states_of(each) for each in get_args(Status))) == set(State)


def test_why_there_is_no_result() -> None:
    """All faults of a job, as the log has them."""
    failed, done = fold(history(SUBMITTED, CLAIMED, FAILED)), fold(history(*DONE))
    cancelled = fold(history(SUBMITTED, CANCEL_REQUESTED, Cancelled()))
    assert failed is not None
    assert done is not None
    assert cancelled is not None

    assert message_of(failed) == "experiment_0: wrong; and 2 more"
    assert message_of(cancelled) == "the job was cancelled"
    assert message_of(done) is None
