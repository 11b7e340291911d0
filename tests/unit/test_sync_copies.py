"""Copies that programs make which keep folders in step, by their names."""

import pytest

from models.sync_copies import copied_from

ID = "0123456789abcdef01234567"
DATED = "20210906_203730-singlequdit-ann-marie-1088f"
APPENDED = [
    ".sync-conflict-20261126-093312-ABCDEFG",
    " (conflicted copy 2026-11-26)",
    " (Ann's conflicted copy 2026-11-26)",
    " (conflicted copy 2026-11-26 093312)",
    "_conflict-20261126-093312",
    "-conflicted-copy-2026",
    " (SFConflict ann@example.org 2026-11-26)",
    " (1)",
    "(1)",
    " 2",
    " - Copy",
]


@pytest.mark.parametrize("of", [ID, DATED, f"job-{DATED}", "mine"])
@pytest.mark.parametrize("appended", APPENDED)
def test_a_copy_says_of_what_it_is_one(of: str, appended: str):
    """What the programs append tells it, whether the job is known or not."""
    assert copied_from(of + appended, lambda _: False) == of


@pytest.mark.parametrize("of", [ID, DATED, f"job-{DATED}"])
@pytest.mark.parametrize("machine", ["DESKTOP-1A2B3C4", "Anns-MacBook-Pro", "lab", "lab-2"])
def test_the_name_of_a_machine_is_a_copy_of_what_is_there(of: str, machine: str):
    """OneDrive appends nothing else, so only where there is the other one."""
    assert copied_from(f"{of}-{machine}", {of}.__contains__) == of
    assert copied_from(f"{of}-{machine}", lambda _: False) is None


@pytest.mark.parametrize("name", [ID, DATED, "job-2", "rabi-scan-1", "a.b", "conflict-1", "spin_conflict", "mine-lab"])
def test_an_id_of_its_own_is_no_copy(name: str):
    """Ids that people choose may go on after a dash."""
    assert copied_from(name, lambda _: True) is None
