"""The tables of control streams. `control_event` is the truth; all others can be made again from it, but one column.

Nothing of them is ever mirrored into a storage.
"""

from sqlalchemy import Boolean, Column, Integer, Table, Text

from storage.log.tables import METADATA, words

CONTROL_EVENT = Table(
    "control_event",
    METADATA,
    Column("stream", words(200), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", words(40), nullable=False),
    Column("data", Text, nullable=False),
    Column("recorded_at", words(40), nullable=False),
    Column("actor", words(200), nullable=False),
    Column("prev_hash", words(64), nullable=False),
    Column("hash", words(64), nullable=False),
)
"""One event, as `models.identity.control_events.ControlEvent`. Database triggers refuse UPDATE and DELETE."""


ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", words(100), primary_key=True),
    Column("role", words(10), nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("added_at", words(40), nullable=False),
    Column("limits", Text, nullable=False),
)
"""A user; `limits` is `models.identity.limits.Limits` as JSON."""


PROJECT = Table(
    "project",
    METADATA,
    Column("name", words(100), primary_key=True),
    Column("added_at", words(40), nullable=False),
    Column("limits", Text, nullable=False),
)
"""A project; `limits` as those of a user."""


MEMBERSHIP = Table(
    "membership",
    METADATA,
    Column("project", words(100), primary_key=True),
    Column("user", words(100), primary_key=True),
    Column("role", words(10), nullable=False),
)
"""That a user belongs to a project."""


DEVICE = Table(
    "device",
    METADATA,
    Column("name", words(100), primary_key=True),
    Column("status", words(20), nullable=False),
    Column("n_qubits", Integer),
    Column("device_info", Text, nullable=False),
    Column("calibrated_at", words(40), nullable=False),
)
"""A device that an engine outside serves, as the engine says it stands; what it has not said is empty or NULL."""


NAME_LINK = Table(
    "name_link",
    METADATA,
    Column("name", words(200), primary_key=True),
    Column("user", words(100), nullable=False),
)
"""That jobs which came in under a name without a token are a user's to see."""


TOKEN = Table(
    "token",
    METADATA,
    Column("token_id", words(20), primary_key=True),
    Column("sha256", words(64), nullable=False),
    Column("user", words(100), nullable=False),
    Column("device", words(100), nullable=False),
    Column("scopes", words(40), nullable=False),
    Column("note", words(200), nullable=False),
    Column("issued_at", words(40), nullable=False),
    Column("expires_at", words(40), nullable=False),
    Column("revoked_at", words(40), nullable=False),
    Column("last_used_at", words(40), nullable=False),
)
"""A token, of a user or of a device; the other one of the two is empty, as are times that there are not.

Attributes:
    scopes: with a blank between them.
    last_used_at: the one thing here that no event says, to the minute; empty before the first use.
"""


CALIBRATION = Table(
    "calibration",
    METADATA,
    Column("backend", words(100), primary_key=True),
    Column("sha256", words(64), primary_key=True),
    Column("config_sha256", words(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("recorded_at", words(40), nullable=False),
    Column("withdrawn_at", words(40), nullable=False),
    Column("withdrawn_by", words(200), nullable=False),
    Column("reason", words(500), nullable=False),
)
"""A version of a backend, as `models.calibrations.Calibration`; what there is not is empty.

Attributes:
    content: its text.
"""


CALIBRATION_PERIOD = Table(
    "calibration_period",
    METADATA,
    Column("backend", words(100), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sha256", words(64), nullable=False),
    Column("since", words(40), nullable=False),
    Column("until", words(40), nullable=False),
)
"""A time for which a version held, by its place among those of the backend; `until` is empty while it does."""
