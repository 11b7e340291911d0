"""The page of all commands."""

import re

from deployments.cli.app import app
from docs.generator.markdown import page

ABOUT = """What `quledger COMMAND --help` says of each. The
[exit codes](../../README.md#exit-codes) are the same for all."""


def commands() -> str:
    """Return the page."""
    text = app.generate_docs(output_format="markdown")
    _, _, text = text.partition("## quledger ")
    text = re.sub(r", --empty-[a-z-]+", "", "## quledger " + text)  # an option that nobody needs
    text = text.replace("```console", "```text").replace('*[default: ""]*', "").replace("\n\n\n", "\n\n")
    return page("Commands", ABOUT, "\n".join(line.rstrip() for line in text.strip().splitlines()))
