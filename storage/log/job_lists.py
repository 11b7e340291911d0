"""Lists of jobs, a page at a time, each as quick as the first, however many jobs there are.

A page is put together from lanes: parts of the view that an index holds in the order of time, such as the jobs of one
owner. Of each lane no more is read than the page can show. A cursor says behind which job the next page begins.
"""

import base64
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    TextClause,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
)

from models import clock
from models.errors import InputError
from models.job import FINAL, RUNNING, Job, Phase, State
from models.names import is_job_id
from storage.log.database import reading
from storage.log.labels import has_label
from storage.log.tables import (
    CALIBRATED,
    ENDED_OTHERWISE,
    HIDDEN,
    IN_A_GROUP,
    IN_A_PROJECT,
    OPEN,
    PROVEN,
    PROVEN_SEEN,
    UNPROVEN,
    JobRow,
)

_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_KEY = (_JOB.c.submitted_at, _JOB.c.job_id)
_SEEN = text("NOT hidden")
ENDED = text("ended <> ''")

Key = tuple[str, str]
"""What orders a list: when a job was submitted, and its id."""

Condition = ColumnElement[bool] | TextClause

MAX_PAGE = 1000
MAX_CURSOR = 1000
LANES = 100
"""So many lanes one statement reads; SQLite takes no more than 500."""

FEW = 500
"""So many jobs whose ids begin alike are looked at one by one; more are met soon enough in the lanes."""


MANY = 10_000
"""So many jobs of one backend are sorted; of more, the newest are soon met among those of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which jobs are listed: those in the first four, and of them those to which the rest applies.

    Attributes:
        everything: all jobs.
        owner: jobs that are proven to be this user's.
        names: jobs that nobody has proven to be his, handed in under one of these names of users.
        projects: proven jobs in these projects.
        since: submitted then (UTC) or later.
        until: submitted before then (UTC).
        prefix: of the id.
        group: name of the group that they belong to.
        labels: each of which they have, as (name, value).
        calibrations: hashes of which their results stand on one; none for all jobs.
    """

    everything: bool = False
    owner: str = ""
    names: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    backend: str = ""
    user: str = ""
    project: str = ""
    states: frozenset[State] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    prefix: str = ""
    group: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    calibrations: tuple[str, ...] = ()
    with_hidden: bool = False
    newest_first: bool = True


class Page(NamedTuple):
    """Some jobs of a list, in its order; `next_cursor` is None where no more follow."""

    jobs: list[Job]
    next_cursor: str | None


class GroupRow(NamedTuple):
    """A group of jobs: how many of a list belong to it, and when the last of them was submitted (UTC)."""

    name: str
    jobs: int
    last: datetime


class BadCursor(InputError):
    """What was given is no cursor of this list."""

    def __init__(self) -> None:
        super().__init__("the cursor is none that this list has given; begin without one")


def page(engine: Engine, query: Query, *, limit: int = 50, cursor: str = "") -> Page:
    """Return one page of a list.

    Args:
        limit: jobs of a page, 1 to 1000.
        cursor: the `next_cursor` of the page before; empty for the first one.

    Raises:
        BadCursor: it is none of this list.
        InputError: the limit is out of its range.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InputError(f"the limit is a number from 1 to {MAX_PAGE}")
    behind = _read_cursor(query, cursor) if cursor else None
    if _is_of_no_job(query):
        return Page([], None)
    with reading(engine) as connection:
        keys = _keys(connection, query, behind, limit + 1)
        shown = [job_id for _, job_id in keys[:limit]]
        folds = select(_JOB.c.job_id, _JOB.c.fold).where(_JOB.c.job_id.in_(shown))
        jobs = {job_id: Job.model_validate_json(fold) for job_id, fold in connection.execute(folds)} if shown else {}
    next_cursor = _cursor(query, keys[limit - 1]) if len(keys) > limit else None
    return Page([jobs[job_id] for job_id in shown], next_cursor)


def cursor_behind(query: Query, job: Job) -> str:
    """Return the cursor of a page that begins behind a job of the list."""
    return _cursor(query, (clock.to_text(job.submitted_at), job.job_id))


def count(engine: Engine, query: Query) -> int:
    """Return how many jobs the whole list has."""
    if _is_of_no_job(query):
        return 0
    with reading(engine) as connection:
        narrow = _only_few(connection, query)
        if query == Query(everything=True):
            # Without a look at each of them.
            return _count(connection, []) - _count(connection, [HIDDEN])
        rest = [*narrow, *_rest(query, None)]
        return sum(_count(connection, [*where, *rest]) for where in _lanes(query, apart=True))


def count_by_state(engine: Engine, query: Query) -> dict[State, int]:
    """Return how many jobs of the whole list are in each state that occurs."""
    if _is_of_no_job(query):
        return {}
    counts: Counter[State] = Counter()
    with reading(engine) as connection:
        rest = [*_only_few(connection, query), *_rest(query, None)]
        for where in _lanes(query, apart=True):
            states = select(_JOB.c.state, func.count()).where(*where, *rest).group_by(_JOB.c.state)
            counts.update({State(state): number for state, number in connection.execute(states)})
    return {state: counts[state] for state in State if counts[state]}


def groups(engine: Engine, query: Query, most: int) -> list[GroupRow]:
    """Return the groups to which jobs of a list belong, the one that was last used first, at most `most`."""
    columns = select(_JOB.c.group_name, func.count(), func.max(_JOB.c.submitted_at))
    jobs: Counter[str] = Counter()
    last: dict[str, str] = {}
    with reading(engine) as connection:
        for where in _lanes(query, apart=True):
            found = columns.where(IN_A_GROUP, *where, *_rest(query, None)).group_by(_JOB.c.group_name)
            for name, number, when in connection.execute(found):
                jobs[name] += number
                last[name] = max(when, last.get(name, ""))
    names = sorted(last, key=lambda name: (last[name], name), reverse=True)[:most]
    return [GroupRow(name, jobs[name], datetime.fromisoformat(last[name])) for name in names]


def _is_of_no_job(query: Query) -> bool:
    """Return whether a text is asked for that no job has: PostgreSQL is not even asked for one with a zero in it."""
    words = (query.backend, query.user, query.project, query.prefix, query.group, *itertools.chain(*query.labels))
    return any("\0" in text for text in words)


def _count(connection: Connection, where: Sequence[Condition]) -> int:
    return connection.execute(select(func.count()).select_from(_JOB).where(*where)).scalar() or 0


def _keys(connection: Connection, query: Query, behind: Key | None, most: int) -> list[Key]:
    """Return the first keys of a list behind one of them; a job in several lanes stands once."""
    narrow = _only_few(connection, query)
    lanes = [_lane(query, [*narrow, *where], behind, most) for where in _lanes(query)]
    found: set[Key] = set()
    for start in range(0, len(lanes), LANES):
        part = lanes[start : start + LANES]
        statement = part[0] if len(part) == 1 else union_all(*(select(lane.subquery()) for lane in part))
        found |= {(row[0], row[1]) for row in connection.execute(statement)}
    return sorted(found, reverse=query.newest_first)[:most]


def _lane(query: Query, where: Sequence[Condition], behind: Key | None, most: int) -> Select[Any]:
    order = [column.desc() if query.newest_first else column.asc() for column in _KEY]
    return select(*_KEY).where(*where, *_rest(query, behind)).order_by(*order).limit(most)


def _lanes(query: Query, *, apart: bool = False) -> Iterator[tuple[Condition, ...]]:
    """Yield what tells each lane; every condition of an index is said in the words of the index.

    Args:
        apart: no job is in two of them.
    """
    seen: list[Condition] = [] if query.with_hidden else [_SEEN]
    states = [[*state, *seen] for state in _states(query.states)]
    of_owner: list[list[Condition]] = [[PROVEN_SEEN], [HIDDEN]] if query.with_hidden else [[PROVEN_SEEN]]
    for whose, is_owners in _whose(query, apart=apart):
        for part in states or (of_owner if is_owners else [seen]):
            yield (*whose, *part)


def _whose(query: Query, *, apart: bool) -> Iterator[tuple[list[Condition], bool]]:
    """Yield whose jobs are listed, and whether it is those of one owner."""
    owners, names = [query.owner] if query.owner else [], query.names
    if query.everything:
        owners, names = ([query.user], (query.user,)) if query.user else ([], ())
        if not query.user and query.calibrations and not query.project:
            yield from (([CALIBRATED, _JOB.c.calibration == each], False) for each in query.calibrations)
        elif not query.user:
            yield [IN_A_PROJECT, _JOB.c.project == query.project] if query.project else [], False
    for owner in owners:
        yield [PROVEN, _JOB.c.owner == owner], True
    for name in names:
        yield [UNPROVEN, _JOB.c.user == name], False
    others = [_JOB.c.owner != query.owner] if apart else []
    for project in query.projects if not query.everything else ():
        yield [PROVEN, IN_A_PROJECT, _JOB.c.project == project, *others], False


def _states(states: frozenset[State]) -> Iterator[list[Condition]]:
    """Yield the states that are listed, each with the index that holds its jobs; nothing for all states."""
    if states == frozenset(State):
        return
    if State.QUEUED in states:
        yield [OPEN, _JOB.c.phase == Phase.WAITING.value]
    if running := states & RUNNING:
        every = [] if running == RUNNING else [_JOB.c.state.in_(sorted(running))]
        yield [OPEN, _JOB.c.phase == Phase.RUNNING.value, *every]
    for state in sorted(states & FINAL):
        yield [ENDED, *([] if state is State.DONE else [ENDED_OTHERWISE]), _JOB.c.ended == state.value]


def _rest(query: Query, behind: Key | None) -> Iterator[Condition]:
    """Yield what every job of the list has to be."""
    for column, value in ((_JOB.c.backend, query.backend), (_JOB.c.user, query.user), (_JOB.c.project, query.project)):
        if value:
            yield column == value
    if query.group:
        yield from (IN_A_GROUP, _JOB.c.group_name == query.group)
    yield from (has_label(*label) for label in query.labels)
    if query.calibrations:
        yield from (CALIBRATED, _JOB.c.calibration.in_(query.calibrations))
    if query.since is not None and (query.newest_first or behind is None):
        yield _JOB.c.submitted_at >= clock.to_text(query.since)
    if query.until is not None and (not query.newest_first or behind is None):
        yield _JOB.c.submitted_at < clock.to_text(query.until)
    if behind is not None:
        yield tuple_(*_KEY) < behind if query.newest_first else tuple_(*_KEY) > behind


def _only_few(connection: Connection, query: Query) -> list[Condition]:
    """Return what narrows a list to ids that begin so, or to the jobs of a group, where there are few."""
    if query.prefix and not is_job_id(query.prefix):
        return [literal(value=False)]
    # In the order of their bytes, and "~" comes after all that an id may hold.
    begins: list[Condition] = [_JOB.c.job_id >= query.prefix, _JOB.c.job_id < f"{query.prefix}~"]
    if not query.prefix:
        begins = [IN_A_GROUP, _JOB.c.group_name == query.group] if query.group else []
    if not begins:
        return _of_backend(connection, query)
    few = select(_JOB.c.job_id).where(*begins).limit(FEW + 1)
    found = connection.scalars(few.order_by(_JOB.c.job_id) if query.prefix else few).all()
    return begins if len(found) > FEW else [_JOB.c.job_id.in_(found)]


def _of_backend(connection: Connection, query: Query) -> list[Condition]:
    """Return what narrows a list of everybody's jobs to those of a backend that has not many; they are sorted then."""
    if not query.backend or not query.everything or query.user or query.project or query.calibrations:
        return []
    # In the words of the queue's index, which holds all that is counted here.
    jobs: list[Condition] = [_JOB.c.phase.in_([phase.value for phase in Phase]), _JOB.c.backend == query.backend]
    found = select(_JOB.c.job_id).where(*jobs).limit(MANY + 1).subquery()
    return [] if (connection.scalar(select(func.count()).select_from(found)) or 0) > MANY else jobs


def _cursor(query: Query, key: Key) -> str:
    said = json.dumps([*key, _name_of(query)], separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode("ascii")).decode("ascii").rstrip("=")


def _read_cursor(query: Query, cursor: str) -> Key:
    if len(cursor) > MAX_CURSOR:
        raise BadCursor
    try:
        said = json.loads(base64.b64decode(cursor.encode("ascii") + b"==", altchars=b"-_", validate=False))
        submitted_at, job_id, name = said
        moment = clock.to_text(datetime.fromisoformat(submitted_at))
    except (ValueError, OverflowError, TypeError, RecursionError):
        raise BadCursor from None
    if name != _name_of(query) or moment != submitted_at or not isinstance(job_id, str) or not is_job_id(job_id):
        raise BadCursor
    return submitted_at, job_id


def _name_of(query: Query) -> str:
    """Return what tells lists apart: a cursor of one of them is none of another."""
    fields = [sorted(each) if isinstance(each, frozenset) else str(each) for each in astuple(query)]
    return hashlib.sha256(json.dumps(fields).encode("ascii")).hexdigest()[:12]
