"""The tables of what is not yet a job. Nothing here is a fact: it is gone after a day, and never mirrored."""

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
    user: str = Field(index=True, sa_type=words(200))
    registered_at: str = Field(index=True, sa_type=words(40))
    size: int = Field(sa_type=BigInteger)
    content: bytes | None = Field(default=None, sa_type=LargeBinary)


class SecretRow(SQLModel, table=True):
    """A secret that the servers of one log share, and nobody else knows."""

    __tablename__ = "secret"

    name: str = Field(primary_key=True, sa_type=words(40))
    value: bytes = Field(sa_type=LargeBinary)
