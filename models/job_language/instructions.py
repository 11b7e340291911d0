"""The rules of a job document: `validate_document` returns typed experiments or raises `JobRejected` with every fault.

It is as lenient as sqooler 0.9.0: numbers may be texts (see `models.job_language.coercion`), items after the third of
an instruction and unknown keys of an experiment are ignored, a missing wire order is "interleaved".
"""

from typing import Any, cast

from models.documents import Experiment, Instruction, WireOrder
from models.errors import Fault, JobRejected, echo
from models.job_language.coercion import as_float, as_int, kind, label, preview
from models.job_language.devices import DeviceSpec, InstructionSpec, backend_config

__all__ = ["DeviceSpec", "InstructionSpec", "backend_config", "validate_document"]

MAX_FAULTS = 1000
"""Validation stops looking after this many faults."""

MAX_SEED = 2**32 - 1
"""The largest seed that the peer takes."""

NAME_PREFIX = "experiment_"
_ITEMS = 3  # name, wires, parameters; what follows is ignored


def validate_document(device: DeviceSpec, document: Any) -> tuple[Experiment, ...]:
    """Return the experiments of a parsed job document, in its order.

    Raises:
        JobRejected: the document has faults; all of them are listed (up to 1000).
    """
    return _Check(device).document(document)


class _Check:
    """One validation: the faults so far, and the place that is being checked."""

    def __init__(self, device: DeviceSpec) -> None:
        self.device = device
        self.specs = device.by_name
        self.faults: list[Fault] = []
        self.experiment_label: str | None = None
        self.place: tuple[int, str | None] | None = None

    def fault(self, message: str, field: str | None = None) -> None:
        """Note a fault at the present place; stop when there are too many."""
        position, name = self.place or (None, None)
        self.faults.append(
            Fault(experiment=self.experiment_label, instruction=position, name=name, field=field, message=message)
        )
        if len(self.faults) >= MAX_FAULTS:
            raise JobRejected(*self.faults)

    def document(self, document: Any) -> tuple[Experiment, ...]:
        if not isinstance(document, dict):
            self.fault(f"the document is {kind(document)}; it must be an object with the keys experiment_0, ...")
            document = {}
        elif not document:
            self.fault("the document holds no experiment; it needs at least experiment_0")
        most = self.device.max_experiments
        if len(document) > most:
            self.fault(f"got {len(document)} experiments; one job takes at most {most}")
        experiments = [self.experiment(key, value) for key, value in list(document.items())[:most]]
        if self.faults:
            raise JobRejected(*self.faults)
        return tuple(experiment for experiment in experiments if experiment is not None)

    def experiment(self, key: str, value: Any) -> Experiment | None:
        self.experiment_label, self.place = label(key), None
        before = len(self.faults)
        self.name(key)
        if not isinstance(value, dict):
            self.fault(f"the experiment is {kind(value)}; it must be an object with instructions, num_wires, shots")
            return None
        device = self.device
        shots = self.number(value, "shots", 1, device.max_shots)
        seed = None if value.get("seed") is None else self.number(value, "seed", 0, MAX_SEED)
        if "program" in value and "instructions" not in value:
            self.fault("this is for qubit devices, which run OpenQASM; here it must be instructions", "program")
            return None
        num_wires = self.num_wires(value)
        order = value.get("wire_order", "interleaved")
        if not isinstance(order, str) or order not in device.wire_orders:
            self.fault(f"got {echo(order)}; it must be {' or '.join(device.wire_orders)}", "wire_order")
        instructions = self.instructions(value, num_wires)
        if len(self.faults) > before or shots is None or num_wires is None:
            return None
        return Experiment(
            name=key,
            instructions=tuple(instructions),
            num_wires=num_wires,
            shots=shots,
            wire_order=cast("WireOrder", order),
            seed=seed,
        )

    def name(self, key: str) -> None:
        most, digits = self.device.max_experiments, key.removeprefix(NAME_PREFIX)
        if digits == key or not digits.isdecimal():
            self.fault(f"the name must be {NAME_PREFIX} and a number, such as experiment_0")
            return
        try:
            too_high = int(digits) > most
        except ValueError:  # more digits than Python turns into a number
            too_high = True
        if too_high:
            self.fault(f"the number in the name is too high; it must be at most {most}")

    def number(self, value: dict[str, Any], field: str, low: int, high: int) -> int | None:
        right = f"a whole number from {low} to {high}"
        if field not in value:
            self.fault(f"is missing; it must be {right}", field)
            return None
        found = as_int(value[field])
        if found is None or not low <= found <= high:
            self.fault(f"got {preview(value[field])}; it must be {right}", field)
            return None
        return found

    def num_wires(self, value: dict[str, Any]) -> int | None:
        most = self.device.num_wires
        if not self.device.fixed_wires:
            return self.number(value, "num_wires", 1, most)
        if "num_wires" not in value:
            self.fault(f"is missing; it must be {most}", "num_wires")
            return None
        got = value["num_wires"]
        if isinstance(got, (int, float)) and got == most:  # a text is refused here: it is compared, not converted
            return most
        self.fault(f"got {preview(got)}; it must be the number {most}", "num_wires")
        return None

    def instructions(self, value: dict[str, Any], num_wires: int | None) -> list[Instruction]:
        items = value.get("instructions")
        if not isinstance(items, list):
            got = "is missing" if "instructions" not in value else f"got {kind(items)}"
            self.fault(f"{got}; it must be a list of [name, [wires], [parameters]]", "instructions")
            return []
        if not items:
            self.fault("the list is empty; there is nothing to run", "instructions")
        done: list[Instruction] = []
        filled: set[int] = set()
        for position, item in enumerate(items):
            instruction = self.instruction(position, item, num_wires)
            if instruction is not None:
                done.append(instruction)
                self.fill(instruction, filled)
        self.place = None
        names = {_named(item) for item in items}
        if self.device.needs_measure and names and not names & {"measure", None}:
            self.fault("there is no measure; without one there is no outcome", "instructions")
        return done

    def fill(self, instruction: Instruction, filled: set[int]) -> None:
        """Update `filled`, the wires that surely hold a particle, and report a load on one of them."""
        spec = self.specs[instruction.name]
        if spec.fills:
            wire = instruction.wires[0]
            if wire in filled:
                self.fault(f"wire {wire} already holds a particle; Pauli's principle forbids a second one", "wires[0]")
            filled.add(wire)
        elif filled and spec.is_gate:
            filled.difference_update(instruction.wires)

    def instruction(self, position: int, item: Any, num_wires: int | None) -> Instruction | None:
        name = _named(item)
        self.place = (position, None if name is None else label(name))
        if not isinstance(item, list):
            self.fault(f"got {kind(item)}; an instruction is a list [name, [wires], [parameters]]")
            return None
        if len(item) < _ITEMS:
            self.fault(f"got a list of {len(item)}; an instruction is a list of three: [name, [wires], [parameters]]")
            return None
        spec = None
        if name is None:
            self.fault(f"got {preview(item[0])}; the name must be a text", "name")
        else:
            spec = self.specs.get(name)
            if spec is None:
                known = ", ".join(self.specs)
                self.fault(f"got {echo(name)}; {self.device.display_name} knows {known}", "name")
        wires = self.wires(item[1], spec, num_wires)
        params = self.params(item[2], spec)
        if name is None or wires is None or params is None:
            return None
        return Instruction(name=name, wires=wires, params=params)

    def wires(self, value: Any, spec: InstructionSpec | None, num_wires: int | None) -> tuple[int, ...] | None:
        if not isinstance(value, list):
            self.fault(f"got {kind(value)}; it must be a list of wires", "wires")
            return None
        high = self.device.num_wires - 1 if spec is None else spec.highest_wire
        wires: list[int] = []
        ok = True
        for index, item in enumerate(value):
            wire = item if type(item) is int else as_int(item)
            if wire is None or not 0 <= wire <= high:
                self.fault(f"got {preview(item)}; a wire is a whole number from 0 to {high}", f"wires[{index}]")
                ok = False
            else:
                wires.append(wire)
        found = tuple(wires)
        if spec is None or not ok:
            return None
        fewest, most = spec.wires
        if spec.couplings is not None and found not in spec.couplings:
            allowed = [list(wires) for wires in spec.coupling_map or () if wires in spec.couplings]
            right = f"{echo(allowed[0])}" if len(allowed) == 1 else f"one of {echo(allowed)}"
            self.fault(f"got {echo(list(found[:50]))}; {spec.name} acts on {right}", "wires")
            return None
        if not fewest <= len(found) <= most:
            self.fault(f"got {len(found)} wires; {spec.name} takes {_span(fewest, most)}", "wires")
            return None
        if spec.within_num_wires and num_wires is not None:
            for index, wire in enumerate(found):
                if wire >= num_wires:
                    self.fault(f"got {wire}; the experiment has num_wires = {num_wires}", f"wires[{index}]")
                    ok = False
        return found if ok else None

    def params(self, value: Any, spec: InstructionSpec | None) -> tuple[float, ...] | None:
        if not isinstance(value, list):
            self.fault(f"got {kind(value)}; it must be a list of numbers", "params")
            return None
        if spec is not None and len(value) != len(spec.parameters):
            takes = f"{len(spec.parameters)} ({', '.join(spec.parameters)})" if spec.parameters else "none"
            self.fault(f"got {len(value)} parameters; {spec.name} takes {takes}", "params")
            return None
        if spec is None:
            return None
        params: list[float] = []
        for index, item in enumerate(value):
            angle = item if type(item) is float else as_float(item)
            if angle is None or not spec.low <= angle <= spec.high or (spec.whole and angle != int(angle)):
                sort, what = ("a whole number" if spec.whole else "a number"), spec.parameters[index]
                high = int(spec.high) if spec.whole else spec.high
                right = f"{what} must be {sort} from {spec.low:g} to {high!r}"
                self.fault(f"got {preview(item)}; {right}", f"params[{index}]")
            else:
                params.append(angle)
        return tuple(params) if len(params) == len(value) else None


def _named(item: Any) -> str | None:
    return item[0] if isinstance(item, list) and item and isinstance(item[0], str) else None


def _span(fewest: int, most: int) -> str:
    return str(fewest) if fewest == most else f"{fewest} to {most}"
