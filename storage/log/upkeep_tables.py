"""Small tables beside the log: signs of life of drains, and what is still to be told. Nothing in them is history."""

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from storage.log.tables import words


class DrainRow(SQLModel, table=True):
    """The last sign of life of a drain; one that ends in good order takes it away. Not history.

    Attributes:
        every: seconds between two signs.
        backends: whose queues it serves, as JSON.
        prefect: address of the Prefect API that it uses, without secrets.
    """

    __tablename__ = "drain"

    worker: str = Field(primary_key=True, sa_type=words(200))
    began_at: str = Field(sa_type=words(40))
    seen_at: str = Field(sa_type=words(40))
    every: float
    backends: str = Field(sa_type=Text)
    prefect: str = Field(default="", sa_type=words(500))


class ProbeRow(SQLModel, table=True):
    """What whoever asks whether the database takes a row has written last; of no other use."""

    __tablename__ = "probe"

    name: str = Field(primary_key=True, sa_type=words(40))
    written_at: str = Field(sa_type=words(40))


class SubscriberRow(SQLModel, table=True):
    """A way on which somebody is told what happens, as long as the settings of a process name it.

    Attributes:
        kinds: what he is told, as ` job.ended health.bad `.
        named_at: when a process last said that its settings name it.
    """

    __tablename__ = "subscriber"

    name: str = Field(primary_key=True, sa_type=words(40))
    kinds: str = Field(sa_type=Text)
    named_at: str = Field(sa_type=words(40))


class ToldHealthRow(SQLModel, table=True):
    """The one row with the parts that were down when that was last told, as JSON; not history."""

    __tablename__ = "told_health"

    name: str = Field(primary_key=True, sa_type=words(40))
    down: str = Field(sa_type=Text)


class NoticeRow(SQLModel, table=True):
    """What one subscriber is still to be told; written in the transaction of what it is about, gone when it was told.

    Attributes:
        notice_id: the same for whoever hears of the same thing, however often.
        content: as JSON, to the letter as it is told.
        not_before: when it may be tried (again).
    """

    __tablename__ = "notice"

    notice_id: str = Field(primary_key=True, sa_type=words(40))
    subscriber: str = Field(primary_key=True, sa_type=words(40))
    content: str = Field(sa_type=Text)
    noticed_at: str = Field(sa_type=words(40))
    not_before: str = Field(sa_type=words(40))
    attempts: int
