"""The names of users, projects, devices and backends, and of the control streams that hold the facts about them."""

import re
from collections.abc import Callable, Mapping
from typing import Literal

from models.characters import spelt_out
from models.errors import BadName, echo
from models.names import check_display_name, one_spelling

MAX_NAME, MAX_LINKED = 100, 200

BACKEND = "backend"
"""The kind of the streams about backends."""

# ASCII alone: two names that look alike are one name, each has one spelling (NFC), and all of them fit into a URL, a
# header and a line. The first character is never that of an option or of a hidden file.
_NAME = re.compile(rf"[A-Za-z0-9_@][A-Za-z0-9_.@\-]{{0,{MAX_NAME - 1}}}")


def is_name(text: str) -> bool:
    """Return whether a user or a project may have this name."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str, what: Literal["user", "project"]) -> str:
    """Return `text` if a user or a project may have this name.

    Raises:
        BadName: they may not.
    """
    if not is_name(text):
        raise BadName(
            f"{echo(text)} cannot be the name of a {what}: write at most {MAX_NAME} letters of A-Z and a-z, digits,"
            " '_', '.', '@' and '-', of which '.' and '-' do not come first"
        )
    return text


def check_linked_name(text: str) -> str:
    """Return, in its one spelling, a name that jobs without a token can have.

    Raises:
        BadName: it is empty, too long, or holds what cannot be seen, which no terminal and no database takes.
    """
    if not 0 < len(text) <= MAX_LINKED or spelt_out(text) != text:
        raise BadName(f"{echo(text)} cannot be linked: write 1 to {MAX_LINKED} characters that can be seen")
    return one_spelling(text)


def user_stream(name: str) -> str:
    """Return the stream of a user.

    Raises:
        BadName: no user may have this name.
    """
    return f"user/{check_name(name, 'user')}"


def project_stream(name: str) -> str:
    """Return the stream of a project.

    Raises:
        BadName: no project may have this name.
    """
    return f"project/{check_name(name, 'project')}"


def device_stream(name: str) -> str:
    """Return the stream of a device, which has the name of its backend.

    Raises:
        BadName: no backend may have this name.
    """
    return f"device/{check_display_name(name)}"


def backend_stream(name: str) -> str:
    """Return the stream of a backend.

    Raises:
        BadName: no backend may have this name.
    """
    return f"{BACKEND}/{check_display_name(name)}"


def check_stream_name(stream: str) -> str:
    """Return `stream` if it may be the name of a stream.

    Raises:
        BadName: it may not.
    """
    kind, name = parts(stream)
    if kind not in _STREAM_OF:
        raise BadName(f"{echo(stream)} is the name of no control stream")
    return _STREAM_OF[kind](name)


def parts(stream: str) -> tuple[str, str]:
    """Return what a stream is about, and the name of that."""
    kind, _, name = stream.partition("/")
    return kind, name


_STREAM_OF: Mapping[str, Callable[[str], str]] = {
    "user": user_stream,
    "project": project_stream,
    "device": device_stream,
    BACKEND: backend_stream,
}
