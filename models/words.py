"""Numbers in sentences."""


def count_of(number: int, what: str) -> str:
    """Return a number of things in words: 1 shot, 2 shots."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def no_or_count_of(number: int, what: str) -> str:
    """Return the same, but for nothing: no shots."""
    return count_of(number, what) if number else f"no {what}s"
