"""Results as numpy reads them: an .npz file in which each shot is a number, the place of its outcome among all others.

Nothing is lost: a reader who puts the outcomes back where they belong has the result document.
"""

import io
from collections import defaultdict
from itertools import count
from typing import Any

import numpy as np

from models.signing import payload_text

SHOTS_AN_OUTCOME = 2
"""Where there are fewer, the outcomes take as many bytes as the shots."""


def npz_file(document: dict[str, Any]) -> bytes:
    """Return a result as an uncompressed .npz file of four arrays; docs/api.md describes them."""
    return _written(document, _memories(document))


def shorter_file(document: dict[str, Any]) -> bytes:
    """Return the shorter one of the .npz file and the JSON text; where they differ by little, the latter."""
    memories = _memories(document)
    if sum(map(len, memories)) < SHOTS_AN_OUTCOME * sum(len(set(memory)) for memory in memories) or not any(memories):
        return payload_text(document)
    return _written(document, memories)


def _memories(document: dict[str, Any]) -> list[list[str]]:
    return [each["data"]["memory"] for each in document["results"]]


def _written(document: dict[str, Any], memories: list[list[str]]) -> bytes:
    results = [each | {"data": each["data"] | {"memory": []}} for each in document["results"]]
    outcomes, shots = [], [np.empty(0, np.uint32)]
    for memory in memories:
        places: defaultdict[str, int] = defaultdict(count().__next__)  # a new outcome gets the next number
        shots.append(np.fromiter(map(places.__getitem__, memory), np.uint32, len(memory)))
        outcomes.append(list(places))
    smallest = np.min_scalar_type(max(0, max(map(len, outcomes), default=0) - 1))
    file = io.BytesIO()
    np.savez(
        file,
        document=_text(document | {"results": results}),
        outcomes=_text(outcomes),
        lengths=np.array([len(memory) for memory in memories], np.int64),
        shots=np.concatenate(shots).astype(smallest),
    )
    return file.getvalue()


def _text(value: Any) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return np.frombuffer(payload_text(value), np.uint8)
