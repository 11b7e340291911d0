"""Numbers in sentences."""

import pytest

from models.words import count_that


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 jobs wait"), (1, "1 job waits"), (2, "2 jobs wait"), (1234, "1,234 jobs wait")]
)
def test_a_verb_goes_with_its_number(number: int, said: str) -> None:
    """As with the noun before it."""
    assert count_that(number, "job", "waits", "wait") == said
