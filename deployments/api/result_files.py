"""Results as files. They are made in this process or, of large results, in one of their own, which imports little."""

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from models.signing import payload_text

Format = Literal["json", "csv", "parquet"]
ResultFormat = Literal[Format, "npz"]


class Form(NamedTuple):
    """What is made of a result.

    Attributes:
        write: a function at the top of a module; it gets the document, and returns what callers get.
        options: of `write`; JSON has them all.
    """

    write: Callable[..., bytes]
    options: Mapping[str, Any] = MappingProxyType({})

    def made_of(self, document: dict[str, Any]) -> bytes:
        """Return it."""
        return self.write(document, **self.options)


def json_file(document: dict[str, Any]) -> bytes:
    """Return the text that is stored, and in a signed document the one that is signed."""
    return payload_text(document)


def csv_file(document: dict[str, Any]) -> bytes:
    """Return the counts, or the expectation values where there are nothing but these."""
    # pandas takes a second to import.
    from deployments.api.tables import frame_of  # noqa: PLC0415
    from deployments.csv_text import csv_of  # noqa: PLC0415

    return csv_of(frame_of(document)).encode("utf-8")


def parquet_file(document: dict[str, Any]) -> bytes:
    """Return the same as a Parquet file."""
    from deployments.api.tables import frame_of  # noqa: PLC0415 - as above

    buffer = io.BytesIO()
    frame_of(document).to_parquet(buffer, index=False)
    return buffer.getvalue()


def npz_file(document: dict[str, Any]) -> bytes:
    """Return the whole of it as numpy reads it."""
    from deployments.api import result_npz  # noqa: PLC0415 - numpy is needed for nothing else

    return result_npz.npz_file(document)


def shorter_file(document: dict[str, Any]) -> bytes:
    """Return the whole of it, as numpy reads it where that is much shorter than JSON."""
    from deployments.api import result_npz  # noqa: PLC0415 - as above

    return result_npz.shorter_file(document)


FORMS: dict[ResultFormat, Form] = {
    "json": Form(json_file),
    "csv": Form(csv_file),
    "parquet": Form(parquet_file),
    "npz": Form(npz_file),
}

SHORTER = Form(shorter_file)
"""For callers who can read both."""


def is_npz(content: memoryview) -> bool:
    """Return whether a file is one for numpy, and not JSON."""
    return bytes(content[:2]) == b"PK"
