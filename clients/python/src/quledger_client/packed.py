"""The shots and counts of a large result as an .npz file has them, by numbers; what is no such file is refused."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from quledger_client.errors import QuledgerError
from quledger_client.outcomes import listed
from quledger_client.rows import Coded

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


class PackedRows:
    """The outcomes of the shots of one experiment, and how often each was found.

    Attributes:
        found: the outcomes, and how often each was found; None where nobody has counted, or the document says it.
    """

    def __init__(self, coded: Coded, found: "np.ndarray[Any, Any]") -> None:
        self.coded = coded
        self.found = (coded.outcomes, found.astype(np.int64)) if len(found) else None

    def __bool__(self) -> bool:
        return bool(len(self.coded.codes))

    def texts(self) -> list[str]:
        """Return them all, in order."""
        return list(map(self.coded.outcomes.__getitem__, self.coded.codes.tolist()))

    def put_back(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        """Return the experiment with all that was taken out of it."""
        whole = {**experiment, "data": {**experiment["data"], "memory": self.texts()}}
        if self.found is not None:
            for part in ("header", "data"):
                if "counts" in whole[part]:
                    whole[part] = {**whole[part], "counts": listed(*self.found)}
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
    document, outcomes = (json.loads(arrays[name].tobytes()) for name in ("document", "outcomes"))
    memories, counts = (_split(arrays[name], arrays[by]) for name, by in (("shots", "lengths"), ("counts", "counted")))
    _expect([each["data"]["memory"] for each in document["results"]] == [[] for _ in memories])
    for texts, codes, often, each in zip(outcomes, memories, counts, document["results"], strict=True):
        _expect(isinstance(texts, list) and set(map(type, texts)) <= {str})
        _expect(len(set(texts)) == len(texts) and (not len(codes) or codes.max() < len(texts)))
        if len(often):
            _expect(len(often) == len(texts) and each["data"]["counts"] == {} == each["header"].get("counts", {}))
    found = list(map(Coded, outcomes, memories))
    most = sum(max(map(len, texts), default=0) * len(codes) for texts, codes in found if len(codes))
    _expect(most <= MOST_TEXT or sum(len(text) * n for each in found for text, n in each.counts().items()) <= MOST_TEXT)
    return document, list(map(PackedRows, found, counts))


def _split(numbers: "np.ndarray[Any, Any]", lengths: "np.ndarray[Any, Any]") -> list["np.ndarray[Any, Any]"]:
    _expect((lengths >= 0).all() and lengths.sum(dtype=object) == len(numbers))
    return np.split(numbers, np.cumsum(lengths))[:-1]


def _array(file: zipfile.ZipFile, member: zipfile.ZipInfo, types: list[str]) -> "np.ndarray[Any, Any]":
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
