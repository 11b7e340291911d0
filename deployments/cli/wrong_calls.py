"""What is wrong with a call of the command line, in one sentence."""

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    ArgumentOrderError,
    CoercionError,
    MissingArgumentError,
    UnknownCommandError,
    UnusedCliTokensError,
)

from deployments.cli.commands import COMMANDS, GROUPS
from models.errors import echo, printable

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    datetime: "a time such as 2026-12-01T08:00Z",
}

MAX_NAMED = 8
"""So many commands are named where one is mistyped."""


def sentence(error: CycloptsError) -> str:  # noqa: PLR0911 - one for each kind of fault
    """Return what is wrong, by the names that people read in the help."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"there is more than the command takes: {', '.join(map(echo, error.unused_tokens[:5]))}"
    if type(error) is MissingArgumentError and error.argument is not None and not error.tokens_so_far:
        command, argument = " ".join(error.command_chain or ()), error.argument
        if argument.field_info.is_positional and error.keyword is None:
            return f"{command} requires an argument: {argument.name.lstrip('-').upper()}"
        return f"{command}: {error.keyword or argument.name} requires an argument"
    if isinstance(error, ArgumentOrderError) and error.argument is not None:
        named = " ".join(each.name for each in error.prior_positional_or_keyword_supplied_as_keyword_arguments)
        command, name = " ".join(error.command_chain or ()), error.argument.name
        return f"{command}: with {named} it takes {name} {echo(error.token)}; or write neither name, and both in order"
    if isinstance(error, CoercionError) and error.msg is None and error.token is not None:
        option, right = error.token.keyword, _said(error.target_type)
        if option and right:
            return f"{option}: got {echo(error.token.value)}; it must be {right}"
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return _unknown(error.unused_tokens[0], error.command_chain or ())
    return printable(" ".join(str(error).split()))


def _said(kind: Any) -> str:
    """Return in words what a value has to be; nothing where no words are known for all of it."""
    kinds = [kind] if get_origin(kind) not in (Union, UnionType) else get_args(kind)
    words = [
        word
        for each in kinds
        if each is not NoneType
        for word in (map(str, get_args(each)) if get_origin(each) is Literal else [_WORDS.get(each, "")])
    ]
    return " or ".join(words) if all(words) else ""


def _unknown(word: str, group: Sequence[str]) -> str:
    """Say that there is no such command, by names alone: the library would import every command for it."""
    known = [*GROUPS[group[0]][1]] if group else [*COMMANDS, *GROUPS]
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    meant = f' Did you mean "{close[0]}"?' if close else ""
    shown = f"{', '.join(known[:MAX_NAMED])}{', ...' if len(known) > MAX_NAMED else '.'}"
    return f'Unknown command "{printable(word)}".{meant} Available commands: {shown}'
