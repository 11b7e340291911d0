"""Large results are read without an object for each shot, and say the same."""

import json
from typing import Any

import pytest

from quledger_client import QuledgerError, Result, rows


def experiment(number: int, memory: list[Any], **data: Any) -> dict[str, Any]:
    """Return what one experiment has found."""
    return {"header": {"name": f"experiment_{number}"}, "shots": len(memory), "data": {"memory": memory, **data}}


WIRES = ["3 0", "10 1", "3 1", "3 0"]
LONG = ["0 1 0 1 0 1 0 1 0 1", "0 1 0 1 0 1 0 1 0 0", "1 1 0 1 0 1 0 1 0 1", "0 1 0 1 0 1 0 1 0 1"]
BITS = experiment(0, ["01", "11", "01"], counts={"11": 1, "01": 2})


@pytest.fixture(autouse=True)
def _however_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LEAST", 0)


def document(*experiments: Any) -> dict[str, Any]:
    """Return a result document."""
    return {"job_id": "j1", "display_name": "b", "results": list(experiments), "status": "finished"}


def same(text: bytes) -> Result:
    """Return the result in a text; it says the same as one that is read whole."""
    found, whole = Result.read(text), Result(json.loads(text))
    assert found.document == whole.document
    for one, other in zip(found, whole, strict=True):
        assert (one.name, one.shots, one.is_bits) == (other.name, other.shots, other.is_bits)
        assert list(one.counts().items()) == list(other.counts().items())
        assert (one.memory, one.data, one.means()) == (other.memory, other.data, other.means())
    return found


@pytest.mark.parametrize("memory", [WIRES, LONG, ["7"], ["x" * 64, "x" * 63], ["é 1", "é 1"], ["", "1"], ["a,b", ":"]])
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_shots_are_told_apart_by_numbers(memory: list[str], separators: tuple[str, str]):
    pandas = pytest.importorskip("pandas")
    given = document(experiment(0, memory), experiment(1, memory[::-1]), BITS, experiment(2, [], exp_value=1, stds=0))
    text = json.dumps(given, separators=separators, ensure_ascii=False).encode()
    found = same(text)
    assert [each._coded is not None for each in found] == [True, True, True, False]
    pandas.testing.assert_frame_equal(found.to_frame(), Result(given).to_frame())
    pandas.testing.assert_frame_equal(found.to_frame(shots=True), Result(given).to_frame(shots=True))


@pytest.mark.parametrize(
    "memory",
    [
        ["a]", "b"],
        ['"memory": [', "1"],
        ["\\", "1"],
        ["\n"],
        ["x" * 65],
        ["1", "]", "["],
        ["a", "], ["],
        ["\x7f", "é\x80"],
    ],
)
def test_unusual_outcomes_are_read_as_ever(memory: list[str]):
    same(json.dumps(document(experiment(0, memory), BITS)).encode())


@pytest.mark.parametrize(
    "given",
    [
        document(experiment(0, WIRES) | {"header": {"name": "n", "memory": ["1"]}}),
        document(experiment(0, WIRES) | {"header": {"name": "memory"}}),
        document(experiment(0, WIRES)) | {"memory": None},
        document(),
    ],
)
def test_other_members_of_this_name_are_no_shots(given: dict[str, Any]):
    same(json.dumps(given).encode())
    same(json.dumps(given, indent=2).encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[", "is not JSON"),
        (b'{"results": [{"data": {"memory": [', "is not JSON"),
        (b'{"job_id": "j", "display_name": "b", "results": [{"data": {"memory": ["1"]}}]}', "is no result"),
        (json.dumps(document(experiment(0, [["1"]]))).encode()[:-2], "is not JSON"),
    ],
)
def test_what_is_no_result_is_said_of_its_text(text: bytes, said: str):
    with pytest.raises(QuledgerError, match=said):
        Result.read(text)


def test_shots_that_are_no_texts_are_refused():
    result = Result.read(json.dumps(document(experiment(0, [1, 2]))).encode())
    with pytest.raises(QuledgerError, match="is no result"):
        result.memory()


def test_without_pandas_they_are_counted_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    found = same(json.dumps(document(experiment(0, WIRES))).encode())
    assert found[0]._coded is None
