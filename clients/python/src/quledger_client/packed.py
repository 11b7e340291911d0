"""The shots and counts of a large result as an .npz file has them, by numbers; what is no such file is refused."""

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from quledger_client.errors import QuledgerError
from quledger_client.outcomes import listed

Numbers: TypeAlias = "np.ndarray[Any, Any]"

MOST_TEXT = 2**30
"""Characters of all outcomes, each as often as it was found: a short file may stand for more than any memory holds."""

_NUMBERS = "|u1 <u2 <u4"
_TYPES = {
    "document": "|u1",
    "outcomes": "|u1",
    "lengths": "<i8",
    "shots": _NUMBERS,
    "counted": "<i8",
    "counts": _NUMBERS,
}

_HEADER = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': '(?P<kind>...)', 'fortran_order': False, 'shape': \((?P<length>\d{1,12}),\), \} *\n",
    re.DOTALL,
)
"""What numpy writes in front of an array of one dimension; it could be any text of Python's."""


class Words(Sequence[str]):
    """Bit strings of one length in their order, of which texts are made only when they are asked for.

    Args:
        rows: their characters.
    """

    def __init__(self, rows: Numbers) -> None:
        self.rows = rows

    @classmethod
    def of(cls, text: Numbers) -> "Words | None":
        """Return the outcomes of one experiment, as they are sent; None where they are something else."""
        width = text.tobytes().find(b'"', len('[["')) - len('[["')
        size = width + len('"", ')
        if width < 1 or (len(text) - len("[]")) % size:
            return None
        lines = np.append(text[2:-2], np.frombuffer(b", ", np.uint8)).reshape(-1, size)
        rows = np.ascontiguousarray(lines[:, 1:-3])
        keys = rows.view(f"S{width}")[:, 0]
        are_quoted = text[[0, 1, -2, -1]].tobytes() == b"[[]]" and (lines[:, [0, -3, -2, -1]] == list(b'"", ')).all()
        return cls(rows) if are_quoted and (rows | 1 == ord("1")).all() and (keys[1:] > keys[:-1]).all() else None

    @cached_property
    def _texts(self) -> list[str]:
        return [row.tobytes().decode() for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        return self._texts[place]


class PackedRows:
    """What was taken out of one experiment.

    Attributes:
        outcomes: each of them once.
        codes: for each shot, in order, the place of its outcome among these.
        is_counted: the document of the job has counts.
    """

    def __init__(self, outcomes: Sequence[str], codes: Numbers, times: Numbers) -> None:
        self.outcomes, self.codes = outcomes, codes
        self.is_counted = bool(len(times))
        self._times = times.astype(np.int64)

    @cached_property
    def times(self) -> Numbers:
        """How often each outcome was found."""
        return self._times if self.is_counted else np.bincount(self.codes, minlength=len(self.outcomes))

    def put_back(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        """Return the experiment with all that was taken out of it."""
        memory = list(map(self.outcomes.__getitem__, self.codes.tolist()))
        whole = {**experiment, "data": {**experiment["data"], "memory": memory}}
        for part in ("header", "data") if self.is_counted else ():
            if "counts" in whole[part]:
                whole[part] = {**whole[part], "counts": listed(self.outcomes, self.times)}
        return whole


def unpacked(body: bytes) -> tuple[Any, list[PackedRows]]:
    """Return the document without the outcomes of its shots and without counts, and these.

    Raises:
        QuledgerError: it is another file, or a broken one. What such a one says of its sizes is not believed.
    """
    try:
        return _unpacked(body)
    except Exception:  # noqa: BLE001 - zipfile, numpy and json say in a dozen ways that a file is broken
        message = "the answer is no result"
    raise QuledgerError(message)


def _unpacked(body: bytes) -> tuple[Any, list[PackedRows]]:
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        arrays = {name: _array(file, file.getinfo(f"{name}.npy"), types.split()) for name, types in _TYPES.items()}
    document = json.loads(arrays["document"].tobytes())
    words = Words.of(arrays["outcomes"]) if not len(arrays["shots"]) else None
    outcomes = [words] if words else json.loads(arrays["outcomes"].tobytes())
    memories, counts = (_split(arrays[name], arrays[by]) for name, by in (("shots", "lengths"), ("counts", "counted")))
    _expect([each["data"]["memory"] for each in document["results"]] == [[] for _ in memories])
    for texts, codes, often, each in zip(outcomes, memories, counts, document["results"], strict=True):
        if not isinstance(texts, Words):
            _expect(isinstance(texts, list) and set(map(type, texts)) <= {str} and len(set(texts)) == len(texts))
        _expect(not len(codes) or codes.max() < len(texts))
        if len(often):
            _expect(len(often) == len(texts) and each["data"]["counts"] == {} == each["header"].get("counts", {}))
    found = list(map(PackedRows, outcomes, memories, counts))
    most = sum(max(map(len, each.outcomes)) * len(each.codes) for each in found if len(each.codes))
    _expect(most <= MOST_TEXT or sum(map(_characters, found)) <= MOST_TEXT)
    return document, found


def _characters(rows: PackedRows) -> int:
    """Return the length of the outcomes of all shots."""
    times = np.bincount(rows.codes, minlength=len(rows.outcomes))
    return int(times @ np.array(list(map(len, rows.outcomes)), np.int64))


def _split(numbers: Numbers, lengths: Numbers) -> list[Numbers]:
    _expect((lengths >= 0).all() and lengths.sum(dtype=object) == len(numbers))
    return np.split(numbers, np.cumsum(lengths))[:-1]


def _array(file: zipfile.ZipFile, member: zipfile.ZipInfo, types: list[str]) -> Numbers:
    """Return an array of the file; what it says of its size is compared with what is there."""
    _expect(member.compress_type == zipfile.ZIP_STORED)
    content = file.read(member)
    header = _HEADER.match(content)
    if header is None:
        raise ValueError
    _expect((kind := header["kind"].decode()) in types)
    array = np.frombuffer(content, kind, offset=header.end())
    _expect(len(array) == int(header["length"]))
    return array


def _expect(is_so: Any) -> None:
    if not is_so:
        raise ValueError
