"""What Prefect can store and return again, as JSON schema keywords for the parameters of our flows.

Its server accepts JSON that it cannot return later: lone surrogates, numbers of more than 64 bits, values nested
hundreds of levels deep; and PostgreSQL stores no NUL character. One such run spoils every list that it is in. No schema
here limits the depth of a document: checking a large one level by level would hold up Prefect's server for seconds.
What comes through all the same is found by `flows.prefect_api.unreadable_runs`.
"""

from typing import Any

TEXT: dict[str, Any] = {"pattern": r"^[^\u0000\ud800-\udfff]*$"}
"""Of a text of any number of lines."""

LINE: dict[str, Any] = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]*$"}
"""Of a name."""

WHOLE_NUMBER: dict[str, Any] = {"minimum": -(2**53), "maximum": 2**53}
"""Of a whole number, which every JSON reader keeps exactly (RFC 8259, section 6)."""
