"""What others are told without asking: when a job has ended, a backend is paused, the health changes.

A notice is signed as https://www.standardwebhooks.com has it, so that receivers need nothing of ours: an HMAC-SHA256
over its id, the time at which it is sent, and its bytes.
"""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from models.clock import to_text
from models.errors import printable
from models.events import Event
from models.identity.control_events import ControlEvent
from models.identity.facts import BackendPaused, BackendResumed
from models.identity.streams import parts
from models.job import Job
from models.notice_kinds import Kind, key_of
from models.retry import LONGEST, doubled

GIVEN_UP = timedelta(days=3)
"""So long somebody is tried to be told of something; its history is in the log for ever."""

FIRST_PAUSE = 2.0
_ID_DIGITS = 32


class Notice(NamedTuple):
    """Something that somebody is told.

    Attributes:
        notice_id: 32 hexadecimal digits; the same for whoever is told of the same, however often.
        content: as JSON, to the letter as it is told.
    """

    notice_id: str
    kind: str
    at: datetime
    content: str

    @property
    def data(self) -> dict[str, Any]:
        """What it is about."""
        found: dict[str, Any] = json.loads(self.content)["data"]
        return found


def job_ended(job: Job, event: Event) -> Notice:
    """Return that a job has ended by this event."""
    data = {
        "job_id": job.job_id,
        "backend": job.backend,
        "user": job.user,
        "project": job.project,
        "state": job.state.value,
        "reason": printable(job.reason),
    }
    return _notice(event.hash[:_ID_DIGITS], "job.ended", event.recorded_at, data)


def of_control(event: ControlEvent) -> Notice | None:
    """Return what is told of an event of a control stream; None for most."""
    fact, (_, name) = event.fact, parts(event.stream)
    match fact:
        case BackendPaused():
            until = None if fact.until is None else to_text(fact.until)
            data = {"backend": name, "reason": fact.reason, "until": until, "by": event.actor}
            return _notice(event.hash[:_ID_DIGITS], "backend.paused", event.recorded_at, data)
        case BackendResumed():
            data = {"backend": name, "by": event.actor}
            return _notice(event.hash[:_ID_DIGITS], "backend.resumed", event.recorded_at, data)
    return None


def of_health(before: Sequence[str], down: dict[str, str], at: datetime) -> Notice | None:
    """Return what is told of the health; None where no other part is down than before.

    Args:
        before: names of the parts that were down when it was last told.
        down: part -> how it is, of those that are down.
    """
    if set(down) == set(before):
        return None
    if not down:
        return _notice(uuid.uuid4().hex, "health.good", at, {"was_down": sorted(before)})
    return _notice(uuid.uuid4().hex, "health.bad", at, {"down": down})


def _notice(notice_id: str, kind: Kind, at: datetime, data: dict[str, Any]) -> Notice:
    content = {"type": kind, "timestamp": to_text(at), "data": data}
    return Notice(notice_id, kind, at, json.dumps(content, separators=(",", ":")))


def line_of(notice: Notice) -> str:
    """Return a notice as one line for people."""
    data = notice.data
    match notice.kind:
        case "job.ended":
            return f"the job {data['job_id']} on {data['backend']} ended: {data['state']}"
        case "backend.paused":
            return f"{data['backend']} is paused" + (f": {data['reason']}" if data["reason"] else "")
        case "backend.resumed":
            return f"{data['backend']} is served again"
        case "health.bad":
            return f"down: {', '.join(data['down'])}"
        case _:
            return f"nothing is down any more (was: {', '.join(data['was_down'])})"


def headers_of(notice: Notice, secret: str, now: datetime) -> dict[str, str]:
    """Return the headers with which a notice is sent, its signature among them."""
    seconds = str(int(now.timestamp()))
    signed = f"{notice.notice_id}.{seconds}.{notice.content}".encode()
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": notice.notice_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def next_try(attempts: int, now: datetime, jitter: float) -> datetime:
    """Return when it is tried again after so many attempts.

    Args:
        jitter: random number in [0, 1).
    """
    pause = min(LONGEST, doubled(FIRST_PAUSE, max(0, attempts - 1)))
    return now + timedelta(seconds=pause * (0.5 + 0.5 * jitter))
