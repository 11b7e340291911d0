"""The events of control streams: facts about users, projects and devices, chained like those of a job.

A stream has one name, such as `user/alice`, which no job's id can be, and its events have no attempts.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from models.clock import UtcDatetime
from models.errors import LogBroken, echo
from models.events import compact, event_hash
from models.identity.facts import ControlFact, control_fact_from_json


class ControlEvent(BaseModel):
    """One fact at its place in a stream.

    Attributes:
        seq: 0, 1, 2 ... within the stream.
        data: the fact's JSON text, compact; the hash covers it.
        recorded_at: when it was appended (UTC).
        actor: who appended it.
    """

    model_config = ConfigDict(frozen=True)

    stream: str
    seq: int
    kind: str
    data: str
    recorded_at: UtcDatetime
    actor: str
    prev_hash: str
    hash: str

    @property
    def fact(self) -> ControlFact:
        """The fact itself.

        Raises:
            LogBroken: the data hold none that is known here, as after a newer program has written to the log.
        """
        try:
            return control_fact_from_json(self.data)
        except (ValueError, RecursionError):
            msg = f"event {self.seq} of {self.stream} holds no fact that this program knows: {echo(self.kind)}"
            raise LogBroken(msg) from None

    def digest(self) -> str:
        """Return the SHA-256 that `hash` must hold: that of a job's event, of the same fields."""
        return event_hash(self.stream, self.seq, 0, self.data, self.recorded_at, self.actor, None, self.prev_hash)


def seal(  # noqa: PLR0913 - an envelope has that many fields
    fact: ControlFact, *, stream: str, seq: int, recorded_at: datetime, actor: str, prev_hash: str
) -> ControlEvent:
    """Return the event that holds `fact` at its place in the stream."""
    event = ControlEvent(
        stream=stream,
        seq=seq,
        kind=fact.kind,
        data=compact(fact.model_dump(mode="json")),
        recorded_at=recorded_at,
        actor=actor,
        prev_hash=prev_hash,
        hash="",
    )
    return event.model_copy(update={"hash": event.digest()})
