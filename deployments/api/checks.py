"""What is handed in is checked as its run will, before it is stored."""

import dataclasses
from collections.abc import Sequence

from models.errors import JobRejected
from models.submissions import Submission
from tasks.jobs.checking import Checked, Checker


async def checked(checker: Checker, submissions: Sequence[Submission]) -> list[Submission | JobRejected]:
    """Return each submission of a user with its shots, or all of its faults; one that cannot be checked here passes."""
    whose = submissions[0].user if submissions else ""
    verdicts = await checker.check_all([(each.backend, each.document) for each in submissions], whose)
    found: list[Submission | JobRejected] = []
    for submission, verdict in zip(submissions, verdicts, strict=True):
        if isinstance(verdict, Checked):
            found.append(dataclasses.replace(submission, shots=verdict.shots))
        else:
            found.append(verdict if isinstance(verdict, JobRejected) else submission)
    return found
