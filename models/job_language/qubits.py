"""The rules of a job for qubits: `read_document` returns typed experiments or raises `JobRejected` with every fault.

A document has one of two forms with one meaning: an object of experiments, each with its `program`, or OQTOPUS' own,
with `program` at the top. The programs themselves are judged elsewhere.
"""

import base64
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from models.errors import Fault, JobRejected
from models.job_language.coercion import as_int, kind, label, preview
from models.job_language.instructions import MAX_FAULTS, MAX_SEED, NAME_PREFIX

JobType = Literal["sampling", "estimation", "multi_manual"]
Method = Literal["sampling", "state_vector"]
Mitigation = Literal["none", "pseudo_inverse", "least_square"]

MAX_EXPERIMENTS = 100
MAX_PROGRAMS = 32

_TRANSPILER = "transpiler_lib transpiler_options skip_transpilation seed_transpilation qubit_allocation"
GROUPS = {
    "transpiler_info": tuple(_TRANSPILER.split()),
    "simulator_info": ("seed_simulation", "method", "n_qubits", "n_nodes", "n_per_node"),
    "mitigation_info": ("ro_error_mitigation",),
}
"""The options of each group; each may also be given in the experiment itself."""

TRANSPILER_OPTIONS = ("optimization_level", "seed_transpiler", "initial_layout", "layout_method", "routing_method")

CHOICES: dict[str, tuple[str, ...]] = {
    "job_type": ("sampling", "estimation", "multi_manual"),
    "method": ("sampling", "state_vector"),
    "ro_error_mitigation": ("none", "pseudo_inverse", "least_square"),
    "transpiler_lib": ("qiskit",),
    "layout_method": ("trivial", "dense", "sabre"),
    "routing_method": ("basic", "lookahead", "sabre"),
}


class QubitExperiment(BaseModel):
    """One experiment as the document asks for it.

    Attributes:
        name: its key in the document; `experiment_0` if the document has none.
        programs: OpenQASM texts; more than one only for `multi_manual`.
        operator: the terms of an estimation as they came; None without one.
        method: `state_vector` asks for exact expectation values, or for sampling from one final state.
        seed_simulation: of every random outcome; None leaves this seed, like the other one, to the compilation.
        initial_layout: physical qubit of each qubit, those of the first program first.
        n_qubits: the most qubits that the job says it needs.
        memory: the result lists the outcome of each shot.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    job_type: JobType = "sampling"
    programs: tuple[str, ...]
    shots: int
    operator: Any = None
    method: Method = "sampling"
    mitigation: Mitigation = "none"
    seed_simulation: int | None = None
    seed_transpilation: int | None = None
    skip_transpilation: bool = False
    optimization_level: int = 2
    layout_method: str | None = None
    routing_method: str | None = None
    initial_layout: tuple[int, ...] | None = None
    n_qubits: int | None = None
    memory: bool = True


def read_document(document: Any, *, num_qubits: int, max_shots: int) -> tuple[QubitExperiment, ...]:
    """Return the experiments of a parsed job document, in its order.

    Args:
        num_qubits: of the device.
        max_shots: of one experiment.

    Raises:
        JobRejected: the document has faults; all of them are listed (up to 1000).
    """
    faults: list[Fault] = []
    if isinstance(document, dict) and ("program" in document or "program_base64" in document):
        document = {f"{NAME_PREFIX}0": document}
    if isinstance(document, dict) and isinstance(document.get("job_info"), dict) and "program" in document["job_info"]:
        message = "program and operator stand at the top of the document, beside shots, and not in job_info"
        raise JobRejected(Fault(field="job_info", message=message))
    if not isinstance(document, dict) or not document:
        right = "an object with experiment_0, ..., or one with program and shots"
        raise JobRejected(
            Fault(message=f"the document is {kind(document)}{' of nothing' * (document == {})}; it must be {right}")
        )
    if len(document) > MAX_EXPERIMENTS:
        faults.append(Fault(message=f"got {len(document)} experiments; one job takes at most {MAX_EXPERIMENTS}"))
    found = []
    for key, value in list(document.items())[:MAX_EXPERIMENTS]:
        reader = _Reader(key, value, num_qubits, max_shots)
        found.append(reader.experiment())
        faults += reader.faults
    if faults:
        raise JobRejected(*faults[:MAX_FAULTS])
    return tuple(experiment for experiment in found if experiment is not None)


class _Reader:
    """Reads one experiment: its options by name, wherever they were given, and the faults so far."""

    def __init__(self, key: str, value: Any, num_qubits: int, max_shots: int) -> None:
        self.key, self.num_qubits, self.max_shots = key, num_qubits, max_shots
        self.faults: list[Fault] = []
        digits = key.removeprefix(NAME_PREFIX)
        if digits == key or not digits.isdecimal() or not key.isascii():
            self.fault(f"the name must be {NAME_PREFIX} and a number, such as experiment_0")
        self.value: dict[str, Any] = {}
        if isinstance(value, dict):
            self.value = value
        else:
            self.fault(f"the experiment is {kind(value)}; it must be an object with program and shots")
        self.options: dict[str, tuple[str, Any]] = {}
        if self.value:
            self.collect()

    def fault(self, message: str, field: str | None = None) -> None:
        self.faults.append(Fault(experiment=label(self.key), field=field, message=message))

    def collect(self) -> None:
        """Collect every option by its name: given in one place only, and no unknown one reaches a library."""
        top = {name: self.value[name] for names in GROUPS.values() for name in names if name in self.value}
        self.take("", top, tuple(top))
        if "seed" in self.value:
            self.take("", {"seed_simulation": self.value["seed"]}, ("seed_simulation",))
        for group, names in GROUPS.items():
            self.take(group, self.value.get(group), names)
        place, options = self.options.pop("transpiler_options", ("transpiler_options", None))
        self.take(place, options, TRANSPILER_OPTIONS)

    def take(self, place: str, options: Any, names: tuple[str, ...]) -> None:
        if options is None:
            return
        if not isinstance(options, Mapping):
            self.fault(f"is {kind(options)}; it must be an object", place)
            return
        for name, value in options.items():
            field = f"{place}.{label(name)}" if place else name
            own = str({"seed_transpiler": "seed_transpilation", "qubit_allocation": "initial_layout"}.get(name, name))
            if name not in names:
                self.fault(f"there is no such option; there are {', '.join(names)}", field)
            elif own in self.options and self.options[own][1] != value:
                self.fault(f"says something else than {self.options[own][0]}", field)
            else:
                self.options[own] = field, value

    def experiment(self) -> QubitExperiment | None:
        if not self.value:
            if not self.faults:
                self.fault("the experiment is empty; it needs program and shots")
            return None
        job_type = self.choice("job_type", self.value.get("job_type"), "job_type", "sampling")
        programs = self.programs(job_type)
        shots = self.number("shots", self.value.get("shots"), 1, self.max_shots) if "shots" in self.value else None
        if "shots" not in self.value:
            self.fault(f"is missing; it must be a whole number from 1 to {self.max_shots}", "shots")
        operator = self.value.get("operator")
        if job_type == "estimation" and (not isinstance(operator, list) or not operator):
            got = "is missing" if operator is None else f"is {'an empty list' if operator == [] else kind(operator)}"
            self.fault(f'{got}; an estimation needs a list such as [{{"pauli": "X 0 Y 1", "coeff": 1.5}}]', "operator")
        elif job_type != "estimation" and operator not in (None, []):
            self.fault(f"a job of the type {job_type} takes no operator; estimation does", "operator")
        found = {
            "method": self.option_choice("method", "sampling"),
            "mitigation": self.option_choice("ro_error_mitigation", "none"),
            "layout_method": self.option_choice("layout_method", None),
            "routing_method": self.option_choice("routing_method", None),
            "seed_simulation": self.option_number("seed_simulation", 0, MAX_SEED),
            "seed_transpilation": self.option_number("seed_transpilation", 0, MAX_SEED),
            "optimization_level": self.option_number("optimization_level", 0, 3, 2),
            "n_qubits": self.option_number("n_qubits", 1, self.num_qubits),
            "initial_layout": self.layout(),
            "skip_transpilation": self.skip(),
            "memory": self.yes_or_no("memory", self.value.get("memory"), usual=True),
        }
        self.one_machine()
        if self.faults or shots is None:
            return None
        return QubitExperiment(
            name=self.key, job_type=job_type, programs=programs, shots=shots, operator=operator, **found
        )

    def programs(self, job_type: str) -> tuple[str, ...]:
        if "program" not in self.value and "program_base64" not in self.value:
            self.fault("is missing; it must be OpenQASM text, or a list of such texts", "program")
            return ()
        field = "program" if "program" in self.value else "program_base64"
        given = self.value.get(field)
        items = [given] if isinstance(given, str) else given
        if not isinstance(items, list) or not items:
            got = "an empty list" if items == [] else kind(items)
            self.fault(f"is {got}; it must be OpenQASM text, or a list of such texts", field)
            return ()
        if job_type != "multi_manual" and len(items) > 1:
            self.fault(
                f"got {len(items)} programs; {job_type} takes one (multi_manual runs several side by side)", field
            )
        if len(items) > MAX_PROGRAMS:
            self.fault(f"got {len(items)} programs; one job takes at most {MAX_PROGRAMS}", field)
        return tuple(self.text(item, f"{field}[{place}]") for place, item in enumerate(items[:MAX_PROGRAMS]))

    def text(self, item: Any, field: str) -> str:
        if not isinstance(item, str):
            self.fault(f"is {kind(item)}; it must be OpenQASM text", field)
            return ""
        if not field.startswith("program_base64"):
            return item
        try:
            return base64.b64decode(item, validate=True).decode("utf-8")
        except UnicodeDecodeError as error:
            self.fault(f"is not UTF-8 text (byte {error.start}); OpenQASM is", field)
        except ValueError:
            self.fault("is not base64", field)
        return ""

    def number(self, field: str, value: Any, low: int, high: int) -> int | None:
        found = None if isinstance(value, bool) else as_int(value)
        if found is None or not low <= found <= high:
            self.fault(f"got {preview(value)}; it must be a whole number from {low} to {high}", field)
            return None
        return found

    def option_number(self, name: str, low: int, high: int, usual: int | None = None) -> int | None:
        field, value = self.options.get(name, (name, None))
        return usual if value is None else self.number(field, value, low, high)

    def choice(self, name: str, value: Any, field: str, usual: Any) -> Any:
        if value is None:
            return usual
        if not isinstance(value, str) or value not in CHOICES[name]:
            self.fault(f"got {preview(value)}; it must be {' or '.join(CHOICES[name])}", field)
            return usual
        return value

    def option_choice(self, name: str, usual: str | None) -> Any:
        field, value = self.options.get(name, (name, None))
        return self.choice(name, value, field, usual)

    def yes_or_no(self, field: str, value: Any, *, usual: bool) -> bool:
        if value is not None and not isinstance(value, bool):
            self.fault(f"got {preview(value)}; it must be true or false", field)
        return usual if value is None else bool(value)

    def skip(self) -> bool:
        """Return whether the program runs as it is: the document says so, or names null as its transpiler."""
        field, value = self.options.get("skip_transpilation", ("skip_transpilation", None))
        self.option_choice("transpiler_lib", None)
        named = self.options.get("transpiler_lib", ("", "qiskit"))[1]
        return self.yes_or_no(field, value, usual=named is None)

    def layout(self) -> tuple[int, ...] | None:
        field, value = self.options.get("initial_layout", ("initial_layout", None))
        if value is None:
            return None
        if isinstance(value, dict):
            # {"0": 5, "1": 3}: the physical qubit of each qubit, by its number
            if set(value) != {str(number) for number in range(len(value))}:
                self.fault('must have a key for each qubit: "0", "1", ... without a gap', field)
                return None
            value = [value[str(number)] for number in range(len(value))]
        if not isinstance(value, list):
            self.fault(f"is {kind(value)}; it must be a list of physical qubits", field)
            return None
        found = []
        for place, item in enumerate(value[: self.num_qubits + 1]):
            physical = item if type(item) is int else None
            if physical is None or not 0 <= physical < self.num_qubits:
                most = self.num_qubits - 1
                self.fault(f"got {preview(item)}; the device has the qubits 0 to {most}", f"{field}[{place}]")
            elif physical in found:
                self.fault(f"qubit {physical} is taken twice", f"{field}[{place}]")
            else:
                found.append(physical)
        return tuple(found)

    def one_machine(self) -> None:
        for name, what in (("n_nodes", "machine"), ("n_per_node", "process")):
            field, value = self.options.get(name, (name, None))
            if value is not None and (isinstance(value, bool) or as_int(value) != 1):
                self.fault(f"got {preview(value)}; this simulator is one {what}, so it must be 1 or left out", field)
