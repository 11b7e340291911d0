"""Names of people and projects: one spelling, and what scripts need."""

import pytest

from models.errors import printable
from models.names import one_spelling


def test_equal_names_are_one_name():
    """Composed or not, the name is the same: Macs write the accents of a file's name apart."""
    assert one_spelling("Zoe\u0308") == one_spelling("Zo\u00eb") == "Zo\u00eb"


@pytest.mark.parametrize("name", ["\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0915\u094d\u200d\u0937"])
def test_joiners_between_letters_belong_to_a_name(name: str):
    """Persian and Hindi names are written with them."""
    assert printable(name) == name


@pytest.mark.parametrize(
    "name", ["\u200cann", "ann\u200d", "a\u200c\u200db", "1\u200d2", "a\u200d b", "a\u200bb", "a\u202eb"]
)
def test_other_characters_that_cannot_be_seen_are_spelt_out(name: str):
    """At the ends, twice, beside a digit or a blank a joiner joins nothing; other invisible ones are never shown."""
    assert printable(name) != name
    assert printable(name).isascii()
