"""The circuits of the Python client are judged as the laboratory judges them."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quledger_client import Refused
from quledger_client.build import Circuit, Fermions, MultiQudit, Rules, Rydberg, SingleQudit

from models.errors import JobRejected
from models.job_language import coldatoms
from models.job_language.devices import DeviceSpec
from models.job_language.document_schema import document_schema
from models.job_language.instructions import validate_document

DEVICES: list[tuple[type[Circuit], DeviceSpec]] = [
    (SingleQudit, coldatoms.singlequdit()),
    (MultiQudit, coldatoms.multiqudit()),
    (Fermions, coldatoms.fermions()),
    (Rydberg, coldatoms.rydberg()),
]
NUMBERS = st.sampled_from([0, 1, 2.5, -1, 7, 63, 500, 501, 1.5e7, 1.6e7, math.pi, 2 * math.pi, 20 * math.pi])


@pytest.mark.parametrize(("circuit", "device"), DEVICES)
def test_the_usual_rules_are_those_that_are_published(circuit: type[Circuit], device: DeviceSpec):
    """Each instruction, wire, combination and range."""
    assert circuit.usual == Rules.of(device.display_name, document_schema(device))


def test_another_device_has_other_rules():
    """They come with its schema."""
    rules = Rules.of("rydberg", document_schema(coldatoms.rydberg(3)))
    circuit = Rydberg(rules=rules).rydberg_block(1).measure_all()
    assert validate_document(coldatoms.rydberg(3), circuit.document(1))
    with pytest.raises(Refused, match="a whole number from 1 to 3"):
        Rydberg(4, rules=rules)


def made(kind: type[Circuit], wires: int) -> Circuit:
    """Return an empty circuit of a kind."""
    return kind(wires) if kind in (MultiQudit, Rydberg) else kind()


@pytest.mark.slow
@settings(max_examples=150)
@given(data=st.data(), place=st.integers(0, 3))
def test_what_is_added_is_what_the_laboratory_takes(data: st.DataObject, place: int):
    """And what is refused, it refuses: instruction after instruction."""
    kind, device = DEVICES[place]
    circuit = made(kind, data.draw(st.integers(1, device.num_wires)))
    specs = {spec.name: spec for spec in device.instructions}
    for _ in range(data.draw(st.integers(1, 5))):
        spec = specs[data.draw(st.sampled_from(sorted(specs)))]
        wires = st.lists(st.integers(0, device.num_wires), max_size=device.num_wires)
        if spec.coupling_map is not None:
            wires |= st.sampled_from([list(each) for each in spec.coupling_map])
        on = data.draw(wires)
        values = data.draw(st.lists(NUMBERS, min_size=len(spec.parameters), max_size=len(spec.parameters)))
        said: dict[str, Any] = {
            "instructions": [*circuit.instructions, [spec.name, on, values], ["measure", [0], []]],
            "num_wires": circuit.wires,
            "shots": 1,
        }
        try:
            validate_document(device, {"experiment_0": said})
        except JobRejected:
            with pytest.raises(Refused):
                circuit.add(spec.name, on, *values)
        else:
            circuit.add(spec.name, on, *values)
    if len(circuit):
        circuit.add("measure", 0)
        assert len(validate_document(device, circuit.document(3))[0].instructions) == len(circuit)
