"""What the OpenAPI document says of answers that are no success."""

import copy
import functools
from typing import Any

from deployments.api.problems import MEDIA_TYPE, TITLES, Problem

EVERYWHERE = (401, 408, 413, 421, 422, 429, 503)
"""Codes that any request may be answered with."""


Responses = dict[int | str, dict[str, Any]]


def problems(*codes: int, also: Responses | None = None) -> Responses:
    """Return the responses of these codes, and of those that any request may get.

    Args:
        also: responses that are no problems.
    """
    return {code: problem(code) for code in sorted({*codes, *EVERYWHERE})} | (also or {})


def problem(code: int) -> dict[str, Any]:
    """Return the response of one code."""
    return {"description": TITLES[code], "content": {MEDIA_TYPE: {"schema": copy.deepcopy(_schema())}}}


@functools.cache
def _schema() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return schema
