"""Words are spelt as in docs/glossary.md: in README and docs, and in what programs, pages and docstrings say."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "storage", "tasks", "flows", "deployments", "clients")

WRONG = {
    r"back-ends?|back end": "backend",
    r"front-?ends?": "front end",
    r"plugins?|plug ins": "plug-in",
    r"idempoten(?:ce|t)[ -]keys?|idempotency-keys": "idempotency key",
    r"data[ -]bases?": "database",
    r"flow-runs?|flowruns?": "flow run",
    r"time[ -]?stamped|time[ -]stamps?": "time",
    r"labeled|labeling": "labelled, labelling",
    r"cancel(?:ed|ing|ation)|canceller": "cancelled, cancelling",
    r"check[ -]?sums?": "hash",
    r"heart[ -]beats?": "heartbeat",
    r"work[ -]flows?": "flow",
    r"sand[ -]box(?:es)?": "sandbox",
    r"e-?mails?": "mail",
    r"white-?lists?|black-?lists?": "allowed, refused",
    r"log-?files?": "log",
}
"""What is not written, whole words in any case -> what is."""

NAMES = {
    r"Postgres(?!QL)|postgreSQL|PostGres\w*": "PostgreSQL",
    r"Mongo ?Db|Mongo DB|Mongodb": "MongoDB",
    r"SQLite3|Sqlite|SQlite": "SQLite",
    r"Drop[ -]Box|DropBox": "Dropbox",
    r"Open ?Qasm|Open QASM|OpenQAsm": "OpenQASM",
    r"Qu[lL]eger|QuLedger|Qledger": "Quledger",
    r"Sqooler": "sqooler",
    r"Qlued": "qlued",
    r"Oqtopus": "OQTOPUS",
    r"Github": "GitHub",
}
"""Names that are not written so -> how they are."""

_CODE = re.compile(r"```.*?^ *```|`[^`\n]*`|\]\([^)]*\)|https?://\S+", re.DOTALL | re.MULTILINE)
_PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def faults(text: str) -> list[str]:
    """Return what is spelt otherwise in a text of prose."""
    found = []
    for rules, flags in ((WRONG, re.IGNORECASE), (NAMES, 0)):
        for wrong, right in rules.items():
            found += [f"{each} -> {right}" for each in re.findall(rf"(?<![\w/.-])(?:{wrong})(?![\w/=-])", text, flags)]
    return found


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_words_of_the_glossary(page: Path):
    """Outside of code and addresses."""
    assert faults(_CODE.sub(" ", page.read_text("utf-8"))) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_use_them_too(package: str):
    """All texts of the code with a blank in them: messages, help, docstrings."""
    found = {}
    # What clients of others read is in their words.
    for path in (ROOT / package).rglob("[!.]*.py"):
        if path.parent.name == "dialects":
            continue
        wrong = [fault for text in _texts(path) for fault in faults(_CODE.sub(" ", text))]
        if wrong:
            found[str(path.relative_to(ROOT))] = wrong
    assert found == {}


def test_the_glossary_has_the_words_in_order():
    """Each once, and each rule is about a word that is written somewhere."""
    words = re.findall(r"^\| \*\*([^*]+)\*\* \|", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)
    assert len(words) > 80
    assert len(words) == len(set(words))


def test_a_wrong_word_is_found():
    """And a right one is not."""
    assert faults("The front-end asks the back end of a Postgres.") == [
        "back end -> backend",
        "front-end -> front end",
        "Postgres -> PostgreSQL",
    ]
    assert faults("The front end asks the backend of a PostgreSQL.") == []


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value
