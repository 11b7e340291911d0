"""`quledger backends check`: tries a backend, and says what is wrong with it."""

import asyncio
from pathlib import Path

from deployments.cli.documents import document_in
from deployments.cli.output import Json, print_output
from models.words import count_of
from tasks.backends.conformance import Check, conformance, judging
from tasks.jobs.checking import Checker
from tasks.services import Services, current


def check(name: str, *, document: Path | None = None, as_json: Json = False) -> int:
    """Try a backend with good and bad documents in the sandbox of its jobs, and say all that is wrong with it.

    Example: `quledger backends check mymachine`. Nothing is stored. Hardware runs the document twice.

    Args:
        name: Display name of the backend; `quledger backends` lists them.
        document: A job that it takes (JSON); by default the `example` that the backend has.
    """
    services = current()
    most = services.settings.max_document_bytes
    given = None if document is None else document_in(document, None, None, most)
    checks = asyncio.run(_checks(services, name, given))
    value = [{"check": each.name, "faults": list(each.faults), "advice": list(each.advice)} for each in checks]
    print_output(value, lambda: _print(name, checks), as_json=as_json)
    return 3 if any(each.faults for each in checks) else 0


async def _checks(services: Services, name: str, document: bytes | None) -> list[Check]:
    async with (
        Checker(services, limits=judging(services.limits)) as checker,
        services.sandbox.borrowed(),
    ):  # one for all runs
        return await conformance(services, checker, name, document)


def _print(name: str, checks: list[Check]) -> None:
    for each in checks:
        print(f"{'WRONG' if each.faults else 'good '}  {each.name}")
        for fault in each.faults:
            print(f"       - {fault}")
        for advice in each.advice:
            print(f"       (better: {advice})")
    faults = sum(len(each.faults) for each in checks)
    print(f"{name}: {count_of(faults, 'fault') if faults else 'nothing is wrong'}")
