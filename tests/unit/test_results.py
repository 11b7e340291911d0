"""What a result has to be before it counts: judged by plain rules, in a process in which its maker has never been."""

import asyncio
import json
from typing import Any

import pytest

from models.documents import ResultDocument
from models.errors import BackendFailed
from models.results import DEEPEST, expected_of, fault_of, fault_of_document
from tasks.sandbox.job_process import Sandbox, SharedSandbox
from tasks.sandbox.rlimits import Limits
from tests.unit.sandbox_jobs import RESOLVER
from tests.unit.test_sandbox_protocol import MAX_STANDSTILL, Beat

GOOD = {"header": {"name": "experiment_0"}, "shots": 2, "success": True, "data": {"memory": ["0 1", "1 0"]}}
COUNTS = GOOD | {"data": {"memory": [], "counts": {"00": 1, "11": 1}}}
NOTHING = GOOD | {"data": {"memory": [], "instructions": None}}
VALUE = GOOD | {"data": {"memory": [], "exp_value": 0.5, "stds": 0.1}}
JOB = {"experiment_0": {"instructions": [], "num_wires": 1, "shots": 2}}
LIMITS = Limits(cpu_seconds=20, wall_seconds=20, memory_mb=500, answer_mb=50)


def deep(levels: int) -> Any:
    """Return lists in each other."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "result", [GOOD, COUNTS, NOTHING, VALUE, GOOD | {"header": {"name": "experiment_0", "more": deep(20)}}]
)
def test_what_the_contract_has_is_good(result: Any) -> None:
    """Outcomes, counts and expectation values, with whatever is beside."""
    assert fault_of([result], experiments=1, expected={"experiment_0": 2}) is None


BAD: list[tuple[Any, str]] = [
    ({}, "no list"),
    ("results", "no list"),
    (None, "no list"),
    ([], "0 results for 1 experiment"),
    ([GOOD, GOOD], "2 results for 1 experiment"),
    ([1], "result 0: it is no object"),
    ([{"oops": 1}], "header.name"),
    ([GOOD | {"header": {"name": 1}}], "header.name"),
    ([GOOD | {"header": {"name": "experiment_1"}}], "not the name of its experiment"),
    ([GOOD | {"shots": "2"}], "shots is no count"),
    ([GOOD | {"shots": True}], "shots is no count"),
    ([GOOD | {"shots": -2}], "shots is no count"),
    ([GOOD | {"shots": 3}], "2 outcomes of 3 shots"),
    ([GOOD | {"shots": 3, "data": {"memory": ["0"] * 3}}], "3 shots instead of 2"),
    ([GOOD | {"success": "yes"}], "success"),
    ([GOOD | {"data": []}], "data is no object"),
    ([GOOD | {"data": {}}], "data.memory"),
    ([GOOD | {"data": {"memory": "01"}}], "data.memory"),
    ([GOOD | {"data": {"memory": [0, 1]}}], "data.memory"),
    ([GOOD | {"data": {"memory": [], "counts": {"0": 1}}}], "of 1 shot instead of 2"),
    ([GOOD | {"data": {"memory": [], "counts": {"0": 2.0}}}], "something else than counts"),
    ([GOOD | {"data": {"memory": [], "counts": [2]}}], "something else than counts"),
    ([GOOD | {"data": {"memory": [], "exp_value": "much", "stds": 0.1}}], "not both numbers"),
    ([GOOD | {"data": {"memory": [], "exp_value": 1}}], "not both numbers"),
    ([GOOD | {"data": {"memory": [], "exp_value": True, "stds": 0.1}}], "not both numbers"),
    ([GOOD | {"extra": float("nan")}], "not finite"),
    ([GOOD | {"extra": float("-inf")}], "not finite"),
    ([GOOD | {"extra": 2**63}], "64 bits"),
    ([GOOD | {"extra": 10**5000}], "64 bits"),
    ([GOOD | {"extra": "\ud800"}], "lone surrogates"),
    ([GOOD | {"\udfff": 1}], "a name in it is no text"),
    ([GOOD | {"extra": deep(DEEPEST)}], "levels deep"),
    ([GOOD | {"extra": deep(100_000)}], "levels deep"),
]


@pytest.mark.parametrize(("results", "said"), BAD)
def test_whatever_else_has_a_fault(results: Any, said: str) -> None:
    """Each is named in one sentence."""
    fault = fault_of(results, experiments=1, expected={"experiment_0": 2})
    assert fault is not None
    assert said in fault


@pytest.mark.parametrize("extra", [{1: 2}, {"a": {1, 2}}, object(), b"bytes"])
def test_what_json_does_not_have_is_a_fault(extra: Any) -> None:
    """Be it a name that is no text, or a value of another kind."""
    assert fault_of([GOOD | {"extra": extra}]) is not None


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (JOB, {"experiment_0": 2}),
        (
            {"experiment_0": {"program": "", "shots": 5}, "experiment_1": {"shots": 6}},
            {"experiment_0": 5, "experiment_1": 6},
        ),
        ({"experiment_0": {"shots": "5"}}, None),
        ({"do": "much"}, None),
        ({}, None),
        ([], None),
    ],
)  # fmt: skip
def test_what_a_job_asked_for_is_told_where_it_can_be(document: Any, expected: dict[str, int] | None) -> None:
    """A backend of another package may have documents of its own."""
    assert expected_of(document) == expected


def test_a_result_document_names_who_made_it() -> None:
    """Without that nobody can show it."""
    document = {"display_name": "d", "backend_version": "1", "job_id": "j", "results": [GOOD]}
    assert fault_of_document(document) is None
    for name in document:
        assert fault_of_document({key: value for key, value in document.items() if key != name}) is not None
    assert fault_of_document([document]) is not None


def text_of(results: Any) -> bytes:
    """Return the result document as a child writes it."""
    shell = ResultDocument(display_name="fake", backend_version="1", job_id="j").model_dump()
    return json.dumps(shell | {"results": results}).encode("ascii")


FORGED = text_of([GOOD])
UNREADABLE = [
    (b"", "no JSON"),
    (b"[]" * 3, "no JSON"),
    (b"\xff", "no JSON"),
    (b"[" * 1_000_000, "no JSON"),
    (FORGED.replace(b'"shots": 2', b'"shots": ' + b"9" * 5000), "no JSON"),
    (b"[]", "not written as JSON is written here"),
    (FORGED.replace(b": ", b":"), "not written as JSON is written here"),
    (FORGED.replace(b'{"header"', b'{"shots": 3, "header"'), "not written as JSON is written here"),
    (text_of([{"oops": 1}]), "header.name"),
    (text_of([GOOD | {"extra": float("nan")}]), "not finite"),
    (text_of([GOOD | {"extra": "\ud800"}]), "lone surrogates"),
    (text_of([GOOD | {"extra": deep(500)}]), "levels deep"),
    (text_of([GOOD | {"shots": 3, "data": {"memory": ["0"] * 3}}]), "3 shots instead of 2"),
    (text_of([GOOD, GOOD]), "2 results for 1 experiment"),
]


def test_the_result_of_a_stranger_is_checked_where_he_has_not_been() -> None:
    """Each fault is the backend's, and the loop goes on meanwhile; a good result passes, before and after."""

    async def run() -> None:
        async with Sandbox(resolver=RESOLVER, preload=()) as sandbox, Beat() as beat:
            job = json.dumps(JOB).encode()
            await sandbox.check(FORGED, job, 1, LIMITS)
            for text, said in UNREADABLE:
                with pytest.raises(BackendFailed, match=said) as error:
                    await sandbox.check(text, job, 1, LIMITS)
                assert not error.value.retryable
            await sandbox.check(FORGED, job, 1, LIMITS)
        print(beat)  # noqa: T201 - the figure
        assert beat.longest < MAX_STANDSTILL

    asyncio.run(run())


def test_a_later_attempt_has_its_result_checked_too() -> None:
    """One that goes on where an earlier one stopped: the document was validated by that."""

    async def run() -> None:
        async with Sandbox(resolver=RESOLVER, preload=()) as sandbox:
            for backend, passes in (("plain", True), ("good", False)):
                async with sandbox.job(backend, b'{"experiment_0": {"shots": 0}}', job_id="j", limits=LIMITS) as job:
                    await job.call("compile", seed=1)
                    document = (await job.call("execute"))["document"]
                    if passes:
                        await job.check(document)
                        continue
                    with pytest.raises(BackendFailed, match=r"header\.name"):
                        await job.check(document)

    asyncio.run(run())


def test_the_sandbox_is_nobodys_alone() -> None:
    """Whoever came first may leave: the jobs of the others go on in their processes."""

    async def run() -> None:
        shared = SharedSandbox()
        first, second = shared.borrowed(), shared.borrowed()
        sandbox = await first.__aenter__()
        assert await second.__aenter__() is sandbox
        instructions = b'[["load", [0], [5]], ["measure", [0], []]]'
        document = b'{"experiment_0": {"instructions": ' + instructions + b', "num_wires": 1, "shots": 2}}'
        async with sandbox.job("singlequdit", document, job_id="neighbour") as job:
            await job.call("validate")
            await first.__aexit__(None, None, None)
            await job.call("compile", seed=1)
            assert json.loads((await job.call("execute"))["document"])["results"][0]["shots"] == 2
        await second.__aexit__(None, None, None)
        async with shared.borrowed() as anew:
            assert anew is not sandbox

    asyncio.run(run())
