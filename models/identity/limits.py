"""How much a user, or all of a project together, may use."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

Most = Annotated[int, Field(ge=0, le=2**53)] | None


class Limits(BaseModel):
    """The most of each; None is no limit, 0 nothing at all.

    Attributes:
        jobs_queued: jobs that wait at one time.
        shots_a_day: shots of the jobs that were handed in on one day, in UTC.
        seconds_a_day: seconds that jobs ran on one day, in UTC.
        bytes: of all documents and payloads that are kept.
        requests_a_minute: to the API.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs_queued: Most = None
    shots_a_day: Most = None
    seconds_a_day: Most = None
    bytes: Most = None
    requests_a_minute: Most = None

    def changed(self, changes: Mapping[str, int | None]) -> Self:
        """Return the same with some of them set anew.

        Raises:
            pydantic.ValidationError: a name or a number cannot be.
        """
        return type(self).model_validate(self.model_dump() | dict(changes))


NO_LIMITS = Limits()
