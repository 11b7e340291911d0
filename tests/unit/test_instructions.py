"""What a job document of cold atoms may say, and how its faults are named."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.documents import Experiment
from models.errors import Fault, JobRejected
from models.job_language.instructions import validate_document
from tests.unit.coldatoms_documents import DEVICES, MEASURE, accepted, document, faults, places


def test_numbers_may_be_texts_integral_floats_and_booleans() -> None:
    """Numbers written as text, as an integral float or as true are read as the numbers they stand for."""
    job = document(
        ["load", ["0"], ["5"]], ["rlx", [0.0], ["0.7"]], ["rlz", [False], [True]], MEASURE, shots="50", seed=3.0
    )
    experiment = accepted(job)
    assert experiment.shots == 50
    assert experiment.seed == 3
    assert [(item.wires, item.params) for item in experiment.instructions[:3]] == [
        ((0,), (5,)),
        ((0,), (0.7,)),
        ((0,), (1,)),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[
            ("shots", value)
            for value in (0, -1, 1_000_001, 1.5, "many", None, [5], {}, math.nan, math.inf, 10**400, "")
        ],
        *[("seed", value) for value in (-1, 2**32, 1.5, "abc", [1], math.nan, 10**400)],
        *[("wire_order", value) for value in ("linear", None, 1, ["interleaved"], "INTERLEAVED")],
        *[("instructions", value) for value in (None, "measure", {}, 5, [])],
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    """A field of the experiment that cannot be used is the one fault that is reported."""
    assert places(document(MEASURE, **{field: value})) == [(None, field)]


@pytest.mark.parametrize("field", ["shots", "num_wires", "instructions"])
def test_a_missing_field_is_named(field: str) -> None:
    """A field that is missing is reported as missing."""
    job = document(MEASURE)
    del job["experiment_0"][field]
    (fault,) = faults(job)
    assert fault.field == field
    assert "missing" in fault.message


def test_a_program_is_sent_on_to_where_programs_are_run() -> None:
    """An OpenQASM text handed in here is that one fault, beside those of what both have."""
    found = faults({"experiment_0": {"program": "OPENQASM 3;", "shots": 0}})
    assert [fault.field for fault in found] == ["shots", "program"]
    assert found[1].message == "this is for qubit devices, which run OpenQASM; here it must be instructions"
    assert (None, "program") not in places({"experiment_0": {"program": "", "instructions": [], "shots": 1}})


def test_seed_and_wire_order_may_be_left_out() -> None:
    """Without a seed the choice is left to the compilation, and without a wire order it is interleaved."""
    experiment = accepted(document(MEASURE))
    assert (experiment.seed, experiment.wire_order) == (None, "interleaved")
    assert accepted(document(MEASURE, seed=None)).seed is None
    assert accepted(document(MEASURE, seed=2**32 - 1)).seed == 2**32 - 1


def test_unknown_keys_and_further_items_are_ignored() -> None:
    """Unknown keys of an experiment and items after the third of an instruction change nothing."""
    plain = accepted(document(["rlx", [0], [0.1]], MEASURE))
    assert accepted(document(["rlx", [0], [0.1], "note", {}], MEASURE, tags=["x"], author="me")) == plain


@pytest.mark.parametrize(
    ("instruction", "field"),
    [
        (["rlx", [0]], None),
        ([], None),
        ("rlx", None),
        (None, None),
        ({"name": "rlx", "wires": [0], "params": [0.1]}, None),
        ([5, [0], [0.1]], "name"),
        ([None, [0], [0.1]], "name"),
        (["cnot", [0], []], "name"),
        (["RLX", [0], [0.1]], "name"),
        (["rlx", 0, [0.1]], "wires"),
        (["rlx", [], [0.1]], "wires"),
        (["rlx", [0, 0], [0.1]], "wires"),
        (["rlx", [1], [0.1]], "wires[0]"),
        (["rlx", [-1], [0.1]], "wires[0]"),
        (["rlx", [0.5], [0.1]], "wires[0]"),
        (["rlx", ["zero"], [0.1]], "wires[0]"),
        (["rlx", [None], [0.1]], "wires[0]"),
        (["rlx", [10**400], [0.1]], "wires[0]"),
        (["rlx", [math.nan], [0.1]], "wires[0]"),
        (["rlx", [0], 0.1], "params"),
        (["rlx", [0], {"omega": 1}], "params"),
        (["rlx", [0], []], "params"),
        (["rlx", [0], [0.1, 0.2]], "params"),
        (["rlx", [0], [None]], "params[0]"),
        (["rlx", [0], ["x"]], "params[0]"),
        (["rlx", [0], [[0.1]]], "params[0]"),
        (["rlx", [0], [-1e-320]], "params[0]"),
        (["rlx", [0], [6.29]], "params[0]"),
        (["rlx", [0], [math.nan]], "params[0]"),
        (["rlx", [0], ["nan"]], "params[0]"),
        (["rlx", [0], [math.inf]], "params[0]"),
        (["rlx", [0], [10**400]], "params[0]"),
        (["load", [0], [0]], "params[0]"),
        (["load", [0], [501]], "params[0]"),
        (["load", [0], [2.5]], "params[0]"),
        (["measure", [0], [1]], "params"),
        (["barrier", [0, 0], []], "wires"),
    ],
)
def test_a_wrong_instruction_is_named(instruction: Any, field: str | None) -> None:
    """A fault in an instruction names its position and the field, and is the only one."""
    assert places(document(["rlz", [0], [0.1]], instruction, MEASURE)) == [(1, field)]


def test_a_range_of_whole_numbers_is_said_in_whole_numbers() -> None:
    """The fault of a number of atoms says between which ones it has to be."""
    (fault,) = faults(document(["load", [0], [501]], MEASURE))
    assert fault.message == "got 501; atoms must be a whole number from 1 to 500"


@pytest.mark.parametrize("angle", [0, 0.0, -0.0, 1e-320, 2 * math.pi, "1e-3", True])
def test_the_ends_of_a_range_belong_to_it(angle: Any) -> None:
    """An angle at either end of its range, a negative zero and the smallest numbers are accepted."""
    assert accepted(document(["rlx", [0], [angle]], MEASURE)).instructions[0].params == (float(angle),)


@pytest.mark.parametrize(
    "name", ["experiment_0", "experiment_1000", "experiment_007", "experiment_٣", "experiment_" + "0" * 300]
)
def test_an_experiment_is_named_by_a_number(name: str) -> None:
    """Any decimal number up to the largest names an experiment, and the name comes back as it was."""
    assert accepted({name: document(MEASURE)["experiment_0"]}).name == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "experiment_", "experiment_²", "experiment_1.5", "experiment_-1", "experiment_ 1", "experiment_1001"),
        *("Experiment_0", "foo", "experiment_" + "9" * 5000, "experiment_\ud800", "x" * 10**6),
    ],
)
def test_another_name_is_refused_and_never_echoed_at_length(name: str) -> None:
    """A name that is no number within the limit is refused, in a message that is short and can be written anywhere."""
    (fault,) = faults({name: document(MEASURE)["experiment_0"]})
    assert len(str(fault).encode()) < 500


@pytest.mark.parametrize("job", [None, 5, "abc", [], [1], True, {}])
def test_a_document_must_hold_experiments(job: Any) -> None:
    """What is not an object with experiments has exactly one fault."""
    assert len(faults(job)) == 1


@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_an_experiment_must_be_an_object(value: Any) -> None:
    """An experiment that is not an object is refused under its name."""
    (fault,) = faults({"experiment_4": value})
    assert fault.experiment == "experiment_4"


def test_too_many_experiments_are_counted() -> None:
    """The number of experiments is limited, not only the number in their names."""
    one = document(MEASURE)["experiment_0"]
    (fault,) = faults(
        {f"experiment_{index:04}" if index < 1000 else f"experiment_{index - 1000}": one for index in range(1010)}
    )
    assert "1010" in fault.message


def test_all_faults_are_listed_at_once() -> None:
    """Every fault of every experiment is in one answer."""
    job = document(["rlx", [7], [9.0]], ["cnot", [0], []], MEASURE, shots=0)
    job["experiment_1"] = {"instructions": [MEASURE], "num_wires": 1, "shots": "x"}
    found = [(fault.experiment, fault.instruction, fault.field) for fault in faults(job)]
    assert found == [
        ("experiment_0", None, "shots"),
        ("experiment_0", 0, "wires[0]"),
        ("experiment_0", 0, "params[0]"),
        ("experiment_0", 1, "name"),
        ("experiment_1", None, "shots"),
    ]


def test_the_list_of_faults_ends() -> None:
    """After a thousand faults the search is given up."""
    assert len(faults(document(*[["rlx", [9], ["x"]]] * 5000))) == 1000


def test_long_values_are_cut() -> None:
    """A megabyte of name, wire or parameter is not repeated in the message."""
    huge = "a" * 10**6
    for instruction in ([huge, [0], []], ["rlx", [huge], [0.1]], ["rlx", [0], [huge]], ["measure", [0] * 10**5, []]):
        assert sum(len(str(fault)) for fault in faults(document(instruction, MEASURE))) < 1000


def answer(job: Any, device: str) -> tuple[Experiment, ...] | tuple[Fault, ...]:
    """Return the experiments of a job, or its faults."""
    try:
        return validate_document(DEVICES[device], job)
    except JobRejected as rejected:
        return rejected.faults


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["rlx", "load", "measure"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["shots", "instructions", "seed"]), inner)
    ),
    max_leaves=12,
)


@given(
    device=st.sampled_from(sorted(DEVICES)),
    instructions=st.lists(st.tuples(anything, anything, anything).map(list) | anything, max_size=4) | anything,
    shots=anything,
)
def test_any_document_is_accepted_or_refused(device: str, instructions: Any, shots: Any) -> None:
    """Whatever a document holds, the answer is an experiment or a list of faults that JSON can write."""
    job = document(*(instructions if isinstance(instructions, list) else [instructions]), shots=shots)
    found = answer(job, device)
    assert found
    assert json.dumps([item.model_dump() for item in found])
