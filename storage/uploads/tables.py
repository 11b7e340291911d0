"""The tables of what is uploaded before it is a fact: it is gone after a day, and never mirrored."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table

from storage.log.tables import METADATA, words

REGISTRATION = Table(
    "registration",
    METADATA,
    Column("job_id", words(200), primary_key=True),
    Column("user", words(200), nullable=False),
    Column("registered_at", words(40), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary),
)
"""An id that a user was given for a job.

Attributes:
    size: bytes of the content; 0 without one.
    content: the input, once it was uploaded.
"""


ENGINE_FILE = Table(
    "engine_file",
    METADATA,
    Column("job_id", words(200), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("item", words(40), primary_key=True),
    Column("uploaded_at", words(40), nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""A file that the engine of a device has brought in an attempt, before it says what became of the job."""


SECRET = Table(
    "secret",
    METADATA,
    Column("name", words(40), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""A secret that the servers of one log share, and nobody else knows."""
