"""What a job will cost, predicted before anything runs, and the limits it is held against.

The unit of work is one **amplitude update**: one complex amplitude multiplied and added once, 2 to 4 ns of one
core. A gate costs terms x dimension: `terms` is 1 for a phase, the number of polynomials times the terms of H for
an evolution of the whole chain, and about levels / 8 for a matrix on one wire (matrix products run that much
faster than single updates).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.documents import Experiment
from models.errors import Fault, JobRejected
from models.job_language.coercion import label

MATRIX_SPEED = 8
"""How many times faster a matrix product updates an amplitude than a plain array operation."""

GATE_OVERHEAD = 20_000
"""The least an instruction costs: about 50 microseconds, however small the system."""

PER_SHOT = 15
PER_OUTCOME = 500
"""Making one memory string, in amplitude updates."""

_WRITTEN_OUT = 1e7

INSTRUCTION_BYTES = 40
"""An instruction as it comes back in the result, without its numbers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a backend lets one job (all its experiments together) use.

    Attributes:
        max_cost: amplitude updates of the whole job; the default is 3 to 20 s of one core.
        max_dimension: amplitudes of one experiment's state; the default is 20 qubits (16 MB, five times that at work).
        max_result_bytes: size of the result document; the default is 256 MB.
    """

    max_cost: float = 5e9
    max_dimension: int = 2**20
    max_result_bytes: int = 2**28


@dataclass(frozen=True, slots=True)
class Cost:
    """The predicted cost of one experiment.

    Attributes:
        dimension: amplitudes of the largest state.
        gates: amplitude updates of each instruction, in their order; 0 for what is not computed.
    """

    dimension: int
    gates: Sequence[float]

    @property
    def updates(self) -> float:
        """Amplitude updates of all gates."""
        return sum(max(gate, GATE_OVERHEAD) for gate in self.gates)


def reading(experiment: Experiment, dimension: int, characters: int) -> tuple[float, int]:
    """Return what sampling costs (amplitude updates) and how large the result becomes (bytes).

    Args:
        experiment: its shots and instructions are counted.
        dimension: amplitudes of the state.
        characters: the longest memory string; 0 if nothing is measured.
    """
    instructions = sum(
        INSTRUCTION_BYTES + 4 * len(item.wires) + 20 * len(item.params) for item in experiment.instructions
    )
    if not characters:
        return float(dimension), instructions
    outcomes = min(dimension, experiment.shots)
    work = dimension * 5 + outcomes * (PER_OUTCOME + characters) + experiment.shots * PER_SHOT
    return float(work), instructions + experiment.shots * (characters + 4)


def check(limits: Limits, experiments: Iterable[Experiment], costs: Iterable[Cost], lengths: Iterable[int]) -> float:
    """Return the predicted amplitude updates of the whole job.

    Args:
        limits: what the backend allows.
        experiments: the job's.
        costs: of each experiment.
        lengths: the longest memory string of each experiment, in characters.

    Raises:
        JobRejected: with one fault for everything that is too dear.
    """
    faults: list[Fault] = []
    work, size = 0.0, 0
    for experiment, cost, characters in zip(experiments, costs, lengths, strict=True):
        if cost.dimension > limits.max_dimension:
            message = (
                f"too many atoms: the state has {number(cost.dimension)} amplitudes (the product of the levels of all"
                f" wires), the limit is {number(limits.max_dimension)}; use fewer atoms or fewer wires"
            )
            faults.append(Fault(experiment=label(experiment.name), field="instructions", message=message, code="cost"))
        elif cost.updates > limits.max_cost:
            faults.append(_too_dear(limits, experiment, cost))
        reading_work, reading_bytes = reading(experiment, cost.dimension, characters)
        work += cost.updates + reading_work
        size += reading_bytes
    check_whole(limits, faults, work, size, "use fewer shots, fewer measured wires or fewer experiments")
    return work


def check_whole(limits: Limits, faults: list[Fault], work: float, size: float, advice: str) -> None:
    """Refuse a job that is too dear in one of its experiments, or as a whole.

    Args:
        faults: those of the single experiments.
        work: of all experiments, in amplitude updates.
        size: of the predicted result, in bytes.
        advice: how the result would become smaller.

    Raises:
        JobRejected: with every fault.
    """
    if size > limits.max_result_bytes:
        message = (
            f"predicted result of {number(size / 1e6)} MB, the limit is {number(limits.max_result_bytes / 1e6)} MB"
            f" for the whole job; {advice}"
        )
        faults.append(Fault(field="shots", message=message, code="cost"))
    if work > limits.max_cost and not faults:
        message = (
            f"all experiments together are predicted to take {number(work)} amplitude updates, the limit is"
            f" {number(limits.max_cost)}; split the job"
        )
        faults.append(Fault(message=message, code="cost"))
    if faults:
        raise JobRejected(*faults)


def _too_dear(limits: Limits, experiment: Experiment, cost: Cost) -> Fault:
    dearest = max(range(len(cost.gates)), key=cost.gates.__getitem__)
    alone = cost.gates[dearest]
    if alone <= GATE_OVERHEAD:
        message = (
            f"{number(len(cost.gates))} instructions are predicted to take {number(cost.updates)} amplitude updates"
            f" ({number(GATE_OVERHEAD)} is the least for each), the limit is {number(limits.max_cost)}; use fewer gates"
        )
        return Fault(experiment=label(experiment.name), field="instructions", message=message, code="cost")
    message = (
        f"predicted to take {number(cost.updates)} amplitude updates, the limit is {number(limits.max_cost)};"
        f" this instruction alone takes {number(alone)}, about {number(alone / cost.dimension)} terms"
        f" x {number(cost.dimension)} amplitudes; use fewer atoms, smaller parameters or fewer gates"
    )
    return Fault(
        experiment=label(experiment.name),
        instruction=dearest,
        name=experiment.instructions[dearest].name,
        field="params",
        message=message,
        code="cost",
    )


def number(value: float) -> str:
    """Return a count as a physicist writes it: 10,125 or 3.1e+12."""
    if math.isinf(value):
        return "more than 1e300"
    return f"{value:,.0f}" if value < _WRITTEN_OUT else f"{value:.2g}"
