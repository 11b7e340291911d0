"""`quledger user import-qlued`: users and tokens of qlued, so that its clients keep theirs."""

import contextlib
from typing import Annotated

from cyclopts import Parameter

from deployments.cli.existing import existing_or_empty
from deployments.cli.operator import actor
from deployments.cli.output import Json, print_output
from models.identity.qlued import plan
from models.identity.streams import user_stream
from models.words import no_or_count_of
from storage.identity.qlued_file import read_qlued
from tasks.services import current


def import_qlued(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    apply: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Show which users and tokens a database file of qlued has that are not here; with `--apply`, take them over.

    Tokens keep working as they are. What is here already stays as it is. Rows that cannot be taken over are named, and
    the code is 1 then.

    Args:
        file: qlued's `db.sqlite3`; it is only read.
        apply: Take them over.
    """
    users, tokens = read_qlued(file)
    with contextlib.nullcontext(current()) if apply else existing_or_empty() as services:
        directory = services.directory
        known = {listed.token.sha256 for listed in directory.tokens()}
        made = plan(users, tokens, {user.name: user for user in directory.users()}, known)
        if apply:
            for step in made.steps:
                directory.change(user_stream(step.name), step.missing, actor=actor())
    added = [step.name for step in made.steps if step.is_new]
    number = sum(step.tokens for step in made.steps)
    what = f"{no_or_count_of(len(added), 'user')} and {no_or_count_of(number, 'token')}"
    lines = [step.line for step in made.steps]
    lines += [f"left out: {line}" for line in made.left_out]
    lines += [f"note: {line}" for line in made.notes]
    lines.append(f"added {what}" if apply else f"would add {what}; nothing was changed, and --apply does it")
    value = {
        "applied": apply,
        "users": added,
        "tokens": number,
        "left_out": made.left_out,
        "notes": made.notes,
    }
    print_output(value, lambda: print("\n".join(lines)), as_json=as_json)
    return 1 if made.left_out else 0
