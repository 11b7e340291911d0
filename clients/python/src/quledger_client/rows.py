"""The shots of a result as they stand in its JSON text: told apart by numbers, without an object for each of them."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from quledger_client.errors import QuledgerError

if TYPE_CHECKING:
    import numpy as np

LEAST = 100_000
"""Bytes of a result that is worth it."""

_PART = 1 << 20
"""Characters that are read at a time."""

_WINDOW = 8
"""Characters that are looked at together: as many as a number of 64 bits has bytes."""

_LONGEST = 8 * _WINDOW
_OPENS = re.compile(rb'"memory"[ \t\r\n]*:[ \t\r\n]*\[')


class Coded(NamedTuple):
    """Shots by numbers.

    Attributes:
        outcomes: each of them once.
        codes: for each shot, in order, the place of its outcome among these.
    """

    outcomes: list[str]
    codes: "np.ndarray[Any, np.dtype[np.integer[Any]]]"

    def counts(self) -> dict[str, int]:
        """Return how often each outcome was found."""
        import numpy as np  # noqa: PLC0415 - it is there, and was imported

        found = np.bincount(self.codes, minlength=len(self.outcomes))
        return dict(zip(self.outcomes, found.tolist(), strict=True))


class Rows:
    """The outcomes of the shots of one experiment.

    Args:
        body: the text of the result; the outcomes stand in it from `start` to `end`, without the brackets around them.
    """

    def __init__(self, body: bytes, start: int, end: int) -> None:
        self._body, self._start, self._end = body, start, end

    found = None
    """Nobody has counted them yet, or the document says it."""

    def __bool__(self) -> bool:
        return self._body.find(b'"', self._start, self._end) >= 0

    def texts(self) -> list[str]:
        """Return them all, in order.

        Raises:
            QuledgerError: the text is not JSON.
        """
        try:
            found = json.loads(b"[" + self._body[self._start : self._end] + b"]")
        except ValueError:
            found = [None]
        if not all(isinstance(each, str) for each in found):
            raise QuledgerError("the answer is no result")
        return found  # type: ignore[no-any-return]

    def put_back(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        """Return the experiment with the outcomes that were taken out of it."""
        return {**experiment, "data": {**experiment["data"], "memory": self.texts()}}

    @cached_property
    def coded(self) -> Coded | None:
        """The shots by numbers; None without pandas, and where their text is an unusual one."""
        try:
            import numpy as np  # noqa: PLC0415 - it may be missing, and takes its time
            import pandas as pd  # noqa: F401, PLC0415
        except ModuleNotFoundError:
            return None
        places: dict[str, int] = {}
        codes = []
        for text in self._parts():
            part = _coded(text)
            if part is None:
                return None
            here = [places.setdefault(outcome, len(places)) for outcome in part.outcomes]
            codes.append(np.array(here, np.int32).take(part.codes))
        return Coded(list(places), np.concatenate(codes)) if codes else None

    def _parts(self) -> Iterator[bytes]:
        """Yield the texts in parts, which fit into the caches of a processor, without what stands between them."""
        start = self._start
        while start < self._end:
            end = self._body.find(b'",', start + _PART, self._end) + 1 or self._end
            yield self._body[start:end]
            start = end + 1


def _coded(part: bytes) -> Coded | None:
    """Return the shots in a part by numbers; None where the texts in it are unusual ones, or something else."""
    import numpy as np  # noqa: PLC0415 - as above
    import pandas as pd  # noqa: PLC0415

    size, text = len(part), part + bytes(_LONGEST)
    quotes = np.flatnonzero(np.frombuffer(text, np.uint8, size) == ord('"'))
    if not len(quotes) or len(quotes) % 2:
        return None
    starts, ends = quotes[0::2] + 1, quotes[1::2]
    widths = ends - starts
    longest = int(widths.max())
    # Between two texts stands the same as between the first two, a comma; around them stands nothing.
    gap = text[ends[0] + 1 : starts[1] - 1] if len(starts) > 1 else b","
    around = text[: quotes[0]] + text[ends[-1] + 1 : size]
    if around.strip() or gap not in {b",", b", "} or longest > _LONGEST:
        return None
    gaps = np.ndarray(size, "<u2", text, 0, (1,))[ends[:-1] + 1]
    if (starts[1:] - ends[:-1] != len(gap) + 2).any() or (gaps != int.from_bytes((gap + b'"')[:2], "little")).any():
        return None
    windows = np.ndarray(size + _LONGEST - _WINDOW, "<u8", text, 0, (1,))
    masks = np.array([(1 << 8 * kept) - 1 for kept in range(_WINDOW + 1)], np.uint64)
    outcomes, codes = [b""], np.zeros(len(starts), np.int64)
    for place in range(0, longest, _WINDOW):
        read = windows[starts + place] & masks[np.clip(widths - place, 0, _WINDOW)]
        parts, values = pd.factorize(read)
        ends_of = [int(value).to_bytes(_WINDOW, "little").rstrip(b"\0") for value in values]
        if not place:
            outcomes, codes = ends_of, parts
            continue
        codes, pairs = pd.factorize(codes * len(ends_of) + parts)
        outcomes = [outcomes[pair // len(ends_of)] + ends_of[pair % len(ends_of)] for pair in pairs.tolist()]
    return Coded([outcome.decode("utf-8") for outcome in outcomes], codes)


def cut_out(body: bytes) -> tuple[Any, list[Rows]] | None:
    """Return the document without the outcomes of its shots, and these as they stand there.

    Returns:
        None where it is not worth it, or where they are written in an unusual way.
    """
    if len(body) < LEAST:
        return None
    parts, rows, at = [], [], 0
    while (found := body.find(b'"memory"', at)) >= 0:
        opened = _OPENS.match(body, found)
        if opened is None:
            return None
        start, end = opened.end(), body.find(b"]", opened.end())
        # A bracket that stands in no text, of texts without escapes, ends them.
        if end < 0 or body.find(b"\\", start, end) >= 0 or body.count(b'"', start, end) % 2:
            return None
        parts.append(body[at:start])
        rows.append(Rows(body, start, end))
        at = end
    try:
        document = json.loads(b"".join([*parts, body[at:]]))
        wanted = [each["data"]["memory"] for each in document["results"]]
    except (KeyError, TypeError, ValueError):
        return None
    return (document, rows) if wanted == [[] for _ in rows] else None
