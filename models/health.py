"""What is found when the parts of a laboratory are asked how they are, and how that is judged; no clock, no I/O."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from models.clock import UtcDatetime
from models.words import count_of, no_or_count_of, span_of

Status = Literal["ok", "odd", "down", "unknown"]
"""Of a part: it works; it works and somebody should look at it; it does not; what it depends on does not answer."""

CLOCK_SECONDS = 5.0
"""So much two clocks may differ."""

MIRROR_ODD, MIRROR_DOWN = timedelta(minutes=1), timedelta(minutes=10)
"""So old the oldest event may be that is not in the storage yet."""

NOTICE_ODD = timedelta(minutes=10)
"""So long somebody may wait to be told something."""

QUEUE_CHECK = timedelta(minutes=5)
"""So long after the last look at its queue a backend counts as served; front ends of the storage say the same."""

SILENT_BEATS = 3
"""After so many missed signs of life a drain is silent."""

SIGN_SLACK = timedelta(seconds=5)
FORGOTTEN = timedelta(hours=1)
"""A drain that fell silent so long ago is nobody's concern while others serve."""

ODD_FACTOR = 4
"""A disk with less than so many times what has to be free is worth a look."""


class Part(BaseModel):
    """One part of the laboratory as it was found.

    Attributes:
        says: how it is, in one clause without paths or secrets of users.
        do: what to do about it; empty where nothing has to be done.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    status: Status
    says: str
    do: str = ""


class Health(BaseModel):
    """All parts, as they were at one time.

    Attributes:
        seconds: that the answers took.
    """

    model_config = ConfigDict(frozen=True)

    asked_at: UtcDatetime
    seconds: float
    parts: tuple[Part, ...]

    @property
    def down(self) -> list[Part]:
        """The parts that do not work."""
        return [part for part in self.parts if part.status == "down"]

    @property
    def is_open(self) -> bool:
        """Whether jobs can be handed in and read: the log and at least one storage answer."""
        storages = [part for part in self.parts if part.name.startswith(STORAGE)]
        log = [part for part in self.parts if part.name == DATABASE]
        return all(part.status != "down" for part in log) and any(part.status != "down" for part in storages)


DATABASE, STORAGE, MIRROR, DRAINS, DISK, CLOCK = "database", "storage", "mirror", "drains", "disk", "clock"
NOTICES = "notices"
BACKENDS, PREFECT, SCHEDULES, LOGS = "backends", "prefect", "schedules", "logs"


class Sign(NamedTuple):
    """The last sign of life of a drain.

    Attributes:
        every: seconds between two signs.
        process: as this machine sees it; empty where it runs on another one.
    """

    worker: str
    began_at: datetime
    seen_at: datetime
    every: float
    backends: tuple[str, ...] = ()
    process: Literal["", "there", "stopped", "gone"] = ""

    def is_silent(self, now: datetime) -> bool:
        """Return whether it should have given a sign by now, or cannot any more."""
        late = now - self.seen_at > timedelta(seconds=SILENT_BEATS * self.every) + SIGN_SLACK
        return late or self.process in {"stopped", "gone"}


def judge_drains(
    signs: Sequence[Sign], now: datetime, engines: Sequence[str] = (), waiting: Sequence[str] = ()
) -> Part:
    """Say who serves the queues, and which drain has ended without a word.

    Args:
        engines: devices whose engines were heard of lately; where they serve, a laboratory needs no drain.
        waiting: backends for which jobs wait and that no engine serves.
    """
    alive = [sign for sign in signs if not sign.is_silent(now)]
    lost = [sign for sign in signs if sign.is_silent(now) and not _is_replaced(sign, alive, now)]
    serving = [f"{sign.worker} serves, last sign of life {span_of(now - sign.seen_at)} ago" for sign in alive]
    if lost:
        says = "; ".join([*(_loss(sign, now) for sign in lost), *serving])
        do = "end it and start it again" if any(sign.process == "stopped" for sign in lost) else "start it again"
        return Part(name=DRAINS, status="down", says=says, do=f"{do}: `quledger up` or `quledger drain`")
    if not alive and engines and not waiting:
        says = f"no drain, and nothing waits for one: engines serve {', '.join(engines)}"
        return Part(name=DRAINS, status="ok", says=says)
    if not alive:
        do = "start one: `quledger up` or `quledger drain`"
        return Part(name=DRAINS, status="down", says="nobody serves the queues", do=do)
    return Part(name=DRAINS, status="ok", says="; ".join(serving))


def _is_replaced(lost: Sign, alive: Sequence[Sign], now: datetime) -> bool:
    if not alive:
        return False
    return now - lost.seen_at > FORGOTTEN or any(sign.began_at >= lost.seen_at for sign in alive)


def _loss(sign: Sign, now: datetime) -> str:
    how = {"stopped": ", and its process is stopped", "gone": ", and its process is gone"}.get(sign.process, "")
    return f"the drain {sign.worker} gave its last sign of life {span_of(now - sign.seen_at)} ago{how}"


def judge_mirror(behind: int, oldest: datetime | None, now: datetime) -> Part:
    """Say how far the documents in the storages are behind the log.

    Args:
        behind: jobs with events that are not there yet.
        oldest: of these events.
    """
    if not behind or oldest is None:
        return Part(name=MIRROR, status="ok", says="all events are in the storages")
    lag = now - oldest
    says = f"{count_of(behind, 'job')} with events that are not in the storages yet, the oldest for {span_of(lag)}"
    if lag <= MIRROR_ODD:
        return Part(name=MIRROR, status="ok", says=says)
    status: Status = "odd" if lag <= MIRROR_DOWN else "down"
    return Part(
        name=MIRROR, status=status, says=says, do="look at drains and storage; `quledger reconcile` writes them"
    )


def judge_notices(waiting: Mapping[str, tuple[int, datetime]], now: datetime) -> Part:
    """Say whether somebody is not told what he is to be told.

    Args:
        waiting: subscriber -> how many notices wait for him, and since when the first.
    """
    late = {name: number for name, (number, since) in waiting.items() if now - since > NOTICE_ODD}
    if not late:
        number = sum(number for number, _ in waiting.values())
        says = f"{count_of(number, 'notice')} to be told, for less than {span_of(NOTICE_ODD)}"
        return Part(name=NOTICES, status="ok", says=says if number else "nobody waits to be told")
    says = ", ".join(f"the {name} has not taken {count_of(number, 'notice')}" for name, number in late.items())
    return Part(name=NOTICES, status="odd", says=says, do="look at the receiver, and at the settings of docs/told.md")


class Room(NamedTuple):
    """The disk below a place; `free` in bytes, `files` is how many more it takes (None: no limit)."""

    what: str
    free: int
    files: int | None = None


def judge_disk(rooms: Sequence[Room], least: int) -> Part:
    """Say whether there is room.

    Args:
        least: bytes that have to be free.
    """
    full = [room for room in rooms if room.free < least or room.files == 0]
    tight = [room for room in rooms if room.free < ODD_FACTOR * least]
    says = ", ".join(
        f"{room.what}: " + ("no file more" if room.files == 0 else f"{room.free / 1e6:,.0f} MB free") for room in rooms
    )
    if full:
        return Part(name=DISK, status="down", says=says, do=f"free some space; {least / 1e6:,.0f} MB have to be free")
    return Part(name=DISK, status="odd" if tight else "ok", says=says, do="free some space" if tight else "")


def judge_clocks(differences: Mapping[str, float]) -> Part:
    """Say whether this machine's clock agrees with the others.

    Args:
        differences: whose clock -> by how many seconds it is ahead of ours, beyond what a request takes.
    """
    wrong = {who: by for who, by in differences.items() if abs(by) > CLOCK_SECONDS}
    if wrong:
        says = ", ".join(
            f"that of {who} is {span_of(timedelta(seconds=abs(by)))} {'ahead' if by > 0 else 'behind'}"
            for who, by in wrong.items()
        )
        do = "set the clocks, and keep them with NTP: leases are judged by them"
        return Part(name=CLOCK, status="down", says=f"against this machine's clock {says}", do=do)
    if not differences:
        return Part(name=CLOCK, status="ok", says="there is no other clock to compare with")
    return Part(name=CLOCK, status="ok", says=f"agrees with {', '.join(differences)}")


def judge_backends(
    checked: Mapping[str, datetime | None],
    now: datetime,
    outside: Collection[str] = frozenset(),
    unusable: Collection[str] = frozenset(),
) -> Part:
    """Say whose queue was not looked at lately.

    Args:
        checked: backend -> when its queue was last looked at; None if that is published nowhere.
        outside: those that engines serve: no drain would help them.
        unusable: plug-ins that do not load, or not in time: no drain serves them, or one that had loaded them before.
    """
    late = {
        name: "never" if at is None else f"{span_of(now - at)} ago"
        for name, at in checked.items()
        if at is None or now - at > QUEUE_CHECK
    }
    if not late:
        says = no_or_count_of(len(checked), "backend")
        return Part(name=BACKENDS, status="ok", says=f"the queues of {says} were looked at lately" if checked else says)
    named = ", ".join(f"{name} ({when})" for name, when in late.items())
    engines = [name for name in late if name in outside]
    do = [f"start the engine{'' if len(engines) == 1 else 's'} of {', '.join(engines)}"] if engines else []
    broken = [name for name in late if name in unusable]
    do += [f"`quledger backends check {name}` says why {name} is not loaded" for name in broken]
    if len(engines) + len(broken) < len(late):
        do.append("start a drain that serves the others" if do else "start a drain that serves them")
    return Part(name=BACKENDS, status="odd", says=f"queues last looked at: {named}", do="; ".join(do))


def judge_logs(errors: Mapping[str, int]) -> Part:
    """Say whether there were errors in the log files of the last day.

    Args:
        errors: file -> number, of those that have some.
    """
    if not errors:
        return Part(name=LOGS, status="ok", says="no errors in the log files of the last day")
    says = ", ".join(f"{count_of(number, 'error')} in {name}" for name, number in errors.items())
    return Part(name=LOGS, status="odd", says=f"{says} within a day", do="look at the log files in the home")
