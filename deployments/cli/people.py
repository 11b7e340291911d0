"""`quledger user` and `quledger project`: who may use the laboratory's API, and with whom."""

from collections.abc import Callable
from typing import Any

from deployments.cli import render
from deployments.cli.existing import existing
from deployments.cli.operator import NOT_CHANGED, LimitOptions, actor, each_of, limit_changes, limits_text
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Cell, Column, ColumnKind, show_table
from models import clock
from models.clock import to_text
from models.errors import BadName, echo
from models.identity.errors import UnknownUser
from models.identity.facts import (
    ControlFact,
    MemberRemoved,
    MemberSet,
    NameLinked,
    NameUnlinked,
    ProjectAdded,
    Role,
    UserAdded,
    UserDisabled,
    UserEnabled,
    UserRoleSet,
)
from models.identity.people import Fold, Person, Project
from models.identity.streams import check_linked_name, project_stream, user_stream
from models.words import count_of
from tasks.services import current


def add_user(name: str, *, role: Role = "member", as_json: Json = False) -> int:
    """Add a user.

    Args:
        name: Letters, digits, '_', '.', '@' and '-'.
        role: A member hands in jobs, a viewer only looks, an operator may do everything.
    """
    person = current().directory.append(user_stream(name), UserAdded(role=role), actor=actor())
    text = f"the user {name} is added ({role})\nNext: quledger token new {name}"
    return _print(person, text, as_json=as_json)


def list_users(*, as_json: Json = False) -> int:
    """List the users."""
    users = existing().directory.users()
    columns = (
        Column("user", ColumnKind.NAME),
        Column("role"),
        Column("state"),
        Column("tokens"),
        Column("linked names", ColumnKind.TEXT),
        Column("limits", ColumnKind.TEXT),
    )
    rows = [
        (
            user.name,
            user.role,
            Cell("enabled", "green") if user.is_enabled else Cell("disabled", "yellow"),
            str(_good_tokens(user)),
            ", ".join(user.names) or Cell("-", "dim"),
            limits_text(user.limits),
        )
        for user in users
    ]
    hint = "There are no users. Add one: quledger user add NAME --role operator"
    shown: Callable[[], None] = (lambda: show_table(render.console, columns, rows)) if users else lambda: print(hint)
    print_output([_value(user) for user in users], shown, as_json=as_json)
    return 0


def set_user(
    name: str, *, role: Role | None = None, disable: bool = False, enable: bool = False, as_json: Json = False
) -> int:
    """Give a user another role, or disable him: no token of his lets anybody in until he is enabled again.

    Args:
        name: The user.
        role: Member, operator or viewer.
        disable: His tokens let nobody in.
        enable: They do again.
    """
    if disable and enable:
        raise BadName("say --disable or --enable, not both")
    facts: list[ControlFact] = [UserRoleSet(role=role)] if role else []
    facts += [UserDisabled()] if disable else [UserEnabled()] if enable else []
    if not facts:
        raise BadName("say what is to be changed: --role, --disable or --enable")
    existing().directory.append(user_stream(name), *facts, actor=actor())
    person = current().directory.user(name)
    state = "enabled" if person.is_enabled else "disabled"
    return _print(person, f"the user {name} is {state}, and {_a(person.role)}", as_json=as_json)


def link(name: str, user: str, *, as_json: Json = False) -> int:
    """Let a user see the jobs that came in under a name without a token, by the inbox, Prefect or the command line.

    Args:
        name: As those jobs have it. Anybody can have written it: what stands there is your word that it is this user.
        user: Who may see them.
    """
    name = check_linked_name(name)
    person = existing().directory.append(user_stream(user), NameLinked(name=name), actor=actor())
    return _print(person, f"the user {user} sees the jobs of {echo(name)}", as_json=as_json)


def unlink(name: str, user: str, *, as_json: Json = False) -> int:
    """Take back what `link` allowed.

    Args:
        name: As the jobs have it.
        user: Who may see them no longer.
    """
    name = check_linked_name(name)
    person = existing().directory.append(user_stream(user), NameUnlinked(name=name), actor=actor())
    return _print(person, f"the user {user} does not see the jobs of {echo(name)} any more", as_json=as_json)


def limit_user(name: str, *, limits: LimitOptions = NOT_CHANGED, as_json: Json = False) -> int:
    """Set limits of a user, or show them; `none` takes one away, and those that are not named stay.

    Args:
        name: The user.
    """
    return _limit(user_stream(name), limits, as_json=as_json)


def add_project(
    name: str, *, members: list[str] | None = None, viewers: list[str] | None = None, as_json: Json = False
) -> int:
    """Add a project, whose members and viewers see each other's jobs in it.

    Args:
        name: Letters, digits, '_', '.', '@' and '-'.
        members: Users who hand in jobs for it, with commas between them.
        viewers: Users who only look.
    """
    return _set_project(name, [ProjectAdded()], members, viewers, None, as_json=as_json)


def list_projects(*, as_json: Json = False) -> int:
    """List the projects."""
    projects = existing().directory.projects()
    columns = (
        Column("project", ColumnKind.NAME),
        Column("members", ColumnKind.TEXT),
        Column("viewers", ColumnKind.TEXT),
        Column("limits", ColumnKind.TEXT),
    )
    rows = [
        (each.name, _those(each, "member") or "-", _those(each, "viewer") or "-", limits_text(each.limits))
        for each in projects
    ]
    hint = "There are no projects. Add one: quledger project add NAME --members USER,USER"
    shown: Callable[[], None] = (lambda: show_table(render.console, columns, rows)) if rows else lambda: print(hint)
    print_output([_value(project) for project in projects], shown, as_json=as_json)
    return 0


def set_project(
    name: str,
    *,
    member: list[str] | None = None,
    viewer: list[str] | None = None,
    remove: list[str] | None = None,
    as_json: Json = False,
) -> int:
    """Change who belongs to a project.

    Args:
        name: The project.
        member: A user who hands in jobs for it from now on; may be repeated, as all of these.
        viewer: A user who only looks from now on.
        remove: A user who does not belong to it any more.
    """
    if not each_of([*(member or []), *(viewer or []), *(remove or [])]):
        raise BadName("say what is to be changed: --member, --viewer or --remove")
    existing()
    return _set_project(name, [], member, viewer, remove, as_json=as_json)


def limit_project(name: str, *, limits: LimitOptions = NOT_CHANGED, as_json: Json = False) -> int:
    """Set limits of all jobs of a project together, or show them; as `quledger user limits`.

    Args:
        name: The project.
    """
    return _limit(project_stream(name), limits, as_json=as_json)


def _set_project(  # noqa: PLR0913 - one parameter an option
    name: str,
    facts: list[ControlFact],
    members: list[str] | None,
    viewers: list[str] | None,
    removed: list[str] | None,
    *,
    as_json: bool,
) -> int:
    asked = {"member": each_of(members), "viewer": each_of(viewers), "remove": each_of(removed)}
    everybody = [user for users in asked.values() for user in users]
    if twice := sorted({user for user in everybody if everybody.count(user) > 1}):
        raise BadName(f"say of each user one thing: {', '.join(map(echo, twice))}")
    directory = current().directory
    # All of them at once; to append would name the first.
    if unknown := directory.unknown_users(asked["member"] + asked["viewer"]):
        raise UnknownUser(*unknown)
    facts += [MemberSet(user=user, role="member") for user in asked["member"]]
    facts += [MemberSet(user=user, role="viewer") for user in asked["viewer"]]
    facts += [MemberRemoved(user=user) for user in asked["remove"]]
    directory.append(project_stream(name), *facts, actor=actor())
    project = directory.project(name)
    text = f"the project {name} has {count_of(len(project.members), 'member')}"
    said = ", ".join(f"{user} ({role})" for user, role in sorted(project.members.items()))
    return _print(project, f"{text}: {said}" if said else text, as_json=as_json)


def _limit(stream: str, options: LimitOptions, *, as_json: bool) -> int:
    # Without a change this asks for what is there.
    limits = existing().directory.set_limits(stream, limit_changes(options), actor=actor()).model_dump()
    lines = [f"{name.replace('_', ' '):<18} {'-' if most is None else f'{most:,}'}" for name, most in limits.items()]
    print_output(limits, lambda: print("\n".join(lines)), as_json=as_json)
    return 0


def _those(project: Project, role: str) -> str:
    return ", ".join(sorted(user for user, has in project.members.items() if has == role))


def _a(role: str) -> str:
    return f"an {role}" if role == "operator" else f"a {role}"


def _good_tokens(person: Person) -> int:
    now = clock.now()
    return sum(token.state(now) == "good" for token in person.tokens.values())


def _value(fold: Fold) -> dict[str, Any]:
    """Return a user or a project as JSON; of good tokens their number, since `quledger token list` has them."""
    value = fold.model_dump(mode="json", exclude={"issued", "seq", "last_hash", "added_at"})
    tokens = {"tokens": _good_tokens(fold)} if isinstance(fold, Person) else {}
    return value | {"added_at": to_text(fold.added_at)} | tokens


def _print(fold: Fold, text: str, *, as_json: bool) -> int:
    print_output(_value(fold), lambda: print(text), as_json=as_json)
    return 0
