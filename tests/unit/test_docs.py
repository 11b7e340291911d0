"""The docs say what the code does."""

import re
from pathlib import Path

from models.job import RUNNING, TRANSITIONS, State
from models.settings import Settings

ROOT = Path(__file__).parents[2]


def transition_table() -> str:
    """Return the rows of the table in docs/job-states.md."""
    order = list(State)
    rows = []
    for row in TRANSITIONS.values():
        sources = " ".join(state for state in order if state in row.sources)
        if row.sources == frozenset(State):
            sources = "any"
        elif row.sources == RUNNING:
            sources = "any running"
        rows.append(f"| `{row.kind}` | {sources} | {row.target or 'the same'} | {row.writer} |")
    return "\n".join(rows)


def test_the_table_of_states_is_the_codes():
    """docs/job-states.md prints exactly the transitions that the code allows."""
    assert transition_table() in (ROOT / "docs" / "job-states.md").read_text()


def test_every_link_leads_somewhere():
    """Each relative link in README and docs names a file that exists."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


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


def test_the_settings_in_the_readme_exist():
    """Each QULEDGER_ variable that README or docs name is a setting, with the default that is stated."""
    known = {f"QULEDGER_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    known["QULEDGER_CRASH"] = ""  # for tests, see storage/failpoints.py
    known["QULEDGER_CODE"] = ""  # for `prefect deploy`, see prefect.yaml
    text = "\n".join(page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    assert set(re.findall(r"QULEDGER_[A-Z_]+", text)) <= set(known)
    for names, defaults in re.findall(r"^\| ((?:`QULEDGER_[A-Z_]+`(?:, )?)+) \| ([\d, .]+) \|", text, re.MULTILINE):
        stated = [float(value) for value in defaults.split(",")]
        assert [known[name] for name in re.findall(r"QULEDGER_[A-Z_]+", names)] == stated
