"""The tables of what is uploaded before it is a fact: it is gone after a day, and never mirrored."""

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field, SQLModel

from storage.log.tables import words


class RegistrationRow(SQLModel, table=True):
    """An id that a user was given for a job.

    Attributes:
        size: bytes of the content; 0 without one.
        content: the input, once it was uploaded.
    """

    __tablename__ = "registration"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    user: str = Field(sa_type=words(200))
    registered_at: str = Field(sa_type=words(40))
    size: int = Field(sa_type=BigInteger)
    content: bytes | None = Field(default=None, sa_type=LargeBinary)


class EngineFileRow(SQLModel, table=True):
    """A file that the engine of a device has brought in an attempt, before it says what became of the job."""

    __tablename__ = "engine_file"

    job_id: str = Field(primary_key=True, sa_type=words(200))
    attempt: int = Field(primary_key=True)
    item: str = Field(primary_key=True, sa_type=words(40))
    uploaded_at: str = Field(sa_type=words(40))
    content: bytes = Field(sa_type=LargeBinary)


class SecretRow(SQLModel, table=True):
    """A secret that the servers of one log share, and nobody else knows."""

    __tablename__ = "secret"

    name: str = Field(primary_key=True, sa_type=words(40))
    value: bytes = Field(sa_type=LargeBinary)
