"""The shots of a large result as an .npz file has them, by numbers; what is no such file is refused."""

import io
import json
import zipfile
from typing import Any

import numpy as np

from quledger_client.errors import QuledgerError
from quledger_client.rows import Coded

MOST_TEXT = 2**30
"""Characters of all outcomes, each as often as it was found: a short file may stand for more than any memory holds."""

_TYPES = {"document": "|u1", "outcomes": "|u1", "lengths": "<i8", "shots": "|u1 <u2 <u4"}


class PackedRows:
    """The outcomes of the shots of one experiment."""

    def __init__(self, coded: Coded) -> None:
        self.coded = coded

    def __bool__(self) -> bool:
        return bool(len(self.coded.codes))

    def texts(self) -> list[str]:
        """Return them all, in order."""
        return list(map(self.coded.outcomes.__getitem__, self.coded.codes.tolist()))


def unpacked(body: bytes) -> tuple[Any, list[PackedRows]]:
    """Return the document without the outcomes of its shots, and these.

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
    lengths, shots = arrays["lengths"], arrays["shots"]
    _expect((lengths >= 0).all() and lengths.sum(dtype=object) == len(shots))
    memories = np.split(shots, np.cumsum(lengths))[:-1]
    _expect([each["data"]["memory"] for each in document["results"]] == [[] for _ in memories])
    for texts, codes in zip(outcomes, memories, strict=True):
        _expect(isinstance(texts, list) and all(isinstance(each, str) for each in texts))
        _expect(len(set(texts)) == len(texts) and (not len(codes) or codes.max() < len(texts)))
    found = list(map(Coded, outcomes, memories))
    most = sum(max(map(len, texts), default=0) * len(codes) for texts, codes in found)
    _expect(most <= MOST_TEXT or sum(len(text) * n for each in found for text, n in each.counts().items()) <= MOST_TEXT)
    return document, [PackedRows(each) for each in found]


def _array(file: zipfile.ZipFile, member: zipfile.ZipInfo, types: list[str]) -> "np.ndarray[Any, Any]":
    """Return an array of the file; what it says of its size is compared with what is there."""
    _expect(member.compress_type == zipfile.ZIP_STORED)
    content = io.BytesIO(file.read(member))
    _expect(np.lib.format.read_magic(content) == (1, 0))
    shape, _, kind = np.lib.format.read_array_header_1_0(content)
    _expect(kind.str in types)
    array = np.frombuffer(content.getbuffer(), kind, offset=content.tell())
    _expect(array.shape == shape)
    return array


def _expect(is_so: Any) -> None:
    if not is_so:
        raise ValueError
