"""What the machine promises, without a laboratory."""

import pytest
from my_machine import Faulty, MyMachine


def job(angle: float, shots: int = 1000) -> dict:
    return {
        "experiment_0": {
            "instructions": [["pulse", [0], [angle]], ["measure", [0], []]],
            "shots": shots,
            "num_wires": 1,
        }
    }


@pytest.mark.parametrize(("angle", "low", "high"), [(0.0, 0, 0), (3.14159, 950, 1000), (1.5708, 420, 560)])
def test_a_pulse_turns_the_spin(angle: float, low: int, high: int) -> None:
    machine = MyMachine()
    (result,) = machine.execute(machine.compile(machine.validate(job(angle)), seed=1))
    assert low <= result["data"]["memory"].count("1") <= high


def test_all_faults_are_named() -> None:
    with pytest.raises(Faulty) as caught:
        MyMachine().validate({"a": {"instructions": [["push", [0], []]], "shots": 0, "num_wires": 1}})
    assert len(caught.value.faults) >= 2
