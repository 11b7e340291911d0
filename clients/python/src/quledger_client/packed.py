"""The shots of a large result as an .npz file has them, by numbers; what is no such file is refused."""

import importlib.util
import io
import json
import sys
from typing import TYPE_CHECKING, Any

from quledger_client.errors import QuledgerError
from quledger_client.rows import Coded

if TYPE_CHECKING:
    import numpy as np

MEDIA_TYPE = "application/x-npz"

MOST_TEXT = 2**30
"""Characters of all outcomes, each as often as it was found: a short file may stand for more than any memory holds."""

_MAGIC = b"PK"
_TYPES = {"document": "|u1", "outcomes": "|u1", "lengths": "<i8", "shots": "|u1 <u2 <u4"}


def can_read() -> bool:
    """Return whether numpy is installed; it is not imported, which takes its time."""
    return sys.modules.get("numpy") is not None or importlib.util.find_spec("numpy") is not None


def is_packed(body: bytes) -> bool:
    """Return whether an answer is such a file, and not JSON."""
    return body.startswith(_MAGIC)


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
    import numpy  # noqa: F401, ICN001, PLC0415 - where it is broken, it says so

    try:
        return _unpacked(body)
    except Exception:  # noqa: BLE001 - zipfile, numpy and json say in a dozen ways that a file is broken
        message = "the answer is no result"
    raise QuledgerError(message)


def _unpacked(body: bytes) -> tuple[Any, list[PackedRows]]:
    import numpy as np  # noqa: PLC0415 - it may be missing, and takes its time

    arrays = _arrays(body)
    document, outcomes = (json.loads(arrays[name].tobytes()) for name in ("document", "outcomes"))
    lengths, shots = arrays["lengths"], arrays["shots"]
    if (lengths < 0).any() or lengths.sum(dtype=object) != len(shots):
        raise ValueError
    memories = np.split(shots, np.cumsum(lengths))[:-1]
    if [each["data"]["memory"] for each in document["results"]] != [[] for _ in memories]:
        raise ValueError
    found = [_rows(texts, codes) for texts, codes in zip(outcomes, memories, strict=True)]
    if _stand_for_too_much([rows.coded for rows in found]):
        raise ValueError
    return document, found


def _rows(outcomes: Any, codes: "np.ndarray[Any, Any]") -> PackedRows:
    are_texts = isinstance(outcomes, list) and all(isinstance(each, str) for each in outcomes)
    if not are_texts or len(set(outcomes)) != len(outcomes) or (len(codes) and codes.max() >= len(outcomes)):
        raise ValueError
    return PackedRows(Coded(outcomes, codes))


def _stand_for_too_much(found: list[Coded]) -> bool:
    most = sum(max(map(len, coded.outcomes), default=0) * len(coded.codes) for coded in found)
    return (
        most > MOST_TEXT
        and sum(len(outcome) * count for coded in found for outcome, count in coded.counts().items()) > MOST_TEXT
    )


def _arrays(body: bytes) -> "dict[str, np.ndarray[Any, Any]]":
    """Return the arrays of the file; all that it says of their sizes is compared with what is there."""
    import zipfile  # noqa: PLC0415 - for large results alone

    import numpy as np  # noqa: PLC0415 - as above

    arrays = {}
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        for name, types in _TYPES.items():
            member = file.getinfo(f"{name}.npy")
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(body):
                raise ValueError
            content = io.BytesIO(file.read(member))
            if np.lib.format.read_magic(content) != (1, 0):
                raise ValueError
            shape, _, kind = np.lib.format.read_array_header_1_0(content)
            if len(shape) != 1 or kind.str not in types.split():
                raise ValueError
            arrays[name] = np.frombuffer(content.getbuffer(), kind, offset=content.tell())
            if arrays[name].shape != shape:
                raise ValueError
    return arrays
