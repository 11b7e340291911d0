"""A circuit that is checked while it is built, and makes the document of a job."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from quledger_client.build.rules import Rules
from quledger_client.errors import Fault, Refused

Wires = int | Sequence[int]


class Circuit:
    """The instructions of one experiment.

    Args:
        wires: how many there are.
        shots: of the experiment; or say them when it is handed in.
        seed: of its random outcomes; drawn where there is none.
        wire_order: `interleaved` or `sequential`.
        rules: of the backend, as its server publishes them; those of the usual device if left out.

    Raises:
        Refused: the experiment, or an instruction that is added, cannot be run there; all faults are listed.
    """

    usual: ClassVar[Rules]
    """The rules of the device as it is usually published."""

    anywhere: ClassVar[frozenset[str]] = frozenset()
    """Instructions that may name wires beyond those of the experiment."""

    def __init__(
        self,
        wires: int,
        *,
        shots: int | None = None,
        seed: int | None = None,
        wire_order: str | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.rules = rules or self.usual
        self.wires, self.shots, self.seed, self.wire_order = wires, shots, seed, wire_order
        self._instructions: list[list[Any]] = []
        if faults := self._wrong_fields(shots):
            raise Refused("the experiment has faults", faults)

    @property
    def instructions(self) -> list[list[Any]]:
        """What was added so far, as it stands in the document."""
        return [[name, list(wires), list(values)] for name, wires, values in self._instructions]

    def add(self, name: str, wires: Wires, *values: Any) -> Self:
        """Add any instruction of the backend.

        Raises:
            Refused: there is none of this name, or it does not take these wires and values.
        """
        place = len(self._instructions)
        on, faults = _as_wires(wires)
        rule = self.rules.instructions.get(name)
        if rule is None:
            faults.append(Fault("name", f"{self.rules.backend} knows {', '.join(self.rules.instructions)}"))
        elif not faults:
            faults = rule.faults(on, values)
            if not any(each.field.startswith("wires") for each in faults):
                faults += self._beyond(name, on) + self._wrong(name, on)
        if faults:
            where = f"instruction {place} ({name})"
            raise Refused(f"{where} has faults", [Fault(f"{where}, {each.field}", each.message) for each in faults])
        assert rule is not None  # noqa: S101 - else there was a fault
        numbers = [int(v) if each.is_whole else float(v) for each, v in zip(rule.parameters, values, strict=True)]
        self._instructions.append([name, list(on), numbers])
        self._follow(name, on)
        return self

    def barrier(self, *wires: int) -> Self:
        """Do nothing, between what was added and what follows."""
        return self.add("barrier", wires)

    def document(self, shots: int | None = None) -> dict[str, Any]:
        """Return the job document.

        Args:
            shots: where the circuit has none.

        Raises:
            Refused: something is missing.
        """
        if None not in (shots, self.shots) and shots != self.shots:
            raise Refused(f"shots: the circuit says {self.shots}, and {shots} were asked for")
        count = self.shots if shots is None else shots
        faults = self._wrong_fields(count)
        if count is None:
            faults.append(Fault("shots", "say how many"))
        if not self._instructions:
            faults.append(Fault("instructions", "there is nothing to run"))
        elif self.rules.needs_measure and all(name != "measure" for name, *_ in self._instructions):
            faults.append(Fault("instructions", "there is no measure; without one there is no outcome"))
        if faults:
            raise Refused("the experiment has faults", faults)
        said = {"instructions": self.instructions, "num_wires": self.wires, "shots": count}
        if self.wire_order is not None:
            said["wire_order"] = self.wire_order
        if self.seed is not None:
            said["seed"] = self.seed
        return {"experiment_0": said}

    def _wrong(self, name: str, wires: tuple[int, ...]) -> list[Fault]:
        """Return what else is wrong with an instruction after those before it."""
        del name, wires
        return []

    def _follow(self, name: str, wires: tuple[int, ...]) -> None:
        """Take note of an instruction that was added."""

    def _beyond(self, name: str, wires: tuple[int, ...]) -> list[Fault]:
        if name in self.anywhere:
            return []
        return [
            Fault(f"wires[{place}]", f"got {wire}; the circuit has {self.wires} wires")
            for place, wire in enumerate(wires)
            if wire >= self.wires
        ]

    def _wrong_fields(self, shots: int | None) -> list[Fault]:
        ranges = [
            ("wires", self.wires, 1, self.rules.wires),
            ("shots", shots, 1, self.rules.shots),
            ("seed", self.seed, 0, self.rules.max_seed),
        ]
        faults = [
            Fault(name, f"got {value!r}; it must be a whole number from {low} to {high}")
            for name, value, low, high in ranges
            if value is not None and not (type(value) is int and low <= value <= high)
        ]
        if self.wire_order is not None and self.wire_order not in self.rules.wire_orders:
            orders = " or ".join(self.rules.wire_orders)
            faults.append(Fault("wire_order", f"got {self.wire_order!r}; it must be {orders}"))
        return faults

    def __len__(self) -> int:
        return len(self._instructions)

    def __repr__(self) -> str:
        names = ", ".join(name for name, *_ in self._instructions[:8])
        more = ", ..." if len(self._instructions) > 8 else ""  # noqa: PLR2004 - fits a line
        return f"<{type(self).__name__} of {self.wires} wires: {names or 'empty'}{more}>"


def _as_wires(wires: Any) -> tuple[tuple[int, ...], list[Fault]]:
    """Return wires as whole numbers, and what of them is none."""
    try:
        given = tuple(wires) if not hasattr(wires, "__index__") else (wires,)
        return tuple(wire.__index__() for wire in given), []
    except (TypeError, AttributeError):
        return (), [Fault("wires", f"got {wires!r}; wires are whole numbers")]
