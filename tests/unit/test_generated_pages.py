"""The pages that are made from the code are what the code says now."""

import pytest

from docs.generator.pages import PAGES, ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str):
    """What differs is written anew by `.venv/bin/python -m docs.generator`."""
    committed = (ROOT / "docs" / name).read_text("utf-8")
    assert PAGES[name](committed) == committed, "write the pages anew: .venv/bin/python -m docs.generator"
