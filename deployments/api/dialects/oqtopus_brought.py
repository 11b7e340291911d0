"""OQTOPUS: what an engine brings of a job, as the result document of the contract. Nothing here does I/O."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from deployments.api.dialects.oqtopus_results import rounded
from models.documents import ResultDocument
from models.errors import InputError, echo, printable
from models.results import fault_of_document, unlike_json
from models.words import count_of

ITEMS = {"result": ".json", "transpile_result": ".json", "combined_program": ""}
"""What an engine may bring, and the ending of the name of the file in its zip file."""

MAX_BITS = 1024
LARGEST = 2**53
MAX_SAID = 500

SILENT = "the engine says no more; whoever runs it finds the details in its log"


class BadResult(InputError):
    """What was brought is no result of the job; all that is wrong is said."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))


class Asked:
    """What a result is held against.

    Args:
        name: of the experiment.
        mitigated: outcomes may be weighed, so that they are no counts any more.
    """

    def __init__(self, *, name: str, job_type: str, shots: int, mitigated: bool) -> None:
        self.name, self.job_type, self.shots, self.mitigated = name, job_type, shots, mitigated


def result_document(job_id: str, display_name: str, version: str, asked: Asked, files: Mapping[str, bytes]) -> bytes:
    """Return the result document of a job.

    Args:
        files: as they were brought, by what they are; `transpiler_info` may be among them.

    Raises:
        BadResult: says all that is wrong.
    """
    if "result" not in files:
        raise BadResult("the result of this attempt was not uploaded; upload it, and say then that the job succeeded")
    faults: list[str] = []
    data: dict[str, Any] = {"memory": []}
    brought = json_object(files["result"], "result.json", faults)
    part = "estimation" if asked.job_type == "estimation" else "sampling"
    if not faults:
        inner = brought.get(part)
        if isinstance(inner, dict):
            read = _estimation if part == "estimation" else _sampling
            data |= read(inner, asked, faults.append)
        else:
            faults.append(f"result.json: {part}: the job asks for one, and there is none")
    mirrored = {name: value for name, value in data.items() if name != "memory"}
    for item in ("transpile_result", "transpiler_info"):
        if item in files:
            data[item] = json_object(files[item], f"{item}.json", faults)
    if "combined_program" in files:
        data["combined_program"] = program_text(files["combined_program"], faults)
    if faults:
        raise BadResult(*faults)
    header = {"name": asked.name, "extra metadata": "text"} | mirrored
    one = {"header": header, "shots": asked.shots, "success": True, "data": data | {"instructions": None}}
    shell = ResultDocument(display_name=display_name, backend_version=version, job_id=job_id).model_dump()
    document = shell | {"results": [one]}
    if (fault := fault_of_document(document)) is not None:
        raise BadResult(printable(fault))
    return json.dumps(document).encode("ascii")


def json_object(content: bytes, name: str, faults: list[str]) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one and a fault where there is none."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        faults.append(f"{name} is nested too deeply")
        return {}
    except ValueError:
        faults.append(f"{name} is no JSON in UTF-8")
        return {}
    if not isinstance(found, dict):
        faults.append(f"{name} must hold an object")
        return {}
    return found


def plain_object(content: bytes, name: str, faults: list[str]) -> dict[str, Any]:
    """Return the same where everybody can read and store what is in it."""
    found = json_object(content, name, faults)
    if (fault := unlike_json(found)) is not None:
        faults.append(f"{name}: {fault}")
    return found


def program_text(content: bytes, faults: list[str]) -> str:
    """Return a program; an empty one and a fault where it is no text."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        faults.append("combined_program is no text in UTF-8")
        return ""


def said_of(message: str) -> str:
    """Return what an engine says went wrong as its user may read it: one line, without tracebacks and paths."""
    text = message[:MAX_SAID]
    if "Traceback (most recent" in message[:20_000] or not text.strip():
        return SILENT
    words = [_ELSEWHERE if _is_path(word) else word for word in text.split()]
    return printable(" ".join(words), MAX_SAID)


_ELSEWHERE = "(a path)"
_MIN_SLASHES = 2


def _is_path(word: str) -> bool:
    return word.count("/") >= _MIN_SLASHES or word.count("\\") >= _MIN_SLASHES


def _sampling(found: dict[str, Any], asked: Asked, fault: Callable[[str], None]) -> dict[str, Any]:
    counts = _counts(found.get("counts"), "counts", asked, fault)
    data: dict[str, Any] = {"counts": counts}
    if counts != found.get("counts"):
        data["reported"] = found.get("counts")
    divided = found.get("divided_counts")
    if isinstance(divided, dict) and divided:
        if all(name.isdecimal() and name.isascii() and len(name) <= 4 for name in divided):  # noqa: PLR2004
            data["divided_counts"] = {
                name: _counts(divided[name], f"divided_counts[{name}]", asked, fault)
                for name in sorted(divided, key=int)
            }
        else:
            fault("result.json: sampling.divided_counts: its names must be the numbers of the programs")
    elif divided not in (None, {}):
        fault("result.json: sampling.divided_counts: must be an object of counts")
    return data


def _counts(found: Any, field: str, asked: Asked, fault: Callable[[str], None]) -> dict[str, int]:
    where = f"result.json: sampling.{field}"
    if not isinstance(found, dict) or not found:
        fault(f"{where}: must be an object of outcomes with their counts")
        return {}
    bits = len(next(iter(found)))
    if not 1 <= bits <= MAX_BITS or not all(len(each) == bits and not each.strip("01") for each in found):
        fault(f"{where}: its outcomes must be bits, as many in each")
        return {}
    if all(type(value) is int and value >= 0 for value in found.values()):
        if (total := sum(found.values())) == asked.shots:
            return found
        if not asked.mitigated:
            fault(f"{where}: it has {count_of(total, 'shot')} instead of {asked.shots}")
            return {}
    elif not asked.mitigated or not all(map(_is_number, found.values())):
        fault(f"{where}: it holds something else than counts, such as {echo(_odd(found))}")
        return {}
    # Weighed so that errors of the readout are gone: made whole numbers that are as many shots again.
    return rounded({outcome: max(0.0, float(value)) for outcome, value in found.items()}, asked.shots)


def _odd(found: dict[str, Any]) -> Any:
    return next(value for value in found.values() if type(value) is not int or value < 0)


def _estimation(found: dict[str, Any], _asked: Asked, fault: Callable[[str], None]) -> dict[str, Any]:
    value, stds = found.get("exp_value"), found.get("stds")
    if not _is_number(value):
        fault(f"result.json: estimation.exp_value: got {echo(value)}; it must be a finite number")
    if stds is None or not _is_number(stds) or stds < 0:
        fault(f"result.json: estimation.stds: got {echo(stds)}; it must be a finite number, 0 or more")
    return {"exp_value": value, "stds": stds}


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return -LARGEST <= value <= LARGEST
    return type(value) is float and math.isfinite(value)
