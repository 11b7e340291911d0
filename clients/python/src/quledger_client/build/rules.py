"""What a backend takes, instruction by instruction, read from the JSON Schema that it publishes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quledger_client.errors import Fault

MAX_SHOWN = 8
"""Combinations of wires that are written out in a message."""


@dataclass(frozen=True)
class Parameter:
    """A number that an instruction takes; both ends belong to its range."""

    name: str
    low: float
    high: float
    is_whole: bool = False

    def fault(self, value: Any) -> str:
        """Return what is wrong with a value; empty if nothing is."""
        sort = "a whole number" if self.is_whole else "a number"
        right = f"{self.name} must be {sort} from {self.low:g} to {self.high!r}"
        try:
            number = float(value)
        except (TypeError, ValueError):
            return f"got {value!r}; {right}"
        is_right = math.isfinite(number) and self.low <= number <= self.high
        return "" if is_right and not (self.is_whole and number != int(number)) else f"got {value!r}; {right}"


@dataclass(frozen=True)
class Instruction:
    """An instruction.

    Attributes:
        fewest, most: how many wires it takes.
        highest: the highest wire.
        couplings: the combinations of wires on which it acts; None if all will do.
    """

    name: str
    fewest: int
    most: int
    highest: int
    parameters: tuple[Parameter, ...] = ()
    couplings: frozenset[tuple[int, ...]] | None = None

    def faults(self, wires: tuple[int, ...], values: Sequence[Any]) -> list[Fault]:
        """Return all that is wrong with wires and values."""
        wrong = [
            Fault(f"wires[{place}]", f"got {wire}; a wire of {self.name} is a whole number from 0 to {self.highest}")
            for place, wire in enumerate(wires)
            if not 0 <= wire <= self.highest
        ]
        if not wrong and self.couplings is not None and wires not in self.couplings:
            wrong.append(Fault("wires", f"got {list(wires)}; {self.name} acts on {_combinations(self.couplings)}"))
        elif not wrong and not self.fewest <= len(wires) <= self.most:
            span = f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} to {self.most}"
            wrong.append(Fault("wires", f"got {len(wires)} wires; {self.name} takes {span}"))
        if len(values) != len(self.parameters):
            names = ", ".join(each.name for each in self.parameters)
            takes = f"{len(self.parameters)} ({names})" if names else "none"
            return [*wrong, Fault("params", f"got {len(values)} parameters; {self.name} takes {takes}")]
        for place, (parameter, value) in enumerate(zip(self.parameters, values, strict=True)):
            if fault := parameter.fault(value):
                wrong.append(Fault(f"params[{place}]", fault))
        return wrong


@dataclass(frozen=True)
class Rules:
    """What the experiments of a backend may be.

    Attributes:
        wires: the most of them.
        shots: the most of them.
        wire_orders: those that it knows, the usual one first.
        needs_measure: an experiment without `measure` is refused.
        max_seed: the highest seed.
    """

    backend: str
    wires: int
    shots: int
    wire_orders: tuple[str, ...]
    needs_measure: bool
    max_seed: int
    instructions: Mapping[str, Instruction]

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any]) -> "Rules":
        """Return the rules in the schema of a backend: `Rules.of("rydberg", client.backend("rydberg").schema())`.

        Raises:
            ValueError: the backend does not say so much.
        """
        try:
            defined = dict(schema["$defs"])
            fields = defined.pop("experiment")["properties"]
            return cls(
                backend=name,
                wires=_most_wires(fields["num_wires"]),
                shots=_number(fields["shots"])["maximum"],
                wire_orders=tuple(fields["wire_order"]["enum"]),
                needs_measure="contains" in fields["instructions"],
                max_seed=_number(fields["seed"])["maximum"],
                instructions={each: _instruction(each, value) for each, value in defined.items()},
            )
        except (KeyError, TypeError, StopIteration):
            message = f"the schema of {name} says no instructions; hand in a document"
        raise ValueError(message)


def _most_wires(field: Mapping[str, Any]) -> int:
    return int(max(map(int, field["enum"])) if "enum" in field else _number(field)["maximum"])


def _number(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return the range of a number, of whose spellings the plain one comes first."""
    return next(dict(each) for each in field["anyOf"] if each.get("type") in ("integer", "number"))


def _instruction(name: str, schema: Mapping[str, Any]) -> Instruction:
    _, wires, values = schema["prefixItems"]
    couplings = None
    if "anyOf" in wires:
        couplings = frozenset(map(tuple, next(each["enum"] for each in wires["anyOf"] if "enum" in each)))
    parameters = []
    for each in values.get("prefixItems", ()):
        number = _number(each)
        whole = number["type"] == "integer"
        parameters.append(Parameter(each["title"], number["minimum"], number["maximum"], is_whole=whole))
    highest = _number(wires["items"])["maximum"]
    return Instruction(name, wires["minItems"], wires["maxItems"], highest, tuple(parameters), couplings)


def _combinations(couplings: frozenset[tuple[int, ...]]) -> str:
    shown = [str(list(each)) for each in sorted(couplings)]
    more = f" and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    return ("one of " if len(shown) > 1 else "") + ", ".join(shown[:MAX_SHOWN]) + more
