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
        MyMachine().validate(
            {"a": {"instructions": [["push", [0], []], ["pulse", [0], [7]]], "shots": 0, "num_wires": 1}}
        )
    assert caught.value.faults == [
        "a.instructions.0: an instruction is pulse or measure: [name, [wire], [parameters]]",
        "a.instructions.1.pulse.2.0: Input should be less than or equal to 6.3",
        "a.shots: Input should be greater than or equal to 1",
    ]
