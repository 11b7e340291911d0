"""What is wrong with a call of the command line, in one sentence."""

from collections.abc import Sequence
from difflib import get_close_matches

from cyclopts import CycloptsError
from cyclopts.exceptions import ArgumentOrderError, MissingArgumentError, UnknownCommandError, UnusedCliTokensError

from deployments.cli.commands import COMMANDS, GROUPS
from models.errors import echo, printable

MAX_NAMED = 8
"""So many commands are named where one is mistyped."""


def sentence(error: CycloptsError) -> str:
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
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return _unknown(error.unused_tokens[0], error.command_chain or ())
    return printable(" ".join(str(error).split()))


def _unknown(word: str, group: Sequence[str]) -> str:
    """Say that there is no such command, by names alone: the library would import every command for it."""
    known = [*GROUPS[group[0]][1]] if group else [*COMMANDS, *GROUPS]
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    meant = f' Did you mean "{close[0]}"?' if close else ""
    shown = f"{', '.join(known[:MAX_NAMED])}{', ...' if len(known) > MAX_NAMED else '.'}"
    return f'Unknown command "{printable(word)}".{meant} Available commands: {shown}'
