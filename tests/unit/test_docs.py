"""The docs say what the code does."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from models.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_every_link_leads_somewhere():
    """Each relative link names a file that exists."""
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_link_into_a_page_leads_to_a_heading():
    """Of another page or of its own, and to one that is there wherever the pages are read."""
    for page in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)#([^)]+)\)", page.read_text("utf-8")):
            assert anchor in _anchors((page.parent / target).resolve() if target else page), (
                f"{page}: {target}#{anchor}"
            )


def _anchors(page: Path) -> set[str]:
    """Return what leads to the headings of a page: their words in small letters, without what is no letter."""
    text = re.sub(r"^```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    shown = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in shown}


def test_every_link_to_the_outside_is_well_formed():
    """It names a host by https, or this machine."""
    for page in PAGES:
        for target in re.findall(r"(?:\]\(|<)(https?://[^)>\s]*)", page.read_text("utf-8")):
            parts = urlsplit(target)
            assert parts.hostname == "127.0.0.1" or (parts.scheme == "https" and "." in (parts.hostname or "")), target


def test_a_jobs_way_is_walked_in_thirty_files_that_are_there():
    """The table of a job's way in docs/architecture.md numbers its lines, and each names files that exist."""
    way = (ROOT / "docs" / "architecture.md").read_text().partition("### File by file")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:3] for row in way.splitlines() if re.match(r"\| [0-9]+ ", row)]
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert 25 < len(rows) <= 30
    for _, names in rows:
        folder = ROOT
        for name in re.findall(r"`([\w/]+\.py)`", names):
            path = next((top / name for top in (folder, *folder.parents) if (top / name).is_file()), None)
            assert path is not None, name
            folder = path.parent


def test_the_files_and_tests_that_the_docs_name_are_there():
    """By their path, or its end; `NAME.py` is one that a reader is to make."""
    folders = ("benchmarks", "clients", "deployments", "examples", "flows", "models", "storage", "tasks", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    known = {"/".join(path.parts[-length:]) for path in files for length in range(1, 6)}
    tests = "".join(path.read_text() for path in files if path.name.startswith("test_"))
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        named = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.py)`", page.read_text())
        assert {name for name in named if not name.endswith("NAME.py")} <= known, page.name
        for name in re.findall(r"`(test_\w+)`", page.read_text()):
            assert f"def {name}(" in tests, f"{page.name}: {name}"


def test_the_settings_in_the_readme_exist():
    """Each QULEDGER_ variable that README or docs name is a setting, with the default that is stated."""
    known = {f"QULEDGER_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    known["QULEDGER_CRASH"] = ""  # for tests, see storage/failpoints.py
    known["QULEDGER_CODE"] = ""  # for `prefect deploy`, see prefect.yaml
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert set(re.findall(r"QULEDGER_[A-Z_]+", text)) <= set(known)
    for names, defaults in re.findall(r"^\| ((?:`QULEDGER_[A-Z_]+`(?:, )?)+) \| ([\d, .]+) \|", text, re.MULTILINE):
        stated = [float(value) for value in defaults.split(",")]
        assert [known[name] for name in re.findall(r"QULEDGER_[A-Z_]+", names)] == stated
