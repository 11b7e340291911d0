"""Large results as .npz files: broken and hostile ones are refused; servers that have none are asked all the same."""

import asyncio
import io
import json
import sys
import tracemalloc
import zipfile
from typing import Any

import pytest

from quledger_client import AsyncClient, Client, QuledgerError, Result

np = pytest.importorskip("numpy")

JOB = {"job_id": "j1", "backend": "b", "state": "DONE", "version": 5}
DOCUMENT = {
    "job_id": "j1",
    "display_name": "b",
    "results": [
        {"header": {"name": "e0"}, "shots": 3, "data": {"memory": ["0 1", "2 1", "0 1"]}},
        {"header": {"name": "e1"}, "shots": 2, "data": {"memory": [], "counts": {"1": 2}}},
    ],
}


def text(value: Any) -> Any:
    """Return a JSON text as the file has it."""
    return np.frombuffer(value if isinstance(value, bytes) else json.dumps(value).encode(), np.uint8)


def stripped(**data: Any) -> dict[str, Any]:
    """Return the document without the shots."""
    first = DOCUMENT["results"][0] | {"data": {"memory": [], **data}}
    return DOCUMENT | {"results": [first, DOCUMENT["results"][1]]}


GOOD = {
    "document": text(stripped()),
    "outcomes": text([["0 1", "2 1"], []]),
    "lengths": np.array([3, 0]),
    "shots": np.array([0, 1, 0], np.uint8),
    "counted": np.array([0, 0]),
    "counts": np.zeros(0, np.uint8),
}
COUNTED = {
    "document": text(stripped(counts={})),
    "counted": np.array([2, 0]),
    "counts": np.array([2, 1], np.uint16),
}


def packed(save: Any = np.savez, **changes: Any) -> bytes:
    """Return a file; with None a member is left out."""
    file = io.BytesIO()
    save(file, **{name: value for name, value in (GOOD | changes).items() if value is not None})
    return file.getvalue()


def member(content: bytes, name: str = "shots.npy") -> bytes:
    """Return a file in which one member has this content."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed())) as good, zipfile.ZipFile(file, "w") as made:
        for each in good.namelist():
            made.writestr(each, content if each == name else good.read(each))
    return file.getvalue()


def header(about: str, content: bytes = b"\0\1\0") -> bytes:
    """Return an array with a header that says this."""
    return member(b"\x93NUMPY\x01\0" + len(about).to_bytes(2, "little") + about.encode() + content)


def test_a_good_one_is_read():
    result = Result.read(packed())
    assert result.document == DOCUMENT
    assert (result.counts(), result.memory(), result.memory(1)) == ({"0 1": 2, "2 1": 1}, ["0 1", "2 1", "0 1"], [])


def test_counts_are_put_back():
    result = Result.read(packed(**COUNTED))
    first = DOCUMENT["results"][0]
    counted = first | {"data": first["data"] | {"counts": {"0 1": 2, "2 1": 1}}}
    assert result.document == DOCUMENT | {"results": [counted, DOCUMENT["results"][1]]}
    assert result.counts() == {"0 1": 2, "2 1": 1}


OUTCOMES = {
    "bit strings in their order": ["00", "01", "11"],
    "of one bit": ["0", "1"],
    "only one": ["0110"],
    "in another order": ["11", "00", "01"],
    "of other lengths": ["0", "00", "01"],
    "lengths that add up": ["0", "011", "01"],
    "no bits": ["00", "02", "11"],
    "numbers with blanks": ["0 1", "1 0", "1 1"],
    "quoted": ['0", "1', '1", "0'],
    "as long as they are escaped": ["\\u0030", "000001"],
    "empty": [""],
    "none": [],
}


@pytest.mark.parametrize("outcomes", OUTCOMES.values(), ids=OUTCOMES)
@pytest.mark.parametrize("in_arrow", [True, False])
def test_counts_of_one_experiment_are_those_of_the_document(
    outcomes: list[str], monkeypatch: pytest.MonkeyPatch, *, in_arrow: bool
):
    """Whether pandas holds texts in arrays of pyarrow or not."""
    pandas, frames = pytest.importorskip("pandas"), pytest.importorskip("quledger_client.frames")
    monkeypatch.setattr(frames, "_IN_ARROW", in_arrow and frames._IN_ARROW)
    counts = {outcome: 5 + place for place, outcome in enumerate(outcomes)}
    bare = {"header": {"name": "e0"}, "shots": 9, "data": {"memory": [], "counts": {}}}
    document = DOCUMENT | {"results": [bare | {"data": {"memory": [], "counts": counts}}]}
    file = packed(
        document=text(DOCUMENT | {"results": [bare]}),
        outcomes=text([outcomes]),
        lengths=np.array([0]),
        shots=np.zeros(0, np.uint8),
        counted=np.array([len(counts)]),
        counts=np.array([*counts.values()], np.uint8),
    )
    result, other = Result.read(file), Result(document)
    pandas.testing.assert_frame_equal(result.to_frame(), other.to_frame())
    pandas.testing.assert_series_equal(result.to_series(), other.to_series())
    assert (result.document, result.counts(), result.memory()) == (document, other.counts(), [])
    assert list(result.counts()) == list(other.counts())
    assert (result[0].is_bits, len(result.to_frame(shots=True))) == (other[0].is_bits, 0)


BAD = {
    "bit strings twice": packed(
        document=text(DOCUMENT | {"results": [stripped(counts={})["results"][0]]}),
        outcomes=text([["00", "00"]]),
        lengths=np.array([0]),
        shots=np.zeros(0, np.uint8),
        counted=np.array([2]),
        counts=np.array([2, 1], np.uint8),
    ),
    "too few counts": packed(**COUNTED | {"counts": np.array([2], np.uint16)}),
    "too many counts": packed(**COUNTED | {"counts": np.array([2, 1, 3], np.uint16)}),
    "counts of some outcomes": packed(**COUNTED | {"counted": np.array([1, 0]), "counts": np.array([2], np.uint16)}),
    "counts of others": packed(**COUNTED | {"counted": np.array([0, 2])}),
    "negative counts": packed(**COUNTED | {"counts": np.array([2, -1], np.int16)}),
    "a negative number of counts": packed(**COUNTED | {"counted": np.array([3, -1])}),
    "counts twice": packed(**COUNTED | {"document": text(stripped(counts={"0 1": 2, "2 1": 1}))}),
    "counts for nobody": packed(**COUNTED | {"document": GOOD["document"]}),
    "no counts": packed(counts=None),
    "no zip": b"PK\x03\x04 and no more",
    "another array": packed(shots=None),
    "objects": packed(lengths=np.array([3, {}], object)),
    "another type": packed(shots=np.array([0.0, 1, 0])),
    "signed": packed(shots=np.array([0, -1, 0], np.int8)),
    "two dimensions": packed(shots=np.zeros((3, 1), np.uint8)),
    "compressed": packed(np.savez_compressed),
    "too few shots": packed(lengths=np.array([4, 0])),
    "too many shots": packed(lengths=np.array([2, 0])),
    "negative": packed(lengths=np.array([4, -1])),
    "more than there are numbers": packed(lengths=np.array([2**63 - 1, 2**63 - 1])),
    "an experiment more": packed(lengths=np.array([3, 0, 0])),
    "an experiment less": packed(lengths=np.array([3])),
    "no such outcome": packed(shots=np.array([0, 2, 0], np.uint8)),
    "no outcomes": packed(outcomes=text([[], []]), shots=np.zeros(3, np.uint8)),
    "an outcome twice": packed(outcomes=text([["0 1", "0 1"], []])),
    "outcomes that are none": packed(outcomes=text([[0, 1], []])),
    "outcomes that are nothing": packed(
        document=text(DOCUMENT | {"results": [DOCUMENT["results"][1]]}),
        outcomes=text([None]),
        lengths=np.array([0]),
        shots=np.zeros(0, np.uint8),
        counted=np.array([0]),
    ),
    "outcomes as one text": packed(outcomes=text(["01", ""])),
    "outcomes for more": packed(outcomes=text([["0 1", "2 1"], [], []])),
    "more than any memory holds": packed(
        outcomes=text([["1 " * 500_000], []]), lengths=np.array([100_000, 0]), shots=np.zeros(100_000, np.uint8)
    ),
    "no JSON": packed(document=text(b"{")),
    "deep JSON": packed(document=text(b"[" * 1_000_000)),
    "no text": packed(document=text(b"\xff")),
    "no document": packed(document=text([])),
    "no result": packed(document=text({"results": [{"data": {"memory": []}}, {"data": {"memory": []}}]})),
    "shots twice": packed(document=text(stripped(memory=["0 1"]))),
    "more shots than bytes": header("{'descr': '|u1', 'fortran_order': False, 'shape': (4000000000,), }"),
    "less shots than bytes": header("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }"),
    "no shape": header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }"),
    "a program": header("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (3,), }"),
    "a long header": header("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }" + " " * 60_000),
    "unfinished header": header("{'descr': '"),
    "no header": member(b""),
    "another version": member(b"\x93NUMPY\x02\0"),
    "cut": packed()[:-30],
    "changed": packed().replace(b"\0\1\0PK", b"\0\0\0PK"),
}


@pytest.mark.parametrize("what", BAD)
def test_broken_and_hostile_files_are_refused(what: str):
    tracemalloc.start()
    try:
        with pytest.raises(QuledgerError, match="the answer is no result") as error:
            Result.read(BAD[what])
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert error.value.__cause__ is None


def test_what_it_stands_for_is_added_up():
    long = "1" * 2**20
    codes = np.array([0] * 5000 + [1], np.uint8)
    many = packed(outcomes=text([["0", long], []]), lengths=np.array([5001, 0]), shots=codes)
    assert Result.read(many).counts() == {"0": 5000, long: 1}


def test_any_byte_may_be_another_one():
    good = packed()
    for place in range(0, len(good), 7):
        broken = good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :]
        try:
            result = Result.read(broken)
        except QuledgerError:
            continue
        assert result.document == DOCUMENT


def asked(server: Any) -> list[str]:
    """Return what was said to be readable, of each request for a result."""
    return [each.headers["accept"] for each in server.asked if each.path.endswith("/result")]


@pytest.mark.parametrize("body", [packed(), DOCUMENT])
def test_servers_answer_as_they_can(server: Any, say: Any, body: Any):
    server.script = lambda each: say(200, body if each.path.endswith("/result") else JOB)
    with Client(server.url, "t") as client:
        assert client.job("j1").result().document == DOCUMENT

    async def read() -> Any:
        async with AsyncClient(server.url, "t") as client:
            return (await (await client.job("j1")).result()).document

    assert asyncio.run(read()) == DOCUMENT
    assert asked(server) == ["application/x-npz, application/json, */*;q=0.5"] * 2


def test_without_numpy_it_is_not_asked_for(server: Any, say: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    server.script = lambda each: say(200, DOCUMENT if each.path.endswith("/result") else JOB)
    with Client(server.url, "t") as client:
        assert client.job("j1").result().counts() == {"0 1": 2, "2 1": 1}
    assert asked(server) == ["application/json, */*;q=0.5"]


def test_a_broken_file_is_an_error_of_the_call(server: Any, say: Any):
    server.script = lambda each: say(200, BAD["cut"] if each.path.endswith("/result") else JOB)
    with Client(server.url, "t") as client, pytest.raises(QuledgerError, match="is no result"):
        client.job("j1").result()
