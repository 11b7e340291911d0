"""What the devices have in common: circuits of one execution are one run."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pennylane.devices import Device
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.wires import Wires

from quledger_client.client import Client
from quledger_client.errors import Fault, Refused
from quledger_client.runs import MAX_SEED, hand_in, seeded


class Part(NamedTuple):
    """The experiments of a circuit, and what makes its measurements."""

    experiments: list[dict[str, Any]]
    made: Callable[[list[Any]], Any]


@simulator_tracking
@single_tape_support
class LaboratoryDevice(Device):  # type: ignore[misc]  # PennyLane is published without types
    """A backend of a laboratory; the circuits of one execution are one job, or as many as their number needs.

    Args:
        wires: how many, or their labels; those of each circuit if there are none.
        shots: of circuits that do not say their own.
        backend: its name.
        client: of the laboratory; that of this machine if there is none.
        seed: of all random outcomes; None for seeds that the laboratory draws.
        labels: words to find the jobs by.
        group: name of the group that they belong to.

    Raises:
        NotFound: the laboratory has no such backend.
    """

    place: ClassVar[str]
    """By which `pennylane.device` finds it."""

    usual: ClassVar[str]
    """The backend where none is named."""

    def __init__(  # noqa: PLR0913 - one parameter an option
        self,
        wires: Any = None,
        shots: Any = None,
        *,
        backend: str | None = None,
        client: Client | None = None,
        seed: int | None = None,
        labels: Mapping[str, str] | None = None,
        group: str = "",
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        self.client = Client.local() if client is None else client
        self.backend = self.client.backend(self.usual if backend is None else backend)
        self._seeds = None if seed is None else np.random.default_rng(seed)
        self._options: dict[str, Any] = {"labels": labels, "group": group}

    @property
    def name(self) -> str:
        """By which `pennylane.device` finds it."""
        return self.place

    def execute(self, circuits: Any, execution_config: Any = None) -> tuple[Any, ...]:
        """Run circuits, and return what their measurements say.

        Raises:
            Refused: they have faults; all of them are listed.
            JobFailed: a job ended without a result.
        """
        del execution_config
        parts = self._parts(circuits)
        experiments = [experiment for part in parts for experiment in part.experiments]
        seed = None if self._seeds is None else int(self._seeds.integers(MAX_SEED + 1))
        run = hand_in(
            self.client,
            self.backend.name,
            seeded(experiments, seed),
            {"kind": "pennylane"},
            most=self.backend.limits.experiments,
            **self._options,
        )
        found = iter(run.experiments())
        return tuple(part.made(list(islice(found, len(part.experiments)))) for part in parts)

    def _parts(self, circuits: Sequence[Any]) -> list[Part]:
        """Return the experiments of each circuit.

        Raises:
            Refused: they have faults; where there are several circuits, each fault says of which it is.
        """
        parts, faults = [], []
        for place, tape in enumerate(circuits):
            try:
                # A measurement that is put off may need a wire that the device was not given.
                wires = Wires.all_wires([self.wires or tape.wires, tape.wires])
                numbers = range(len(wires))
                parts.append(self.part(tape, wires if self.wires or {*wires} != {*numbers} else Wires(numbers)))
            except Refused as error:
                where = f"circuit {place}, " if len(circuits) > 1 else ""
                faults += [Fault(f"{where}{each.field or 'wires'}", each.message) for each in error.faults]
        if faults:
            raise Refused("the circuit has faults" if len(circuits) == 1 else "the circuits have faults", faults)
        return parts

    def part(self, tape: Any, wires: Any) -> Part:
        """Return the experiments of a circuit: one with shots.

        Raises:
            Refused: it has faults; all of them are listed.
        """
        return Part([self.experiment(tape, wires)], lambda found: self._measured(tape, found[0].memory, wires))

    def _measured(self, tape: Any, memory: list[str], wires: Any) -> Any:
        """Return what the measurements of a circuit make of its shots, nested as PennyLane wants it."""
        read = self.outcomes(memory, len(wires))
        results = []
        for first, last in tape.shots.bins():
            values = tuple(self.value(each, read[first:last], tape, wires) for each in tape.measurements)
            results.append(values[0] if len(values) == 1 else values)
        return tuple(results) if tape.shots.has_partitioned_shots else results[0]

    def experiment(self, tape: Any, wires: Any) -> dict[str, Any]:
        """Return the experiment of a circuit, which reads all wires at its end.

        Raises:
            Refused: it has faults; all of them are listed.
        """
        raise NotImplementedError

    def outcomes(self, memory: list[str], size: int) -> Any:
        """Return the outcomes as numbers, shape (shots, wires)."""
        raise NotImplementedError

    def value(self, measurement: Any, outcomes: Any, tape: Any, wires: Any) -> Any:
        """Return what a measurement makes of outcomes."""
        raise NotImplementedError
