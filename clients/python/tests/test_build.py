"""Circuits are checked while they are built."""

import math
from typing import Any

import pytest

from quledger_client import JobSpec, Payload, Refused
from quledger_client.build import Circuit, Fermions, MultiQudit, Rules, Rydberg, SingleQudit
from quledger_client.work import document_of


def faults(make: Any) -> list[str]:
    """Return what is refused, in words."""
    with pytest.raises(Refused) as caught:
        make()
    return [str(fault) for fault in caught.value.faults]


def test_a_circuit_is_the_document_that_it_reads_like():
    circuit = SingleQudit(50, shots=500, seed=7).rlx(1.5).rlz(0.5).rlz2(0.25).sq_full(1, 2, 3).barrier().measure()
    assert circuit.document() == {
        "experiment_0": {
            "instructions": [
                ["load", [0], [50]],
                ["rlx", [0], [1.5]],
                ["rlz", [0], [0.5]],
                ["rlz2", [0], [0.25]],
                ["sq_full", [0], [1.0, 2.0, 3.0]],
                ["barrier", [], []],
                ["measure", [0], []],
            ],
            "num_wires": 1,
            "shots": 500,
            "seed": 7,
        }
    }
    assert len(circuit) == 7
    assert repr(SingleQudit().measure()) == "<SingleQudit of 1 wires: measure>"


def test_each_backend_has_its_gates():
    spins = MultiQudit(3, wire_order="sequential").load(0, 20).rlx(1, 1).rlz(2, 1).rlz2(0, 1).rlxly((0, 1), 1)
    spins.rlzlz((1, 2), 2).multiqudit_full(1, 2, 3, 4, 5).measure_all()
    assert [each[:2] for each in spins.instructions] == [
        ["load", [0]],
        ["rlx", [1]],
        ["rlz", [2]],
        ["rlz2", [0]],
        ["rlxly", [0, 1]],
        ["rlzlz", [1, 2]],
        ["multiqudit_full", [0, 1, 2]],
        ["measure", [0]],
        ["measure", [1]],
        ["measure", [2]],
    ]
    assert spins.document(5)["experiment_0"]["wire_order"] == "sequential"
    atoms = Rydberg().rlx(0, math.pi).rlz(4, 1).rydberg_block(1).rydberg_full(1, 2, 3).measure(2, 0)
    assert atoms.instructions[2:4] == [
        ["rydberg_block", [0, 1, 2, 3, 4], [1.0]],
        ["rydberg_full", [0, 1, 2, 3, 4], [1.0, 2.0, 3.0]],
    ]
    sites = Fermions().load(0, 3).fhop((0, 1, 2, 3), 0.5).fint(1).fphase((2, 3), 1).fhop("all", 1).measure_all()
    assert sites.document(1)["experiment_0"]["num_wires"] == 8
    assert sites.instructions[0] == ["load", [0], []]


def test_all_that_is_wrong_with_an_instruction_is_said_where_it_is_written():
    assert faults(lambda: MultiQudit(3).rlxly((0, 7), 99)) == [
        "instruction 0 (rlxly), wires[1]: got 7; a wire of rlxly is a whole number from 0 to 4",
        "instruction 0 (rlxly), params[0]: got 99; J must be a number from 0 to 62.83185307179586",
    ]
    (words,) = faults(lambda: MultiQudit(2).rlxly((0, 2), 1))
    assert words.endswith("got [0, 2]; rlxly acts on one of [0, 1], [0, 1, 2, 3, 4], [1, 2], [2, 3], [3, 4]")
    assert faults(lambda: Rydberg(2).rlx(1, 0).rlx(3, 0)) == [
        "instruction 1 (rlx), wires[0]: got 3; the circuit has 2 wires"
    ]
    assert faults(lambda: SingleQudit(501)) == [
        "instruction 0 (load), params[0]: got 501; atoms must be a whole number from 1 to 500"
    ]
    assert len(faults(lambda: SingleQudit(1.5))) == 1
    for bad in (math.nan, math.inf, -0.1, "x", None, [1]):
        assert len(faults(lambda bad=bad: SingleQudit().rlx(bad))) == 1
    assert faults(lambda: SingleQudit().add("hop", 0)) == [
        "instruction 0 (hop), name: singlequdit knows rlx, rlz, rlz2, barrier, measure, load, sq_full"
    ]
    assert faults(lambda: MultiQudit(2).rlx("0", 1)) == ["instruction 0 (rlx), wires: got '0'; wires are whole numbers"]
    assert faults(lambda: MultiQudit(2).add("rlx", 0)) == [
        "instruction 0 (rlx), params: got 0 parameters; rlx takes 1 (omega)"
    ]
    assert faults(lambda: MultiQudit(2).add("rlx", [], 1)) == [
        "instruction 0 (rlx), wires: got []; rlx acts on one of [0], [1], [2], [3], [4]"
    ]


def test_a_fermion_finds_no_room_where_one_is():
    circuit = Fermions().load(0)
    words = ["instruction 1 (load), wires[0]: wire 0 already holds a particle; Pauli's principle forbids a second one"]
    assert faults(lambda: circuit.load(0)) == words
    assert faults(lambda: circuit.add("load", 0)) == words
    assert len(circuit.fhop((0, 1, 2, 3), 1).load(0)) == 3


def test_an_experiment_is_checked_as_a_whole():
    assert faults(lambda: MultiQudit(6, shots=0, seed=-1, wire_order="x")) == [
        "wires: got 6; it must be a whole number from 1 to 5",
        "shots: got 0; it must be a whole number from 1 to 1000000",
        "seed: got -1; it must be a whole number from 0 to 4294967295",
        "wire_order: got 'x'; it must be interleaved or sequential",
    ]
    assert faults(lambda: SingleQudit().document()) == ["shots: say how many", "instructions: there is nothing to run"]
    assert faults(lambda: SingleQudit(3).document(1)) == [
        "instructions: there is no measure; without one there is no outcome"
    ]
    assert faults(lambda: SingleQudit(shots=3).measure().document(4)) == [
        "shots: the circuit says 3, and 4 were asked for"
    ]
    assert faults(lambda: Fermions(wire_order="sequential")) == ["wire_order: got 'sequential'; it must be interleaved"]


def test_what_was_refused_was_not_added():
    circuit = SingleQudit(3)
    faults(lambda: circuit.rlx(-1))
    assert circuit.instructions == [["load", [0], [3]]]
    circuit.instructions.clear()
    assert len(circuit) == 1


def test_several_circuits_are_the_experiments_of_one_document():
    document = document_of([SingleQudit(n).measure() for n in (1, 2)], 10)
    assert [document[f"experiment_{n}"]["instructions"][0][2] for n in (0, 1)] == [[1], [2]]


def test_a_backend_that_says_no_instructions_has_no_rules():
    with pytest.raises(ValueError, match="says no instructions"):
        Rules.of("x", {"title": "Job for x"})
    assert isinstance(SingleQudit(), Circuit)


@pytest.mark.parametrize(
    ("work", "shots", "said"),
    [
        ({"experiment_0": {"shots": 5}}, None, {"document": {"experiment_0": {"shots": 5}}}),
        ({"experiment_0": {}}, 7, {"document": {"experiment_0": {"shots": 7}}}),
        ({"program": "x"}, 7, {"document": {"program": "x", "shots": 7}}),
        (' {"a": 1}', None, {"document": ' {"a": 1}'}),
        ("OPENQASM 3;", 7, {"program": "OPENQASM 3;", "shots": 7}),
        (Payload("ab"), None, {"document_sha256": "ab"}),
        (
            [["rlx", (2,), (1,)]],
            7,
            {"document": {"experiment_0": {"instructions": [["rlx", [2], [1]]], "num_wires": 3, "shots": 7}}},
        ),
    ],
)
def test_what_is_handed_in_is_said_as_the_api_takes_it(work: Any, shots: int | None, said: dict[str, Any]):
    assert JobSpec("b", work, shots=shots).body() == {"backend": "b"} | said


@pytest.mark.parametrize(
    ("work", "options", "words"),
    [
        ({"experiment_0": {"shots": 5}}, {"shots": 6}, "experiment_0.shots: the document says 5, and 6 were asked for"),
        ({"experiment_0": {}}, {"seed": 6}, "seed: it is for an OpenQASM program"),
        ('{"a": 1}', {"shots": 6}, "says its own"),
        ([["rlx", [0], [1]]], {}, "shots: say how many"),
        ([["rlx", [0]], "x"], {"shots": 1}, "list of three"),
        (3, {}, "int is no document"),
        ([], {"shots": 1}, "list is no document"),
    ],
)
def test_what_cannot_be_handed_in_is_refused_here(work: Any, options: dict[str, Any], words: str):
    with pytest.raises(Refused, match=words):
        JobSpec("b", work, **options).body()
