"""Small tables beside the log: signs of life of drains, and what is still to be told. Nothing in them is history."""

from sqlalchemy import Column, Float, Integer, Table, Text

from storage.log.tables import METADATA, words

DRAIN = Table(
    "drain",
    METADATA,
    Column("worker", words(200), primary_key=True),
    Column("began_at", words(40), nullable=False),
    Column("seen_at", words(40), nullable=False),
    Column("every", Float, nullable=False),
    Column("backends", Text, nullable=False),
    Column("prefect", words(500), nullable=False, default=""),
)
"""The last sign of life of a drain; one that ends in good order takes it away. Not history.

Attributes:
    every: seconds between two signs.
    backends: whose queues it serves, as JSON.
    prefect: address of the Prefect API that it uses, without secrets.
"""


PROBE = Table(
    "probe",
    METADATA,
    Column("name", words(40), primary_key=True),
    Column("written_at", words(40), nullable=False),
)
"""What whoever asks whether the database takes a row has written last; of no other use."""


SUBSCRIBER = Table(
    "subscriber",
    METADATA,
    Column("name", words(40), primary_key=True),
    Column("kinds", Text, nullable=False),
    Column("named_at", words(40), nullable=False),
)
"""A way on which somebody is told what happens, as long as the settings of a process name it.

Attributes:
    kinds: what he is told, as ` job.ended health.bad `.
    named_at: when a process last said that its settings name it.
"""


TOLD_HEALTH = Table(
    "told_health",
    METADATA,
    Column("name", words(40), primary_key=True),
    Column("down", Text, nullable=False),
)
"""The one row with the parts that were down when that was last told, as JSON; not history."""


NOTICE = Table(
    "notice",
    METADATA,
    Column("notice_id", words(40), primary_key=True),
    Column("subscriber", words(40), primary_key=True),
    Column("content", Text, nullable=False),
    Column("noticed_at", words(40), nullable=False),
    Column("not_before", words(40), nullable=False),
    Column("attempts", Integer, nullable=False),
)
"""What one subscriber is still to be told; written in the transaction of what it is about, gone when it was told.

Attributes:
    notice_id: the same for whoever hears of the same thing, however often.
    content: as JSON, to the letter as it is told.
    not_before: when it may be tried (again).
"""
