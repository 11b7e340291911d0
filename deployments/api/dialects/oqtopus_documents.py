"""OQTOPUS: uploads and bodies as the document that a qubit device takes as it is, and back. Nothing here does I/O."""

import json
from typing import Any

from pydantic import BaseModel, Field, field_validator

from deployments.api.v1.bodies import Body
from models.errors import Fault, InputError, JobRejected, echo

JOB_TYPES = ("sampling", "estimation", "multi_manual")

USUAL_TRANSPILER = {"transpiler_lib": "qiskit", "transpiler_options": {"optimization_level": 1}}
"""What an empty `transpiler_info` means."""

_INPUT = ("program", "operator", "sse_program")
_INFOS = ("transpiler_info", "simulator_info", "mitigation_info")


class BadInput(InputError):
    """What was uploaded is no input of a job."""


class SubmitBody(Body):
    """How an uploaded input is to be run."""

    device_id: str = Field(max_length=100)
    job_type: str
    shots: int = Field(ge=1, le=10_000_000)
    name: str | None = Field(default=None, max_length=1000)
    description: str | None = Field(default=None, max_length=10_000)
    transpiler_info: dict[str, Any] | None = None
    simulator_info: dict[str, Any] | None = None
    mitigation_info: dict[str, Any] | None = None

    @field_validator("job_type")
    @classmethod
    def _is_run_here(cls, value: str) -> str:
        if value not in JOB_TYPES:
            msg = f"got {echo(value)}; what is run here are {', '.join(JOB_TYPES)}"
            raise ValueError(msg)
        return value


def check_input(content: bytes) -> None:
    """Make sure that an upload holds a JSON object; what is wrong with it is said when it is submitted.

    A client shows its user why a submission was refused, and of an upload only that it was.

    Raises:
        BadInput: it does not.
    """
    _object_in(content)


def document_of(content: bytes, body: SubmitBody) -> bytes:
    """Return the job document of an uploaded input and the body of its submission.

    Raises:
        BadInput: says all that is wrong with the upload.
        JobRejected: it holds what JSON cannot.
    """
    given = _read_input(content)
    document: dict[str, Any] = {"name": body.name or ""}
    if body.description is not None:
        document["description"] = body.description
    document |= {"job_type": body.job_type, "shots": body.shots, "program": given["program"]}
    if given.get("operator") is not None:
        document["operator"] = given["operator"]
    document |= {
        "transpiler_info": body.transpiler_info or USUAL_TRANSPILER,
        "simulator_info": body.simulator_info or {},
        "mitigation_info": body.mitigation_info or {},
        "memory": False,  # a client of OQTOPUS is shown no single shots
    }
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise JobRejected(Fault(message="the job holds half of a character (a lone surrogate)")) from None
    except ValueError:
        raise JobRejected(Fault(message="the job holds a number that is not finite")) from None
    except RecursionError:
        raise JobRejected(Fault(message="the job is nested too deeply")) from None


def _object_in(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8-sig"), parse_constant=_no_number)
    except RecursionError:
        raise BadInput("input.json is nested too deeply") from None
    except ValueError:
        raise BadInput("input.json is no JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise BadInput("input.json must hold an object with program")
    return found


def _read_input(content: bytes) -> dict[str, Any]:
    found = _object_in(content)
    faults = [f"{echo(name)}: there is no such field" for name in list(found)[:20] if name not in _INPUT]
    if found.get("sse_program") is not None:
        faults.append("sse_program: programs in Python are not run here")
    program = found.get("program")
    if not isinstance(program, list) or not program or not all(isinstance(each, str) for each in program):
        faults.append("program: must be a list of OpenQASM texts")
    if not isinstance(found.get("operator"), list | None):
        faults.append("operator: must be a list of terms")
    if faults:
        raise BadInput(f"input.json: {'; '.join(faults)}")
    return found


def _no_number(text: str) -> None:
    msg = f"{text} is not JSON"
    raise ValueError(msg)


class Sent(BaseModel):
    """What was sent for a job, read from its document, whatever wrote that.

    Attributes:
        input: program and operator.
    """

    name: str = ""
    description: str | None = None
    job_type: str = "sampling"
    shots: int | None = None
    infos: dict[str, dict[str, Any]] = {}
    input: dict[str, Any] = {}

    @classmethod
    def of(cls, document: bytes | None) -> "Sent":
        """Return it; of a document with several experiments that of the first."""
        try:
            found = json.loads(document or b"{}")
        except (ValueError, RecursionError):
            found = {}
        if isinstance(found, dict) and "program" not in found:
            found = next(iter(found.values()), {})
        if not isinstance(found, dict):
            found = {}
        texts = {name: found[name] for name in ("name", "description") if isinstance(found.get(name), str)}
        job_type, shots, program = found.get("job_type"), found.get("shots"), found.get("program")
        if isinstance(program, str):
            program = [program]
        given = {"program": program, "operator": found.get("operator")}
        return cls(
            **texts,
            job_type=job_type if job_type in JOB_TYPES else "sampling",
            shots=shots if type(shots) is int else None,
            infos={name: found[name] for name in _INFOS if isinstance(found.get(name), dict)},
            input={name: value for name, value in given.items() if value is not None},
        )
