"""Results as numpy reads them: an .npz file in which each shot is a number, the place of its outcome among all others.

Counts are numbers too, one for each outcome. Nothing is lost: a reader who puts both back where they belong has the
result document.
"""

import io
from collections import defaultdict
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from models.signing import payload_text

MUCH_SHORTER = 2
"""The text of a result that is not so many times as long as the file is as good."""

MAX_COUNT = 2**32
"""Of a number of times; where one is larger, the counts stay in the document."""


class _Packed(NamedTuple):
    """What one experiment has found.

    Attributes:
        rest: of the experiment.
        counts: how often each of the outcomes was found; nothing where `rest` says it, or nobody does.
        shots: of each its place among the outcomes.
    """

    rest: dict[str, Any]
    outcomes: list[str]
    counts: list[int]
    shots: "np.ndarray[Any, np.dtype[np.uint32]]"

    @classmethod
    def of(cls, experiment: dict[str, Any]) -> "_Packed":
        memory, counts = experiment["data"]["memory"], _counts(experiment)
        places: defaultdict[str, int] = defaultdict(count().__next__)  # a new outcome gets the next number
        for outcome in counts:
            places[outcome]
        shots = np.fromiter(map(places.__getitem__, memory), np.uint32, len(memory))
        rest = experiment | {"data": experiment["data"] | {"memory": []}}
        if not counts or len(counts) != len(places):  # a shot is not counted
            return cls(rest, list(places), [], shots)
        for part in ("data", "header"):
            if "counts" in rest[part]:
                rest[part] = rest[part] | {"counts": {}}
        return cls(rest, list(places), list(counts.values()), shots)


def npz_file(document: dict[str, Any]) -> bytes:
    """Return a result as an uncompressed .npz file of six arrays; docs/api.md describes them."""
    found = [_Packed.of(each) for each in document["results"]]
    file = io.BytesIO()
    np.savez(
        file,
        document=_text(document | {"results": [each.rest for each in found]}),
        outcomes=_text([each.outcomes for each in found]),
        lengths=np.array([len(each.shots) for each in found], np.int64),
        shots=_short(*(each.shots for each in found)),
        counted=np.array([len(each.counts) for each in found], np.int64),
        counts=_short(*(np.array(each.counts, np.uint32) for each in found)),
    )
    return file.getvalue()


def shorter_file(document: dict[str, Any]) -> bytes:
    """Return the shorter one of the .npz file and the JSON text; where they differ by little, the latter."""
    text, file = payload_text(document), npz_file(document)
    return file if MUCH_SHORTER * len(file) <= len(text) else text


def _counts(experiment: dict[str, Any]) -> dict[str, int]:
    """Return the counts of an experiment that can be taken out of it; none where they could not be put back."""
    counts: dict[str, int] = experiment["data"].get("counts") or {}
    if not all(type(each) is int and 0 <= each < MAX_COUNT for each in counts.values()):
        return {}
    twice = experiment["header"].get("counts", counts)
    return counts if twice == counts and list(twice) == list(counts) else {}


def _short(*parts: "np.ndarray[Any, np.dtype[np.uint32]]") -> "np.ndarray[Any, Any]":
    """Return the numbers, one after the other, as small as they can be."""
    whole = np.concatenate([np.empty(0, np.uint32), *parts])
    return whole.astype(np.min_scalar_type(int(whole.max(initial=0))))


def _text(value: Any) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return np.frombuffer(payload_text(value), np.uint8)
