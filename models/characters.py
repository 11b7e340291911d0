"""Which characters of a user's text are shown as they are."""

from unicodedata import category

JOINERS = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER: Persian and the scripts of India cannot be written without them."""


def is_shown(text: str, place: int) -> bool:
    """Say whether the character at a place can be seen: it is printable, or a joiner between two letters."""
    return text[place].isprintable() or (
        text[place] in JOINERS
        and 0 < place < len(text) - 1
        and _is_letter(text[place - 1])
        and _is_letter(text[place + 1])
    )


def _is_letter(character: str) -> bool:
    return category(character)[0] in "LM"
