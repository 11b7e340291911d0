"""Which characters of a user's text are shown as they are."""

from unicodedata import category

JOINERS = "\u200c\u200d"
"""ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER: Persian and the scripts of India cannot be written without them."""


def spelt_out(text: str) -> str:
    """Return a text with its code in place of each character that cannot be seen, but for joiners between letters."""
    return "".join(
        c if c.isprintable() or (c in JOINERS and _joins(text, place)) else f"\\u{ord(c):04x}"
        for place, c in enumerate(text)
    )


def _joins(text: str, place: int) -> bool:
    return 0 < place < len(text) - 1 and _is_letter(text[place - 1]) and _is_letter(text[place + 1])


def _is_letter(character: str) -> bool:
    return category(character)[0] in "LM"
