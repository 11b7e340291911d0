"""A result as an .npz file: plain numpy reads it, and our own client makes the same of it as of the JSON."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from quledger_client import Result

from deployments.api.result_files import FORMS, SHORTER, ResultFormat, is_npz
from models.signing import payload_text
from tests.documentation.blocks import ROOT, blocks


def experiment(name: str, memory: list[str], **data: Any) -> dict[str, Any]:
    """Return what one experiment has found."""
    shots = sum(data["counts"].values()) if "counts" in data else len(memory)
    return {"header": {"name": name, "more": [1.5, None]}, "shots": shots, "data": {"memory": memory, **data}}


def document(*experiments: dict[str, Any]) -> dict[str, Any]:
    """Return a result document."""
    return {"job_id": "j1", "display_name": "b", "results": list(experiments), "status": "DONE", "header": {}}


BITS = experiment("bits", ["01", "11", "01"], counts={"11": 1, "01": 2})
WIRES = experiment("wires", ["3 0", "10 1", "3 1", "3 0"])
NOTHING = experiment("nothing", [])
VALUE = experiment("value", [], exp_value=0.5, stds=0.1)
COUNTS = experiment("counts", [], counts={"0": 3, "1": 2})
TWICE = COUNTS | {"header": COUNTS["header"] | {"counts": COUNTS["data"]["counts"]}}
OTHERWISE = COUNTS | {"header": COUNTS["header"] | {"counts": {"1": 2, "0": 3}}}
EMPTY = COUNTS | {"header": COUNTS["header"] | {"counts": {}}}
UNCOUNTED = experiment("uncounted", ["1", "0", "2"], counts={"0": 1, "1": 1})
UNFOUND = experiment("unfound", ["1"], counts={"0": 0, "1": 1})
NONE_COUNTED = experiment("none counted", [], counts={})
MOST, MORE = (experiment("most", [], counts={"1": 2**32 - more, "0": 1}) for more in (1, 0))
SHARES = experiment("shares", [], counts={"1": 1, "0": 2}) | {"data": {"memory": [], "counts": {"1": 0.5, "0": True}}}
SAID = (TWICE, OTHERWISE, EMPTY, UNCOUNTED, UNFOUND, NONE_COUNTED, MOST, MORE, SHARES)
ODD = experiment("odd \u2028 \"'", ["", "a\0", "a", "é", "é", '"],[\\', "\U0001f600", "]", "\n", "x" * 300, ""])


def numbered(outcomes: int) -> dict[str, Any]:
    """Return an experiment with so many outcomes, the last one twice."""
    return experiment("many", [*map(str, range(outcomes)), str(outcomes - 1)])


def said_twice(outcomes: int) -> dict[str, Any]:
    """Return an experiment with counts of so many outcomes, as the qubits' say them."""
    counts = {f"{each:012b}": 200 + each % 99 for each in range(outcomes)}
    return experiment("counts", [], counts=counts) | {"header": {"name": "counts", "counts": counts}}


@pytest.mark.parametrize(
    "experiments",
    [
        *((each,) for each in (BITS, WIRES, NOTHING, VALUE, COUNTS, ODD, *SAID)),
        (),
        (BITS, NOTHING, *SAID[:4], WIRES, VALUE, COUNTS, *SAID[4:], ODD),
    ],
)
def test_nothing_is_lost(experiments: tuple[dict[str, Any], ...]) -> None:
    """Neither for the client, nor the order of the members."""
    given = document(*experiments)
    found, whole = Result.read(FORMS["npz"].made_of(given)), Result(given)
    assert json.dumps(found.document) == json.dumps(given)
    assert repr(found) == repr(whole)
    for one, other in zip(found, whole, strict=True):
        assert (one.name, one.shots, one.is_bits, one.has_memory) == (
            *(other.name, other.shots, other.is_bits, other.has_memory),
        )
        assert list(one.counts().items()) == list(other.counts().items())
        assert (one.memory, one.data, one.means()) == (other.memory, other.data, other.means())
        assert (one.expectation, one.standard_error) == (other.expectation, other.standard_error)
    for shots in (False, True):
        pd.testing.assert_frame_equal(found.to_frame(shots=shots), whole.to_frame(shots=shots))


@pytest.mark.parametrize(("outcomes", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (65_536, "u2"), (65_537, "u4")])
def test_numbers_are_as_small_as_they_can_be(outcomes: int, dtype: str) -> None:
    """Of all shots together."""
    given = document(BITS, numbered(outcomes))
    content = FORMS["npz"].made_of(given)
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        assert set(file) == {"document", "outcomes", "lengths", "shots", "counted", "counts"}
        assert file["shots"].dtype == np.dtype(dtype)
    assert Result.read(content).document == given


def test_numpy_reads_it_as_the_docs_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/api.md, run in a folder with a result."""
    (example,) = [each.text for each in blocks((ROOT / "docs/api.md").read_text()) if "np.load" in each.text]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "result.npz").write_bytes(FORMS["npz"].made_of(document(WIRES, NOTHING, numbered(300))))
    found: dict[str, Any] = {}
    exec(example, found)
    assert found["memory"].tolist() == WIRES["data"]["memory"]
    assert (found["outcomes"][0], found["counts"].tolist()) == (["3 0", "10 1", "3 1"], [2, 1, 1])
    assert [len(each) for each in found["shots"]] == [4, 0, 301]
    assert np.array(found["outcomes"][2])[found["shots"][2]].tolist() == numbered(300)["data"]["memory"]
    assert found["document"] == document(*(each | {"data": {"memory": []}} for each in (WIRES, NOTHING, numbered(300))))


@pytest.mark.parametrize(
    ("given", "name", "pays"),
    [
        (document(BITS), "json", False),
        (document(), "json", False),
        (document(experiment("e", list(map(str, range(10_000))))), "json", False),
        (document(experiment("e", [], counts={str(each): 1 for each in range(10_000)})), "json", False),
        (document(experiment("e", ["0 1"] * 9_000 + ["1 1"])), "npz", True),
        (document(said_twice(4096)), "npz", True),
    ],
)
def test_it_is_chosen_where_it_is_much_shorter(given: dict[str, Any], name: ResultFormat, pays: bool) -> None:  # noqa: FBT001
    """Where hardly two shots are alike, and where counts are said once, JSON is as good."""
    content = SHORTER.made_of(given)
    assert (content, is_npz(memoryview(content))) == (FORMS[name].made_of(given), pays)
    assert (2 * len(FORMS["npz"].made_of(given)) <= len(payload_text(given))) == pays


@pytest.mark.parametrize(("given", "counted"), [(COUNTS, 2), (TWICE, 2), (UNFOUND, 2), (MOST, 2), (BITS, 2)])
def test_counts_are_numbers(given: dict[str, Any], counted: int) -> None:
    """They stand in the document no more."""
    with np.load(io.BytesIO(FORMS["npz"].made_of(document(WIRES, given))), allow_pickle=False) as file:
        assert file["counted"].tolist() == [0, counted]
        assert file["counts"].tolist() == list(given["data"]["counts"].values())
        assert json.loads(file["outcomes"].tobytes())[1] == list(given["data"]["counts"])
        assert json.loads(file["document"].tobytes())["results"][1]["data"]["counts"] == {}


@pytest.mark.parametrize("given", [OTHERWISE, EMPTY, UNCOUNTED, NONE_COUNTED, MORE, SHARES])
def test_counts_that_could_not_be_put_back_stay(given: dict[str, Any]) -> None:
    """Where they are said twice and otherwise, are no such numbers, or not those of the shots."""
    with np.load(io.BytesIO(FORMS["npz"].made_of(document(given))), allow_pickle=False) as file:
        assert (file["counted"].tolist(), file["counts"].tolist()) == ([0], [])
        assert json.loads(file["document"].tobytes())["results"][0]["data"]["counts"] == given["data"]["counts"]
