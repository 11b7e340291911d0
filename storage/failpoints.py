"""Named crash points: places where a test makes this process die, to see that nothing is lost.

Each lies between a commit of the database, a write to the storage and a call of Prefect. They cost nothing while
`QULEDGER_CRASH` is not set. Its value is `POINT:HOW:NTH`: the name of a point, `kill` (SIGKILL to this process), `term`
(SIGTERM), `raise` (an exception) or `hold` (no thread of it gets on any more), and at which passage (1 by default).
"""

import os
import re
import signal

POINTS = {
    "submission.written": "jobs are written, and the transaction is not committed",
    "submission.committed": "jobs are in the log, and nobody was told",
    "submission.appended": "`submitted` is in the log, nothing is in the storage",
    "inbox.appended": "a job from the inbox is in the log",
    "claim.appended": "`claimed` is in the log, no flow run has begun",
    "run.begun": "Prefect knows of the run, nothing was done yet",
    "mark.raised": "the log's mark is raised, the storage does not know",
    "mark.written": "the storage knows the new mark, nothing was mirrored under it",
    "take.history_written": "the history with the claim is in the mirror, the document is still in its queue",
    "take.moved": "the job document is out of its queue, the cursor does not say so",
    "take.recorded": "the cursor says so, the document is not in its place yet",
    "move.copied": "a storage that cannot rename has the document at its target, and at its source still",
    "validation.appended": "`validated` is in the log",
    "compilation.appended": "`compiled` is in the log",
    "execution.ran": "the backend has run, nothing says so",
    "execution.staged": "the result is staged, `executed` is not in the log",
    "execution.appended": "`executed` is in the log",
    "upload.written": "the result lies where front ends look, `uploaded` is not in the log",
    "upload.appended": "`completed` is in the log, the mirror does not know",
    "failure.appended": "`failed` is in the log, the mirror does not know",
    "mirror.history_written": "the mirrored history is written, the document not moved",
    "mirror.document_moved": "the job document is moved, the status not written",
    "mirror.status_written": "the status is written, the cursor not moved",
    "run.ended": "the mirror is up to date, Prefect does not know that the run ended",
    "reconcile.appended": "`lease_expired` and `retried` are in the log",
}

_name, _, _rest = os.environ.get("QULEDGER_CRASH", "").partition(":")
_how, _, _nth = _rest.partition(":")
_passages = 0


class Crash(Exception):
    """What a crash point raises when it is told to."""


def point(name: str) -> None:
    """Die here if this is the point, and this the passage, that the environment names."""
    if name == _name:
        _strike(name)


def _strike(name: str) -> None:
    global _passages  # noqa: PLW0603 - counted over the whole process
    _passages += 1
    if _passages != int(_nth or 1):
        return
    if _how == "raise":
        raise Crash(name)
    if _how == "hold":
        re.match("(a+)+b", 60 * "a")  # would take years, and lets go of nothing meanwhile
    os.kill(os.getpid(), signal.SIGTERM if _how == "term" else signal.SIGKILL)
