"""`quledger check`: says what is wrong with job documents."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli.documents import document_in
from deployments.cli.output import Json, print_output
from models.errors import InputError, JobRejected, SandboxError, printable
from models.submissions import Submission
from models.words import count_of
from tasks.backends import registry
from tasks.jobs import submission
from tasks.jobs.checking import Checked, Checker
from tasks.services import Services, current

Wrong = InputError | SandboxError


def check(
    backend: str,
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *more: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    shots: int | None = None,
    seed: int | None = None,
    as_json: Json = False,
) -> int:
    """Check job documents as `submit` does, and store nothing.

    Example: `quledger check rydberg job.json other.json`. The code is 2 if a document has faults, 1 if one could not be
    checked here.

    Args:
        backend: Display name of the backend; `quledger backends` lists them.
        file: The job document (JSON), or an OpenQASM program for a qubit device; `-` reads standard input.
        more: Other documents.
        shots: Of OpenQASM programs; 1000 if left out.
        seed: Of the same.
    """
    if not registry.knows(backend):
        raise registry.unknown(backend)
    files = (file, *more)
    found = asyncio.run(_found(current(), backend, files, shots, seed))
    code = max(map(_code, found))
    value = [{"file": str(each), **_value(verdict)} for each, verdict in zip(files, found, strict=True)]
    print_output(value, lambda: _print(backend, files, found), as_json=as_json)
    return code


async def _found(
    services: Services, backend: str, files: tuple[Path, ...], shots: int | None, seed: int | None
) -> list[Checked | Wrong]:
    found: list[Checked | Wrong | bytes] = [_read(services, backend, file, shots, seed) for file in files]
    documents = [(backend, each) for each in found if isinstance(each, bytes)]
    async with Checker(services) as checker:
        verdicts = iter(await checker.check_all(documents))
    return [next(verdicts) if isinstance(each, bytes) else each for each in found]


def _read(services: Services, backend: str, file: Path, shots: int | None, seed: int | None) -> bytes | InputError:
    try:
        document = document_in(file, shots, seed, services.settings.max_document_bytes)
    except InputError as error:
        return error
    return submission.why_refused(services, Submission(backend=backend, document=document)) or document


def _code(verdict: Checked | Wrong) -> int:
    return 0 if isinstance(verdict, Checked) else 2 if isinstance(verdict, InputError) else 1


def _value(verdict: Checked | Wrong) -> dict[str, Any]:
    if isinstance(verdict, Checked):
        return {"is_good": True, **verdict._asdict(), "faults": []}
    faults = [each.model_dump() for each in verdict.faults] if isinstance(verdict, JobRejected) else []
    return {"is_good": False if isinstance(verdict, InputError) else None, "message": str(verdict), "faults": faults}


def _print(backend: str, files: tuple[Path, ...], found: list[Checked | Wrong]) -> None:
    for file, verdict in zip(files, found, strict=True):
        name = f"{printable(str(file))}: " if len(files) > 1 else ""
        if isinstance(verdict, Checked):
            what = f"{count_of(verdict.experiments, 'experiment')}, {count_of(verdict.shots, 'shot')}"
            print(f"{name}{backend} takes it: {what}")
        else:
            unsure = "" if isinstance(verdict, InputError) else "it could not be checked here: "
            print(f"quledger: {name}{unsure}{verdict}", file=sys.stderr)
