"""What a job for qubits will cost, predicted from its circuits, and the limits it is held against.

The unit is that of `tasks.backends.cost`: one amplitude update, 2 to 4 ns of one core. A gate costs the amplitudes of
the state and a fixed part; a circuit whose shots are run one by one costs that for each shot. Measured on Aer 0.18.
"""

from typing import NamedTuple

from models.errors import Fault, JobRejected
from models.job_language.coercion import label
from models.words import count_of
from tasks.backends.cost import Limits, check_whole, number

ONCE = 10_000
"""The fixed part of a gate that runs once (about 30 microseconds: it is handed over from Python)."""

EACH_SHOT = 700
"""The fixed part of a gate that runs in each shot."""

PER_SHOT = 15
"""Making one bit string, in amplitude updates."""

GROWTH = 4
"""What a gate becomes on the device, about: rotations between fixed gates, swaps along the way."""

ROUNDS = 4
"""How often the body of a `while` is taken to run."""

QUBIT_LIMITS = Limits(max_dimension=2**24)


class Load(NamedTuple):
    """What one experiment asks for.

    Attributes:
        operations: elementary operations of one run.
        qubits: those that are touched.
        runs: circuits, each with all shots: the groups of an estimation, else 1.
        each_shot: every shot is run by itself.
        characters: of one bit string of the memory; 0 without a memory.
    """

    name: str
    operations: int
    qubits: int
    shots: int
    runs: int
    each_shot: bool
    characters: int

    @property
    def updates(self) -> float:
        """Amplitude updates of all shots."""
        amplitudes = float(2**self.qubits)
        if self.each_shot:
            work = self.shots * (self.operations * (amplitudes + EACH_SHOT) + PER_SHOT)
        else:
            work = self.operations * (amplitudes + ONCE) + 10 * amplitudes + self.shots * PER_SHOT
        return self.runs * work


def check(limits: Limits, loads: list[Load]) -> float:
    """Return the predicted amplitude updates of the whole job.

    Raises:
        JobRejected: with one fault for everything that is too dear.
    """
    faults = [fault for load in loads if (fault := _fault(limits, load)) is not None]
    size = sum(load.shots * (load.characters + 4) for load in loads if load.characters)
    work = sum(load.updates for load in loads)
    advice = 'use fewer shots, or say "memory": false, and the result holds counts alone'
    try:
        check_whole(limits, faults, work, size, advice)
    except JobRejected as error:
        # The words that the contract has for what is too dear speak of atoms.
        raise JobRejected(*(fault.model_copy(update={"code": "schema"}) for fault in error.faults)) from None
    return work


def _fault(limits: Limits, load: Load) -> Fault | None:
    if 2**load.qubits > limits.max_dimension:
        most = limits.max_dimension.bit_length() - 1
        message = f"the program touches {count_of(load.qubits, 'qubit')}; at most {most} are simulated together"
    elif load.updates > limits.max_cost:
        each = "for each shot, because outcomes or noise decide what follows" if load.each_shot else "once"
        shots = f"{number(load.shots)} {'shot' if load.shots == 1 else 'shots'}"
        message = (
            f"predicted to take {number(load.updates)} amplitude updates, the limit is {number(limits.max_cost)}:"
            f" about {number(load.operations)} operations on {count_of(load.qubits, 'qubit')} run {each}"
            f" ({shots}{f', {load.runs} circuits' if load.runs > 1 else ''})"
        )
    else:
        return None
    return Fault(experiment=label(load.name), field="program", message=message, code="cost")
