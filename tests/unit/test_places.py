"""What a job may read: where imports lie, and nothing that is kept secret beside or in there."""

from pathlib import Path

import pytest

from tasks.sandbox.places import of_imports, without


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two places of imports, one of which holds a home with keys."""
    for folder in ("lib/package", "lab/src", "lab/home/keys", "lab/home/venv/lib", "lab/.git"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lab" / "setup.py").touch()
    (tmp_path / "lab" / "elsewhere").symlink_to(tmp_path / "lib")
    return tmp_path


def test_what_lies_in_another_place_is_said_once(tree: Path):
    """And what is not there is left out; a link counts as where it leads."""
    found = without([f"{tree}/lib", f"{tree}/lib/package", f"{tree}/lab/elsewhere", f"{tree}/none"], ())
    assert found == (f"{tree}/lib",)


def test_a_place_between_a_folder_and_what_lies_in_it_is_one_of_its_own(tmp_path: Path):
    """By its letters `lab-2` stands between `lab` and `lab/src`."""
    for folder in ("lab/src", "lab-2"):
        (tmp_path / folder).mkdir(parents=True)
    assert set(without([f"{tmp_path}/{name}" for name in ("lab/src", "lab-2", "lab")], ())) == {
        f"{tmp_path}/lab",
        f"{tmp_path}/lab-2",
    }
    assert without(["/", str(tmp_path)], ()) == ("/",)


def test_a_home_in_a_place_of_imports_is_left_out(tree: Path):
    """All that lies beside it may be read, at any depth."""
    found = without([f"{tree}/lab"], [f"{tree}/lab/home"])
    assert set(found) == {f"{tree}/lab/.git", f"{tree}/lab/setup.py", f"{tree}/lab/src"}
    above = without([f"{tree}"], [f"{tree}/lab/home/keys", f"{tree}/nothing"])
    assert f"{tree}/lib" in above
    assert f"{tree}/lab/home/venv" in above
    assert not any(f"{tree}/lab/home/keys".startswith(place) for place in above)


def test_what_is_imported_out_of_a_home_may_be_read(tree: Path):
    """An environment that was made in the home is asked for by its own name; the home itself never is."""
    hidden = [f"{tree}/lab/home", f"{tree}/lab/home/keys"]
    assert without([f"{tree}/lab/home/venv", f"{tree}/lab/home"], hidden) == (f"{tree}/lab/home/venv",)


def test_a_folder_whose_name_begins_like_a_hidden_one_is_not_hidden(tree: Path):
    """Names are compared whole."""
    (tree / "lab" / "home2").mkdir()
    assert f"{tree}/lab/home2" in without([f"{tree}/lab"], [f"{tree}/lab/home"])


def test_our_own_packages_may_be_read_where_the_home_is_the_folder_of_the_program():
    """Whoever points the home at the clone keeps the imports."""
    root = Path(__file__).resolve().parents[2]
    found = of_imports([str(root)])
    assert str(root) not in found
    assert {f"{root}/models", f"{root}/tasks"} <= set(found)
