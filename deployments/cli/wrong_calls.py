"""What is wrong with a call of the command line, in one sentence."""

from cyclopts import CycloptsError
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from models.errors import echo, printable


def sentence(error: CycloptsError) -> str:
    """Return what is wrong, by the names that people read in the help."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"there is more than the command takes: {', '.join(map(echo, error.unused_tokens[:5]))}"
    if type(error) is MissingArgumentError and error.argument is not None and not error.tokens_so_far:
        command, argument = " ".join(error.command_chain or ()), error.argument
        if argument.field_info.is_positional and error.keyword is None:
            return f"{command} requires an argument: {argument.name.lstrip('-').upper()}"
        return f"{command}: {error.keyword or argument.name} requires an argument"
    return printable(" ".join(str(error).split()))
