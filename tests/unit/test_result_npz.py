"""A result as an .npz file: plain numpy reads it, and our own client makes the same of it as of the JSON."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from quledger_client import Result

from deployments.api.result_files import FORMS, SHORTER, is_npz
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
ODD = experiment("odd \u2028 \"'", ["", "a\0", "a", "é", "é", '"],[\\', "\U0001f600", "]", "\n", "x" * 300, ""])


def numbered(outcomes: int) -> dict[str, Any]:
    """Return an experiment with so many outcomes, the last one twice."""
    return experiment("many", [*map(str, range(outcomes)), str(outcomes - 1)])


@pytest.mark.parametrize(
    "experiments",
    [(BITS,), (WIRES,), (NOTHING,), (VALUE,), (COUNTS,), (ODD,), (), (BITS, NOTHING, WIRES, VALUE, COUNTS, ODD)],
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
        assert set(file) == {"document", "outcomes", "lengths", "shots"}
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


def test_it_is_chosen_where_it_is_much_shorter() -> None:
    """Where hardly two shots are alike, and where no shot was kept, JSON is as good."""
    for given, pays in ((document(BITS), False), (document(WIRES, BITS, WIRES, BITS), False), (document(), False)):
        content = SHORTER.made_of(given)
        assert (is_npz(memoryview(content)), content == payload_text(given)) == (pays, not pays)
    content = SHORTER.made_of(document(experiment("e", ["0 1"] * 3 + ["1 1"])))
    assert is_npz(memoryview(content))
    assert content == FORMS["npz"].made_of(document(experiment("e", ["0 1"] * 3 + ["1 1"])))
    assert SHORTER.made_of(document(COUNTS)) == payload_text(document(COUNTS))
