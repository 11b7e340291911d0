"""The limits of users and projects, as a submission asks for them: of many names with one read."""

from collections.abc import Collection

from sqlalchemy import Engine, select

from models.identity.limits import NO_LIMITS, Limits
from storage.identity.views import ACCOUNT, PROJECT
from storage.log.database import reading

BATCH = 500
"""Names that one statement asks for."""


def limits_of(engine: Engine, users: Collection[str], projects: Collection[str] = ()) -> dict[str, Limits]:
    """Return `user/NAME` and `project/NAME` -> limits, of those that have any."""
    found: dict[str, Limits] = {}
    with reading(engine) as connection:
        for kind, table, names in (("user", ACCOUNT, sorted(users)), ("project", PROJECT, sorted(projects))):
            for start in range(0, len(names), BATCH):
                part = names[start : start + BATCH]
                # One alone is usual, and a statement with a list is compiled anew each time.
                of_part = table.c.name == part[0] if len(part) == 1 else table.c.name.in_(part)
                query = select(table.c.name, table.c.limits).where(of_part)
                for name, text in connection.execute(query):
                    if (limits := Limits.model_validate_json(text)) != NO_LIMITS:
                        found[f"{kind}/{name}"] = limits
    return found
