"""What the four simulators share: validation, the program, execution. The physics is in their own files.

A backend gives `predict` (what an experiment costs), `read` (the distribution of what is measured) and, if it must,
`inspect` (faults that only the physics shows).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from models.backend import JSON, BackendConfig
from models.documents import Experiment, Instruction
from models.errors import Fault, JobRejected
from models.job_language.devices import DeviceSpec, backend_config
from models.job_language.document_schema import document_schema
from models.job_language.instructions import MAX_FAULTS, validate_document
from tasks.backends.coldatoms.sampling import Readout, string_length
from tasks.backends.cost import Cost, Limits, check

PROGRAM_FORMAT = 1


_PASSIVE = ("load", "barrier", "measure")


def acts(item: Instruction) -> bool:
    """Say whether an instruction is a gate, and not one that says how a state of spins begins or is read."""
    return item.name not in _PASSIVE


class Unapplied(NotImplementedError):
    """The device declares an instruction that no code here knows."""

    def __init__(self, item: Instruction) -> None:
        super().__init__(f"the instruction {item.name} is declared, and nothing applies it")


class ColdAtomBackend(ABC):
    """A simulator of one device.

    Args:
        device: what it takes.
        limits: what a job may cost.
    """

    def __init__(self, device: DeviceSpec, limits: Limits | None = None) -> None:
        self.device = device
        self.limits = limits or Limits()
        self._config = backend_config(device)

    @property
    def config(self) -> BackendConfig:
        """The configuration as published."""
        return self._config

    @property
    def document_schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return document_schema(self.device)

    @abstractmethod
    def levels(self, experiment: Experiment) -> Sequence[int]:
        """Return the levels of each wire that a memory string may show, wire 0 first."""

    @abstractmethod
    def predict(self, experiment: Experiment) -> Cost:
        """Return what the gates of a validated experiment will cost; quick whatever the experiment."""

    @abstractmethod
    def read(self, experiment: Experiment) -> Readout:
        """Compute the experiment's state and return the distribution of what is measured."""

    def inspect(self, experiment: Experiment) -> list[Fault]:
        """Return the faults that only the physics shows; called when the cost is known to be bearable."""
        del experiment
        return []

    def measured(self, experiment: Experiment) -> list[int]:
        """Return the wire of each measure instruction, in their order."""
        return [instruction.wires[0] for instruction in experiment.instructions if instruction.name == "measure"]

    def probabilities(self, experiment: Experiment) -> dict[str, float]:
        """Return the exact distribution of the memory strings.

        Outcomes less probable than 1e-14 are left out. Without a measure the memory is empty, and so is this.

        Raises:
            ArithmeticError: the probabilities do not add up to 1 within 1e-6.
        """
        return self.read(experiment).distribution()

    def predicted_cost(self, experiments: Sequence[Experiment]) -> float:
        """Return the amplitude updates of a whole job.

        Raises:
            JobRejected: it is more than the limits allow, in time, memory or size of the result.
        """
        lengths = [string_length(self.levels(item), self.measured(item)) for item in experiments]
        return check(self.limits, experiments, [self.predict(item) for item in experiments], lengths)

    def validate(self, document: JSON) -> tuple[Experiment, ...]:
        """Return the experiments of a job document.

        Raises:
            JobRejected: with all faults of the document; or, if it has none, all that is too dear or unphysical.
        """
        experiments = validate_document(self.device, document)
        self.predicted_cost(experiments)
        faults = [fault for experiment in experiments for fault in self.inspect(experiment)]
        if faults:
            raise JobRejected(*faults[:MAX_FAULTS])
        return experiments

    def compile(self, experiments: Sequence[Experiment], seed: int) -> JSON:
        """Return the program: the experiments as they will run, with a resolved seed each.

        A seed of the user stays. The others follow from `seed` and the experiment's position, so that the one
        number makes the whole job reproducible (53 bits: any reader of JSON keeps them).

        Args:
            experiments: what `validate` returned.
            seed: 0 <= seed < 2**63.
        """
        return {
            "format": PROGRAM_FORMAT,
            "backend": self.device.display_name,
            "version": self.device.version,
            "cost": self.predicted_cost(experiments),
            "experiments": [
                {
                    "name": experiment.name,
                    "shots": experiment.shots,
                    "num_wires": experiment.num_wires,
                    "wire_order": experiment.wire_order,
                    "seed": _derived_seed(seed, index) if experiment.seed is None else experiment.seed,
                    "instructions": [
                        [item.name, list(item.wires), list(item.params)] for item in experiment.instructions
                    ],
                }
                for index, experiment in enumerate(experiments)
            ],
        }

    def execute(self, program: JSON) -> Iterator[JSON]:
        """Run a program of `compile`; yield one result of the contract per experiment, in order.

        Raises:
            ValueError: the program is not of this backend or of another format.
            ArithmeticError: the probabilities do not add up to 1 within 1e-6.
        """
        if program.get("format") != PROGRAM_FORMAT or program.get("backend") != self.device.display_name:
            raise ValueError(f"not a program of format {PROGRAM_FORMAT} for {self.device.display_name}")
        for item in program["experiments"]:
            yield self._run(item)

    def _run(self, item: dict[str, Any]) -> JSON:
        instructions = tuple(Instruction(name=n, wires=tuple(w), params=tuple(p)) for n, w, p in item["instructions"])
        experiment = Experiment(**{**item, "instructions": instructions})
        random = np.random.default_rng(item["seed"])
        return {
            "header": {"name": item["name"], "extra metadata": "text"},
            "shots": item["shots"],
            "success": True,
            "data": {
                "memory": self.read(experiment).draw(item["shots"], random),
                "instructions": [{"name": n, "wires": w, "params": p} for n, w, p in item["instructions"]],
            },
        }


def _derived_seed(seed: int, index: int) -> int:
    state = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1, np.uint64)
    return int(state[0]) >> 11
