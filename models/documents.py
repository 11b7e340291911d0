"""Job documents and results of the storage contract (sqooler 0.9.0), as pydantic models.

Only what Quledger itself reads and writes is here; a backend makes the results of the experiments.
"""

import codecs
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.errors import Fault, JobRejected, echo
from models.json_text import Repeated, read_json

# UTF-32 first: its mark begins as that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

WireOrder = Literal["interleaved", "sequential"]


class Instruction(BaseModel):
    """One instruction after validation: wires and parameters hold numbers, not text."""

    model_config = ConfigDict(frozen=True)

    name: str
    wires: tuple[int, ...]
    params: tuple[float, ...]


class Experiment(BaseModel):
    """One experiment after validation.

    Attributes:
        name: its key in the job document, verbatim.
        wire_order: carried for the record; no simulator here depends on it.
        seed: the user's; None leaves the choice to the compilation.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    instructions: tuple[Instruction, ...]
    num_wires: int
    shots: int
    wire_order: WireOrder = "interleaved"
    seed: int | None = None


class ResultDocument(BaseModel):
    """The result of a job, in the contract's field order; `models/results.py` says what `results` holds."""

    backend_name: str | None = None
    display_name: str
    backend_version: str
    job_id: str
    qobj_id: str | None = None
    success: bool = True
    status: Literal["DONE"] = "DONE"
    header: dict[str, Any] = Field(default_factory=dict)
    results: list[Any] = Field(default_factory=list)


def parse_document(raw: bytes) -> Any:
    """Return the JSON value in the bytes of a job document; of a key that stands twice it has the last value.

    NaN and Infinity are accepted, as by the peer; the check of the field that holds one reports it.

    Raises:
        JobRejected: the bytes are not one UTF-8 JSON document.
    """
    return _parsed(raw)[0]


def parse_job(raw: bytes) -> Any:
    """Return the JSON value in the bytes of a job document, which says everything once.

    Raises:
        JobRejected: the bytes are not one UTF-8 JSON document, or keys stand twice in it; all of them are named.
    """
    value, repeated = _parsed(raw)
    if repeated:
        raise JobRejected(*[_twice(each) for each in repeated])
    return value


def _twice(key: Repeated) -> Fault:
    experiment, *inside = key.path or ("",)
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in inside).lstrip(".")
    return Fault(experiment=str(experiment) or None, field=place or None, message=f"the key {echo(key.key)} {key}")


def _parsed(raw: bytes) -> tuple[Any, list[Repeated]]:
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)
    if encoding is not None:
        raise JobRejected(Fault(message=f"the document is {encoding} text; save it as UTF-8"))
    try:
        return read_json(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"the document is not UTF-8 text (byte {error.start})"
    except json.JSONDecodeError as error:
        message = f"the document is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except RecursionError:
        message = "the document is nested too deeply"
    except ValueError:
        message = "the document holds a number with too many digits"
    raise JobRejected(Fault(message=message if raw else "the document is empty"))


def same_value(one: bytes, other: bytes) -> bool:
    """Return whether two documents are the same bytes, or the same JSON value with its members in the same order."""
    if one == other:
        return True
    try:
        # As text, so that NaN is like itself, and 1 is not like 1.0.
        return json.dumps(parse_document(one)) == json.dumps(parse_document(other))
    except JobRejected:
        return False
