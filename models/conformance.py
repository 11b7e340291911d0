"""What a backend has to do with documents that differ from a good one in one thing, and how it is judged.

A good document comes from whoever wrote the backend. Of one in the usual shape (experiments by name, each with
`instructions` and `shots`) all variants are tried; of another shape only those that no backend takes.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from models.backend import JSON, BackendConfig
from models.errors import BackendFailed, JobRejected, LimitExceeded

DEEP = 60
"""Levels of a value that is nested as deep as the laboratory lets it in."""

ROW = 3
"""An instruction is its name, its wires and its parameters."""

UNKNOWN = "no_such_instruction"


class Trial(NamedTuple):
    """A document that the backend has to refuse.

    Attributes:
        about: what is wrong with it, for the sentence "a document ABOUT".
        faults: so many faults it has at least.
    """

    about: str
    document: bytes
    faults: int = 1


def trials(example: JSON, config: BackendConfig) -> list[Trial]:
    """Return documents that the backend has to refuse, made of one that it takes."""
    values: dict[str, JSON] = {
        "that is null": None,
        "that is a text": "text",
        "that is a number": 7,
        "that is an empty list": [],
        "without experiments": {},
    }
    found = [Trial(about, _text(value)) for about, value in values.items()]
    return [*found, *_usual(example, config)] if is_usual(example) else found


def is_usual(document: JSON) -> bool:
    """Return whether a document has the usual shape."""
    return (
        isinstance(document, dict)
        and bool(document)
        and all(
            isinstance(each, dict)
            and type(each.get("shots")) is int
            and isinstance(each.get("instructions"), list)
            and all(isinstance(row, list) and row for row in each["instructions"])
            for each in document.values()
        )
    )


def _usual(example: dict[str, Any], config: BackendConfig) -> Iterator[Trial]:
    name, first = next(iter(example.items()))

    def with_first(about: str, **changed: JSON) -> Trial:
        return Trial(about, _text({name: copy.deepcopy(first) | changed}))

    def without(field: str) -> Trial:
        return Trial(f"without {field}", _text({name: {each: first[each] for each in first if each != field}}))

    values: tuple[JSON, ...] = (None, [], "text")
    for value in values:
        yield Trial(f"whose experiment is {_text(value).decode()}", _text({name: value}))
    shots: tuple[JSON, ...] = (-1, config.max_shots + 1, 1.5, "many", None, [1])
    for each in shots:
        yield with_first(f"with {_text(each).decode()} shots", shots=each)
    yield without("shots")
    yield without("instructions")
    rows: tuple[JSON, ...] = (None, "text", ["text"], [[]], [[None, None, None]], [[UNKNOWN, [0], []]], _nested())
    for each in rows:
        said = _text(each).decode()
        yield with_first(f"whose instructions are {said if len(said) < DEEP else 'nested deep'}", instructions=each)
    yield from _of_instructions(name, first, config.num_wires)
    many = {f"experiment_{number}": first for number in range(config.max_experiments + 1)}
    yield Trial(f"with {len(many)} experiments, one more than it says that it takes", _text(many))
    wrong = {f"experiment_{number}": first | {"instructions": [[UNKNOWN, [0], []]]} for number in range(2)}
    if config.max_experiments > 1:
        yield Trial("with a fault in each of two experiments", _text(wrong), 2)


def _of_instructions(name: str, experiment: dict[str, Any], num_wires: int) -> Iterator[Trial]:
    """Yield documents whose first instruction has wrong wires, and the first with parameters wrong ones."""

    def with_row(about: str, position: int, row: list[Any]) -> Trial:
        rows = [*experiment["instructions"]]
        rows[position] = row
        return Trial(f"whose instruction {row[0]} {about}", _text({name: experiment | {"instructions": rows}}))

    whole = [(position, row) for position, row in enumerate(experiment["instructions"]) if len(row) == ROW]
    wires: tuple[JSON, ...] = ([num_wires], [-1], ["wire"], None)
    for position, row in whole[:1]:
        for each in wires:
            yield with_row(f"acts on the wires {_text(each).decode()}", position, [row[0], each, row[2]])
    for position, row in [each for each in whole if isinstance(each[1][2], list) and each[1][2]][:1]:
        kept, others = row[2], row[2][1:]
        yield with_row("has a parameter less", position, [*row[:2], kept[:-1]])
        yield with_row("has a text as its first parameter", position, [*row[:2], ["text", *others]])
        yield with_row("has an infinite first parameter", position, [*row[:2], [float("inf"), *others]])


def _nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(DEEP):
        value = [value]
    return value


def _text(value: JSON) -> bytes:
    # 1e999 is JSON, and no finite number.
    return json.dumps(value).replace("Infinity", "1e999").encode()


def fault_of_trial(trial: Trial, verdict: object) -> str | None:
    """Return what is wrong with a verdict; None if it is as it has to be.

    Args:
        verdict: what `validate` made of it: `JobRejected`, another error, or anything else where it took the document.
    """
    if limit := limit_of(verdict):
        return f"at a document {trial.about} `validate` goes on and on: {limit}"
    if isinstance(verdict, JobRejected):
        count = len(verdict.faults) + verdict.more
        if count >= trial.faults:
            return None
        return f"a document {trial.about} is refused with {count} fault instead of all {trial.faults}"
    if isinstance(verdict, BackendFailed):
        return (
            f"at a document {trial.about} `validate` raises {verdict.kind}; "
            "what the user can put right is an exception with `faults`"
        )
    if isinstance(verdict, Exception):
        return f"at a document {trial.about} `validate` ends its process: {verdict}"
    return f"a document {trial.about} is taken"


def limit_of(verdict: object) -> LimitExceeded | None:
    """Return which limit `validate` went beyond; its users read that as a document that was refused."""
    cause = verdict.__cause__ if isinstance(verdict, JobRejected) else None
    return cause if isinstance(cause, LimitExceeded) else None


def config_faults(config: BackendConfig) -> list[str]:
    """Return what is wrong with a configuration whose fields are of the right kind."""
    faults = [
        f"config.{name} is {value}; at least 1 is needed"
        for name in ("max_experiments", "max_shots", "num_wires", "num_species")
        if (value := getattr(config, name)) < 1
    ]
    faults += [f"config.{name} is empty" for name in ("description", "version") if not getattr(config, name).strip()]
    faults += [
        f"config.supported_instructions lacks the gate {gate.name!r}"
        for gate in config.gates
        if gate.name not in config.supported_instructions
    ]
    for gate in config.gates:
        wires = {wire for row in gate.coupling_map for wire in row}
        if wrong := sorted(wire for wire in wires if not 0 <= wire < config.num_wires):
            faults.append(f"config.gates: {gate.name!r} is coupled to wires that are not there: {wrong}")
    return faults
