"""Tables as CSV that a spreadsheet or a terminal may show: no text of a user does anything there."""

import contextlib
import re
from typing import Any

import pandas as pd

from models.characters import spelt_out

_BEGINS = ("=", "+", "-", "@")
_BEGIN = re.compile(r"""^([\s"]*)(?=[=+\-@])""")


def csv_of(frame: pd.DataFrame) -> str:
    """Return a table as CSV.

    A text that a spreadsheet would take for a formula has an apostrophe before it, also behind a semicolon, where those
    of some languages begin another cell; what cannot be seen is spelt out.
    """
    safe = frame.rename(columns=_plain)
    for place, kind in enumerate(frame.dtypes):
        if pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind):
            safe.isetitem(place, [_plain(cell) for cell in frame.iloc[:, place]])
    text: str = safe.to_csv(index=False)
    return text


def _plain(cell: Any) -> Any:
    """Return a cell as it is written; a number is no formula, nor is a sign before letters and digits, as in `+x`."""
    if not isinstance(cell, str):
        return cell
    first, *others = spelt_out(cell).split(";")
    return ";".join([_no_formula(first), *(_BEGIN.sub(r"\1'", other) for other in others)])


def _no_formula(cell: str) -> str:
    if not cell.startswith(_BEGINS):
        return cell
    if cell[0] in "+-" and cell[1:].replace("_", "").isalnum():
        return cell
    with contextlib.suppress(ValueError):
        float(cell)
        return cell
    return f"'{cell}"
