"""What a result has to be, whoever made it: plain JSON in the shape of the storage contract.

The rules are applied to what a backend returns before it counts, and to what lies in a storage before it is shown.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from models.words import count_of

DEEPEST = 64
"""The most levels of a result."""

NO_LIST = "the results are no list"

_LARGEST = 2**63
_PLAIN = (str, int, float, type(None))
_NUMBER = (int, float)


def fault_of(results: Any, *, experiments: int | None = None, expected: Mapping[str, int] | None = None) -> str | None:
    """Return what is wrong with the results of a job; None if nothing is.

    Args:
        results: one per experiment.
        experiments: how many there have to be; None if that is not known.
        expected: shots of each experiment by its name, in their order; None if they are not known.
    """
    if not isinstance(results, list):
        return NO_LIST
    if (fault := unlike_json(results)) is not None:
        return fault
    wanted = len(expected) if expected is not None else experiments
    if wanted is not None and len(results) != wanted:
        return f"got {count_of(len(results), 'result')} for {count_of(wanted, 'experiment')}"
    if (fault := _fault_of_each(results)) is not None:
        return fault
    return None if expected is None else _unlike_asked(results, expected)


def fault_of_document(document: Any) -> str | None:
    """Return what is wrong with a result document; None if nothing is."""
    if not isinstance(document, dict):
        return "it is no object"
    for name in ("display_name", "backend_version", "job_id"):
        if not isinstance(document.get(name), str):
            return f"{name} is no text"
    results = document.get("results")
    if (fault := unlike_json(document)) is not None:
        return fault
    return _fault_of_each(results) if isinstance(results, list) else NO_LIST


def expected_of(document: Any) -> dict[str, int] | None:
    """Return the shots of each experiment in a job document by its name; None if the document does not say."""
    if not isinstance(document, dict) or not document:
        return None
    found = {name: each.get("shots") if isinstance(each, dict) else None for name, each in document.items()}
    shots = {name: count for name, count in found.items() if type(count) is int}
    return shots if len(shots) == len(found) else None


def _fault_of_each(results: list[Any]) -> str | None:
    for position, result in enumerate(results):
        if (fault := _fault_of_one(result)) is not None:
            return f"result {position}: {fault}"
    return None


def _unlike_asked(results: list[Any], expected: Mapping[str, int]) -> str | None:
    for position, (result, (name, shots)) in enumerate(zip(results, expected.items(), strict=True)):
        if result["header"]["name"] != name:
            return f"result {position}: header.name is not the name of its experiment"
        if result["shots"] != shots:
            return f"result {position}: it has {count_of(result['shots'], 'shot')} instead of {shots}"
    return None


def _fault_of_one(result: Any) -> str | None:
    """Return what is wrong with the result of one experiment."""
    if not isinstance(result, dict):
        return "it is no object"
    header, shots, data = result.get("header"), result.get("shots"), result.get("data")
    if not isinstance(header, dict) or not isinstance(header.get("name"), str):
        return "header.name is no text"
    if type(shots) is not int or shots < 0:
        return "shots is no count"
    if not isinstance(result.get("success", True), bool):
        return "success is neither true nor false"
    if not isinstance(data, dict):
        return "data is no object"
    return _fault_of_data(data, shots)


def _fault_of_data(data: dict[str, Any], shots: int) -> str | None:
    memory, counts = data.get("memory"), data.get("counts")
    if not isinstance(memory, Sequence) or isinstance(memory, str) or not all(isinstance(each, str) for each in memory):
        return "data.memory is no list of texts"
    if "exp_value" in data:
        good = all(_is_number(data.get(name)) for name in ("exp_value", "stds"))
        return None if good else "data.exp_value and data.stds are not both numbers"
    if counts is not None:
        if not isinstance(counts, dict) or not all(type(count) is int and count >= 0 for count in counts.values()):
            return "data.counts holds something else than counts"
        if sum(counts.values()) != shots:
            return f"data.counts are of {count_of(sum(counts.values()), 'shot')} instead of {shots}"
    if memory and len(memory) != shots:  # it is empty where nothing was measured
        return f"data.memory holds {count_of(len(memory), 'outcome')} of {count_of(shots, 'shot')}"
    return None


def _is_number(value: Any) -> bool:
    """Return whether it is a number, be it one of a numbers library; true and false are none."""
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def unlike_json(value: Any) -> str | None:
    """Return why not everybody can write, store and read the value as JSON; level by level, not by recursion."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for each in level:
            inner: Sequence[Any] = ()
            if isinstance(each, dict):
                if (fault := _fault_of_keys(each)) is not None:
                    return fault
                inner = list(each.values())
            elif isinstance(each, list | tuple):
                inner = each
            elif (fault := _fault_of_leaf(each)) is not None:
                return fault
            for item in inner:
                # The commonest by far: the outcomes of the shots, and how often each was found.
                kind = type(item)
                if (kind is str and item.isascii()) or (kind is int and -_LARGEST <= item < _LARGEST):
                    continue
                below.append(item)
        if not below:
            return None
        level = below
    return f"it is nested more than {DEEPEST} levels deep"


def _fault_of_keys(value: dict[Any, Any]) -> str | None:
    for key in value:
        if not isinstance(key, str) or not (key.isascii() or _is_text(key)):
            return "a name in it is no text"
    return None


def _fault_of_leaf(value: Any) -> str | None:
    if not isinstance(value, _PLAIN):
        return f"it holds a {type(value).__name__}, which JSON does not have"
    if isinstance(value, str):
        return None if _is_text(value) else "a text in it holds characters that are none (lone surrogates)"
    if isinstance(value, float):
        return None if math.isfinite(value) else "it holds a number that is not finite"
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return "it holds a whole number of more than 64 bits"
    return None


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)
