"""Where each document lies in a Dropbox: the paths of `storage.layout` in the folders of sqooler's provider.

Nothing here asks anybody; all places are below the storage's root folder:

    backends/configs/D.json          Config/D/config.json
    backends/public_keys/KID.json    public_keys/KID.json
    jobs/queued/D/ID.json            Queued_Jobs/D/job-ID.json
    jobs/running/ID.json             Running_Jobs/job-ID.json
    jobs/finished/D/ID.json          Finished_Jobs/D/USER/job-ID.json
    jobs/deleted/ID.json             Deleted_Jobs/job-ID.json
    status/D/ID.json                 Status/D/None/status-ID.json
    results/D/ID.json                Result/D/USER/result-ID.json
    events/D/ID.json                 Events/D/ID.json                  (ours alone)
    staged/NAME                      Staged/NAME                       (ours alone)

**USER.** An id of Dropbox is `YYYYmmdd_HHMMSS-D-USER-5hex`. A user's name may hold dashes; sqooler takes what stands
between the second dash and the third for the folder, writes results there and looks for them nowhere else. So we write
there too, and read also below the whole name. Ids of another form (24 hexadecimal digits) name no user: their folder
is `None`, which is also the one that sqooler's front end always writes a status to and reads it from.

Dropbox takes upper and lower case in paths for the same, so two ids must differ in more than that.
"""

from typing import NamedTuple

from models.names import dated_id

NO_USER = "None"


class Listing(NamedTuple):
    """What has to be listed for a folder of the layout.

    Attributes:
        place: the folder in the Dropbox; empty for the root.
        recursive: whether its documents lie in folders below it.
    """

    place: str
    recursive: bool


class _Kind(NamedTuple):
    """One row of the table above: `depth` folders (0 or 1) for backends stand between `theirs` and the document."""

    ours: tuple[str, ...]
    theirs: str
    depth: int
    prefix: str = ""
    by_user: bool = False


_STATUS = _Kind(("status",), "Status", 1, "status-", by_user=True)
_CONFIGS = ("backends", "configs")
_CONFIG = "config.json"
_KINDS = (
    _Kind(("backends", "public_keys"), "public_keys", 0),
    _Kind(("jobs", "queued"), "Queued_Jobs", 1, "job-"),
    _Kind(("jobs", "running"), "Running_Jobs", 0, "job-"),
    _Kind(("jobs", "finished"), "Finished_Jobs", 1, "job-", by_user=True),
    _Kind(("jobs", "deleted"), "Deleted_Jobs", 0, "job-"),
    _STATUS,
    _Kind(("results",), "Result", 1, "result-", by_user=True),
    _Kind(("events",), "Events", 1),
    _Kind(("staged",), "Staged", 0),
)


def places(path: str) -> tuple[str, ...]:
    """Return where the document at a path of the layout may lie: it is written to the first place, and read at all.

    A folder of the layout has one place; so has a path that the layout does not know, which stays as it is.
    """
    parts = tuple(path.split("/"))
    if parts[:2] == _CONFIGS:
        if len(parts) == 3 and parts[2].endswith(".json"):  # noqa: PLR2004 - backends, configs, D.json
            return (f"Config/{parts[2].removesuffix('.json')}/{_CONFIG}",)
        return ("/".join(("Config", *parts[2:])),)
    kind, rest = _kind_of(parts)
    if kind is None:
        return (path,)
    if len(rest) != kind.depth + 1:
        return ("/".join((kind.theirs, *rest)),)
    *backend, name = rest
    folder = "/".join((kind.theirs, *backend))
    if not kind.by_user:
        return (f"{folder}/{kind.prefix}{name}",)
    return tuple(f"{folder}/{user}/{kind.prefix}{name}" for user in _users(kind, name.removesuffix(".json")))


def listing(folder: str) -> Listing:
    """Return what has to be listed to see what lies in a folder of the layout."""
    parts = tuple(folder.split("/"))
    (place,) = places(folder)
    kind, rest = _kind_of(parts)
    return Listing(
        place, recursive=parts == _CONFIGS or (kind is not None and kind.by_user and len(rest) == kind.depth)
    )


def name_in(folder: str, found: str) -> str | None:
    """Return the name that a document has in a folder of the layout; None if no document of the layout lies so.

    Args:
        folder: of the layout.
        found: where it was found below the place of `listing(folder)`; only its last segment needs the right case.
    """
    above, _, last = found.rpartition("/")
    if tuple(folder.split("/")) == _CONFIGS:
        name = f"{above}.json"
    else:
        kind, rest = _kind_of(tuple(folder.split("/")))
        prefix = kind.prefix if kind is not None and len(rest) == kind.depth else ""
        if not last.startswith(prefix):
            return None
        name = last.removeprefix(prefix)
    place = listing(folder).place
    there = f"{place}/{found}".lower()
    return name if name and any(there == each.lower() for each in places(f"{folder}/{name}")) else None


def holds_documents(folder: str) -> bool:
    """Say whether documents lie in a folder of the layout, and not only the folders of backends."""
    parts = tuple(folder.split("/"))
    kind, rest = _kind_of(parts)
    return parts == _CONFIGS or kind is None or len(rest) == kind.depth


def _kind_of(parts: tuple[str, ...]) -> tuple[_Kind | None, tuple[str, ...]]:
    """Return the row of a path, and what follows in the path."""
    for kind in _KINDS:
        if parts[: len(kind.ours)] == kind.ours:
            return kind, parts[len(kind.ours) :]
    return None, parts


def _users(kind: _Kind, job_id: str) -> tuple[str, ...]:
    """Return the folders that stand for the user, the one to write to first."""
    cut = job_id.split("-")[2] if job_id.count("-") >= 2 else ""  # noqa: PLR2004 - D stands between them
    dated = dated_id(job_id)
    named = [name for name in (cut, dated.user if dated else "") if name.strip(".")]
    first = [] if named and kind is not _STATUS else [NO_USER]
    return tuple(dict.fromkeys(first + named))
