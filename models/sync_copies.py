"""Names of the copies that programs make which keep folders in step: a second document, and never a second job."""

import re
from collections.abc import Callable

from models.names import dated_id, is_job_id

_MARKED = re.compile(
    r"""(?P<of>.+?)(?:
        [._-](?:sync-)?conflict-[0-9]{8}.*            # Syncthing, ownCloud
        | [._-]conflicted[._-]copy.*
        | [ ]*\(.*\) | [ ][0-9]+ | [ ]-[ ].*          # Dropbox, Nextcloud, Box, Google Drive; iCloud; Windows
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_ID_AND_MACHINE = re.compile(r"(?P<of>(?:job-)?[0-9]{8}_[0-9]{6}-.+?-[0-9a-f]{5}|[0-9a-f]{24})-[\w-]+", re.IGNORECASE)

COPY = "a program that keeps folders in step has made this copy of the job {of}; remove it, or rename it to have it run"
"""What people are told of such a copy."""


def copied_from(name: str, exists: Callable[[str], bool]) -> str | None:
    """Return the id of the job of whose document this is a copy; None if it is a document of its own.

    OneDrive only appends the name of a machine. Such a name is a copy's where there is what it is a copy of.

    Args:
        name: of the document, without `.json`.
        exists: says whether there is a job, or a document that waits, of an id.
    """
    if name.isalnum():
        return None
    marked = _MARKED.fullmatch(name)
    if marked is not None and is_job_id(marked["of"]):
        return marked["of"]
    appended = _ID_AND_MACHINE.fullmatch(name)
    if appended is None or dated_id(name) is not None or not exists(appended["of"]):
        return None
    return appended["of"]
