"""What Prefect can store and give back again, in the words of a JSON schema: keywords for the parameters of our flows.

Its server takes JSON that it cannot answer with later: lone surrogates, numbers of more than 64 bits, values that are
nested hundreds of levels deep; and PostgreSQL keeps no NUL character. One such run spoils every list in which it
stands. How deep a document is, no schema says here: checking a large one level by level would hold up Prefect's server
for seconds. What comes through is found by `flows.prefect_api.unreadable_runs`.
"""

from typing import Any

TEXT: dict[str, Any] = {"pattern": r"^[^\u0000\ud800-\udfff]*$"}
"""Of a text of any number of lines."""

LINE: dict[str, Any] = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f\ud800-\udfff]*$"}
"""Of a name."""

WHOLE_NUMBER: dict[str, Any] = {"minimum": -(2**53), "maximum": 2**53}
"""Of a whole number, which every JSON reader keeps exactly (RFC 8259, section 6)."""
