"""The results of qlued's API, as its clients read them. It imports little: large ones are made in another process."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

_WORDS_OF_RESULTS = {"DONE": "finished", "ERROR": "error"}


def result_file(result: Mapping[str, Any], name: str, *, counted: bool) -> bytes:
    """Return the text of a result; see `result_document`."""
    document = result_document(result, name, counted=counted)
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def result_document(result: Mapping[str, Any], name: str, *, counted: bool) -> dict[str, Any]:
    """Return a result as clients read it.

    Args:
        name: of the backend, in three parts; the contract leaves it to readers.
        counted: with counts beside the shots, and in the words of whoever waits for a result by them.
    """
    document = {**result, "backend_name": name}
    if not counted:
        return document
    document["results"] = [{**each, "data": _with_counts(each["data"])} for each in result["results"]]
    return in_words_of_results(document)


def in_words_of_results(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with a status in other words: for whoever waits for a result by them."""
    word = document["status"]
    return document | {"status": _WORDS_OF_RESULTS.get(word, word)}


def _with_counts(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "counts": data.get("counts") or dict(Counter(data["memory"]))}
