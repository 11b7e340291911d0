"""What each device of cold atoms takes, and what it publishes."""

import math
from typing import Any

import pytest

from models.job_language import coldatoms
from models.job_language.devices import DeviceSpec, backend_config
from tasks.backends.registry import BUILT_IN, load
from tests.unit.coldatoms_documents import DEVICES, MEASURE, accepted, document, places


@pytest.mark.parametrize("one", [1, 1.0, True])
def test_singlequdit_takes_any_number_that_is_one(one: float) -> None:
    """The single qudit takes 1, 1.0 and true as its number of wires."""
    assert accepted(document(MEASURE, num_wires=one)).num_wires == 1


@pytest.mark.parametrize("other", ["1", 2, 0, None, [1], math.nan])
def test_singlequdit_takes_no_other_number_of_wires(other: Any) -> None:
    """The single qudit refuses every other number of wires, and the text "1"."""
    assert places(document(MEASURE, num_wires=other)) == [(None, "num_wires")]


def test_singlequdit_needs_a_measure() -> None:
    """Without a measure the single qudit has no outcome: refused."""
    assert places(document(["rlx", [0], [0.1]])) == [(None, "instructions")]


@pytest.mark.parametrize("device", ["multiqudit", "fermions", "rydberg"])
def test_the_others_need_no_measure(device: str) -> None:
    """The other devices take an experiment without a measure."""
    assert accepted(document(["barrier", [], []]), device).instructions[0].name == "barrier"


@pytest.mark.parametrize(
    ("device", "instruction", "field"),
    [
        ("multiqudit", ["rlx", [2], [0.1]], "wires[0]"),
        ("multiqudit", ["load", [2], [3]], "wires[0]"),
        ("multiqudit", ["measure", [4], []], "wires[0]"),
        ("multiqudit", ["rlzlz", [1, 2], [0.1]], "wires[1]"),
        ("multiqudit", ["rlxly", [1, 0], [0.1]], "wires"),
        ("multiqudit", ["multiqudit_full", [0], [1, 1, 1, 1, 1]], "wires"),
        ("multiqudit", ["multiqudit_full", [1, 2], [1, 1, 1, 1, 1]], "wires"),
        ("rydberg", ["rlz", [3], [0.1]], "wires[0]"),
        ("rydberg", ["rydberg_full", [0, 1], [1, 1, 1]], "wires"),
        ("fermions", ["fint", [0, 1], [1]], "wires"),
        ("fermions", ["fhop", [0, 1, 2, 3], []], "params"),
        ("fermions", ["load", [8], []], "wires[0]"),
    ],
)
def test_wires_must_exist_and_be_coupled(device: str, instruction: Any, field: str) -> None:
    """A gate takes only wires that the experiment has, in a combination of the coupling map."""
    assert places(document(instruction, num_wires=2), device) == [(0, field)]


def test_a_chain_gate_on_a_shorter_chain_is_refused() -> None:
    """A five-wire exchange on two wires names each wire that is missing."""
    job = document(["rlxly", [0, 1, 2, 3, 4], [0.1]], num_wires=2)
    assert places(job, "multiqudit") == [(0, "wires[2]"), (0, "wires[3]"), (0, "wires[4]")]


@pytest.mark.parametrize(
    ("device", "instruction"),
    [
        ("multiqudit", ["barrier", [0, 3, 3], []]),
        ("multiqudit", ["multiqudit_full", [0, 1, 2, 3, 4], [1, 1, 1, 1, 1]]),
        ("rydberg", ["rydberg_block", [0, 1, 2, 3, 4], [1]]),
        ("fermions", ["load", [7], []]),
        ("fermions", ["fphase", [0, 1, 2, 3, 4, 5, 6, 7], [1]]),
        ("fermions", ["fhop", [0, 1, 2, 3, 4, 5, 6, 7], [1]]),
    ],
)
def test_what_acts_on_the_whole_device_ignores_num_wires(device: str, instruction: Any) -> None:
    """A barrier, a gate of the whole chain and every fermionic instruction may name wires beyond num_wires."""
    assert accepted(document(instruction), device).num_wires == 1


def test_fermions_have_one_wire_order() -> None:
    """The fermions take the interleaved wire order only."""
    assert places(document(MEASURE, wire_order="sequential"), "fermions") == [(None, "wire_order")]


def test_a_second_load_of_a_mode_is_found() -> None:
    """Loading a mode twice without a gate on it in between is a fault of the second load."""
    job = document(["load", [2], []], ["fphase", [0, 1], [1]], ["load", [2], []], MEASURE)
    assert places(job, "fermions") == [(2, "wires[0]")]


def test_spins_may_be_loaded_again() -> None:
    """A second load of a spin is no fault."""
    assert len(accepted(document(["load", [0], [5]], ["load", [0], [8]], MEASURE)).instructions) == 3


def test_the_configuration_counts_up_with_the_size() -> None:
    """A larger device publishes the coupling map of its size and the same gates."""
    config = backend_config(coldatoms.multiqudit(num_wires=7))
    gates = {gate.name: gate.coupling_map for gate in config.gates}
    assert config.num_wires == 7
    assert gates["rlxly"] == [[i, i + 1] for i in range(6)] + [list(range(7))]
    assert gates["multiqudit_full"][-1] == list(range(7))
    assert [gate.name for gate in config.gates] == [gate.name for gate in backend_config(DEVICES["multiqudit"]).gates]


def test_the_published_configuration_is_the_contracts() -> None:
    """The single qudit's configuration is, field by field and in order, what front ends know."""
    config = backend_config(DEVICES["singlequdit"]).model_dump()
    gate = {
        "coupling_map": [[0]],
        "description": "Evolution under Lx",
        "name": "rlx",
        "parameters": ["omega"],
        "qasm_def": "gate lrx(omega) {}",
    }
    assert config["gates"][0] == gate
    assert config["gates"][3]["parameters"] == ["omega, delta, chi"]
    assert config["supported_instructions"] == ["rlx", "rlz", "rlz2", "barrier", "measure", "load", "sq_full"]
    assert list(config)[:5] == ["description", "version", "display_name", "cold_atom_type", "gates"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_declared_gate_is_applied(name: str) -> None:
    """Each of them runs on every set of wires that is published; one that nothing applies is refused by its name."""
    backend: Any = load(name)
    device = backend.device
    needs = [row for row in (["load", [0], [1] if name != "fermions" else []],) if "load" in device.by_name]
    gates = [spec for spec in device.instructions if spec.coupling_map is not None]
    rows = [
        [spec.name, list(wires), [0.1] * len(spec.parameters)]
        for spec in gates
        for wires in spec.coupling_map or ()
        if len(wires) >= spec.wires[0]
    ]
    wires = 1 if device.fixed_wires else device.num_wires
    experiment = {"instructions": [*needs, *rows, ["measure", [0], []]], "num_wires": wires, "shots": 1}
    assert sum(backend.probabilities(backend.validate({"experiment_0": experiment})[0]).values()) == pytest.approx(1)
    unknown = gates[0].model_copy(update={"name": "twirl", "coupling_map": None})
    backend = type(backend)()
    backend.device = DeviceSpec(**dict(device) | {"instructions": (*device.instructions, unknown)})
    experiment["instructions"].insert(1, ["twirl", rows[0][1], rows[0][2]])
    with pytest.raises(NotImplementedError, match="the instruction twirl is declared"):
        backend.validate({"experiment_0": experiment})
