"""A machine of one spin: `pulse` turns it, `measure` reads it. Put your own hardware where the spin is."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag, ValidationError

Wires = Annotated[list[Annotated[int, Field(ge=0, lt=1)]], Field(min_length=1, max_length=1)]
Angle = Annotated[float, Field(ge=0, le=6.3, description="radians")]
Pulse = tuple[Literal["pulse"], Wires, tuple[Angle]]
Measure = tuple[Literal["measure"], Wires, tuple[()]]


def name_of(row: Any) -> str | None:
    """Return which instruction a row means, so that its faults are those of this one alone."""
    return row[0] if isinstance(row, (list, tuple)) and row and isinstance(row[0], str) else None


Instruction = Annotated[
    Annotated[Pulse, Tag("pulse")] | Annotated[Measure, Tag("measure")],
    Discriminator(name_of, "instruction", "an instruction is pulse or measure: [name, [wire], [parameters]]"),
]


class Experiment(BaseModel):
    """What runs together, so often."""

    model_config = ConfigDict(strict=True, extra="forbid")

    instructions: list[Instruction]
    shots: int = Field(ge=1, le=1000)
    num_wires: Literal[1]


class Document(RootModel[dict[str, Experiment]]):
    """A job: experiments by their names."""

    root: dict[str, Experiment] = Field(min_length=1, max_length=10)


class Faulty(Exception):
    """The document has these faults, all of them."""

    def __init__(self, error: ValidationError) -> None:
        super().__init__("the document has faults")
        self.faults = [f"{'.'.join(map(str, each['loc'])) or 'document'}: {each['msg']}" for each in error.errors()]


class MyMachine:
    """The backend: what it is, and how a job becomes a result."""

    access: dict[str, Any] = {}  # nothing but its imports; hardware says {"devices": ["/dev/ttyUSB0"]}
    calibration = {"pi_pulse": 3.14, "readout_error": 0.02}
    document_schema = Document.model_json_schema()
    example = {
        "experiment_0": {"instructions": [["pulse", [0], [1.57]], ["measure", [0], []]], "shots": 20, "num_wires": 1}
    }
    config = {
        "description": "One spin, turned by pulses", "version": "1", "display_name": "mymachine",
        "gates": [{"name": "pulse", "description": "a turn", "parameters": ["angle"], "coupling_map": [[0]]}],
        "max_experiments": 10, "max_shots": 1000, "simulator": True, "supported_instructions": ["pulse", "measure"],
        "cold_atom_type": "spin", "num_wires": 1, "wire_order": "interleaved", "num_species": 1,
    }  # fmt: skip

    def validate(self, document: Any) -> list[dict[str, Any]]:
        try:
            found = Document.model_validate_json(json.dumps(document)).root
        except ValidationError as error:
            raise Faulty(error) from None
        return [{"name": name, **each.model_dump()} for name, each in found.items()]

    def compile(self, experiments: list[dict[str, Any]], seed: int) -> dict[str, Any]:
        return {"seed": seed, "experiments": experiments}

    def execute(self, program: dict[str, Any]) -> Iterator[dict[str, Any]]:
        chance = np.random.default_rng(program["seed"])
        for each in program["experiments"]:  # one result after another: the progress is shown
            angle = sum(row[2][0] for row in each["instructions"] if row[0] == "pulse")
            up = (1 - self.calibration["readout_error"]) * np.sin(angle / 2) ** 2
            outcomes = ["1" if hit else "0" for hit in chance.random(each["shots"]) < up]
            yield {"header": {"name": each["name"]}, "shots": each["shots"], "data": {"memory": outcomes}}
