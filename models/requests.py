"""A job as it is handed in through Prefect: the form of its UI, and the body of its API."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import MAX_MESSAGE, InputError, printable
from models.job_language.openqasm_opening import BYTE_ORDER_MARK, is_openqasm
from models.storable import LINE, TEXT, WHOLE_NUMBER
from models.words import without_prefix

MAX_WIRES = 1000

MAX_PROGRAM = 2_000_000
"""Characters of a program, or of a document in its place."""

EXAMPLE = """[
  ["load", [0], [50]],
  ["rlx", [0], [1.57]],
  ["measure", [0], []]
]"""
"""A spin of 50 atoms, turned by a quarter: the level that is measured scatters around 25."""

FOR_PROGRAMS = ("key", "storage", "document")
"""Fields that the form does not show; the body of a request may have them."""


def _as_form(schema: dict[str, Any]) -> None:
    """Hide from the form what only programs send, and still allow it."""
    fields = schema["properties"]
    schema["patternProperties"] = {f"^{name}$": fields.pop(name) for name in FOR_PROGRAMS}


def _plain_number(schema: dict[str, Any]) -> None:
    """Show a number that may be left empty as one input, not as a choice between types."""
    schema.pop("anyOf")
    schema.pop("default")
    schema |= {"type": "integer", **WHOLE_NUMBER}


def qasm_document(program: str, shots: int, seed: int | None) -> bytes:
    """Return the job document of one OpenQASM program."""
    experiment: dict[str, Any] = {"program": program, "shots": shots}
    if seed is not None:
        experiment["seed"] = seed
    return json.dumps({"experiment_0": experiment}).encode("utf-8")


class JobRequest(BaseModel):
    """One job. Either `program` with `wires`, `shots` and `seed`, or a whole `document`."""

    model_config = ConfigDict(extra="forbid", title="Job", json_schema_extra=_as_form)

    backend: str = Field(default="singlequdit", description="Which backend runs it.")
    program: str = Field(
        default=EXAMPLE,
        max_length=MAX_PROGRAM,
        description=(
            "A list of instructions as JSON, each of them [name, [wires], [parameters]];"
            " or OpenQASM 2 or 3 for a qubit device;"
            " or a whole job document as front ends write it, which brings its own wires, shots and seed."
        ),
        json_schema_extra={"format": "json-string", **TEXT},
    )
    wires: int = Field(
        default=1, ge=1, le=MAX_WIRES, description="How many wires the program has; singlequdit has one."
    )
    shots: int = Field(
        default=500,
        ge=1,
        description="How often the program is run.",
        json_schema_extra={"maximum": WHOLE_NUMBER["maximum"]},
    )
    seed: int | None = Field(
        default=None,
        description="The same seed gives the same counts. Left empty, each run draws its own.",
        json_schema_extra=_plain_number,
    )
    user: str = Field(
        default="",
        max_length=200,
        description="Whose job it is: users take turns. It becomes a tag of the run.",
        json_schema_extra=dict(LINE),
    )
    project: str = Field(
        default="",
        max_length=200,
        description="What the job belongs to. It becomes a tag too.",
        json_schema_extra=dict(LINE),
    )
    priority: int = Field(
        default=0,
        description="Jobs of a higher priority go before other jobs of the same user; 0 is usual.",
        json_schema_extra=dict(WHOLE_NUMBER),
    )
    key: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Idempotency key: the same key with the same job, of one user in one project, is run once;"
        " with another job it is refused.",
        json_schema_extra=dict(LINE),
    )
    storage: str = Field(
        default="",
        max_length=100,
        description="Name of the storage that holds its documents; empty for the first one.",
        json_schema_extra=dict(LINE),
    )
    document: dict[str, Any] | None = Field(
        default=None,
        description="A whole job document, as front ends write it; instead of the program.",
    )

    @model_validator(mode="after")
    def _no_blank_program(self) -> Self:
        if self.document is None and not self.program.strip():
            msg = "the program is empty; write instructions, or give a document"
            raise ValueError(msg)
        return self

    @classmethod
    def read(cls, value: Any) -> "JobRequest":
        """Return the request that a form or a program has sent.

        Raises:
            InputError: names every field that cannot be used.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'job'}: {without_prefix(e['msg'])}" for e in error.errors()
            )
            raise InputError(f"the job cannot be submitted: {printable(faults, MAX_MESSAGE)}") from None

    def job_document(self) -> bytes:
        """Return the job document, as a front end would have written it.

        A program that is not JSON is handed on as it is: the validation of the job reports what is wrong with it.

        Raises:
            InputError: the document is nested so deeply that it cannot be written.
        """
        if self.document is not None:
            try:
                return json.dumps(self.document).encode("utf-8")
            except RecursionError:
                raise InputError("the job cannot be submitted: the document is nested too deeply") from None
        text = self.program.removeprefix(BYTE_ORDER_MARK)
        try:
            program = json.loads(text)
        except (ValueError, RecursionError):  # soon over: the program is bounded, deep nesting fails at once
            if is_openqasm(text):
                return qasm_document(text, self.shots, self.seed)
            return text.encode("utf-8", "replace")
        if not isinstance(program, list):
            return text.encode("utf-8", "replace")
        experiment = {"instructions": program, "num_wires": self.wires, "shots": self.shots}
        if self.seed is not None:
            experiment["seed"] = self.seed
        return json.dumps({"experiment_0": experiment}).encode("utf-8")
