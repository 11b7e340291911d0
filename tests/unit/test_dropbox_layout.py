"""The translation between the paths of the layout and the places in a Dropbox."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.names import is_job_id
from storage import layout
from storage.providers.dropbox import places as dropbox

HEX = "0123456789abcdef01234567"
DATED = "20210906_203730-singlequdit-user_1-1088f"
DASHED = "20210906_203730-singlequdit-ann-marie-1088f"

BACKENDS = st.from_regex(re.compile(r"[a-z0-9]{1,12}", re.ASCII), fullmatch=True)
USERS = st.from_regex(re.compile(r"[A-Za-z0-9_.\-]{1,12}", re.ASCII), fullmatch=True)
PLAIN_IDS = st.from_regex(re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,40}", re.ASCII), fullmatch=True).filter(is_job_id)
DATED_IDS = st.builds(
    "{}-{}-{}-{}".format,
    st.datetimes().filter(lambda moment: moment.year >= 1000).map(lambda moment: moment.strftime("%Y%m%d_%H%M%S")),
    BACKENDS,
    USERS,
    st.from_regex(re.compile(r"[0-9a-f]{5}", re.ASCII), fullmatch=True),
).filter(is_job_id)
IDS = st.one_of(PLAIN_IDS, DATED_IDS)


def paths(backend: str, job_id: str) -> list[str]:
    """Return one path of every kind."""
    return [
        layout.config(backend),
        f"backends/public_keys/{job_id}.json",
        layout.queued(backend, job_id),
        layout.running(job_id),
        layout.finished(backend, job_id),
        layout.deleted(job_id),
        layout.status(backend, job_id),
        layout.result(backend, job_id),
        layout.events(backend, job_id),
        layout.taken(job_id),
        layout.staged(job_id, 3),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("backends/configs/rydberg.json", ["Config/rydberg/config.json"]),
        ("backends/public_keys/kid.json", ["public_keys/kid.json"]),
        (f"jobs/queued/singlequdit/{DATED}.json", [f"Queued_Jobs/singlequdit/job-{DATED}.json"]),
        (f"jobs/running/{DATED}.json", [f"Running_Jobs/job-{DATED}.json"]),
        (f"jobs/finished/singlequdit/{DATED}.json", [f"Finished_Jobs/singlequdit/user_1/job-{DATED}.json"]),
        (f"jobs/deleted/{DATED}.json", [f"Deleted_Jobs/job-{DATED}.json"]),
        (
            f"status/singlequdit/{DATED}.json",
            [f"Status/singlequdit/None/status-{DATED}.json", f"Status/singlequdit/user_1/status-{DATED}.json"],
        ),
        (f"results/singlequdit/{DATED}.json", [f"Result/singlequdit/user_1/result-{DATED}.json"]),
        (
            f"results/singlequdit/{DASHED}.json",
            [f"Result/singlequdit/ann/result-{DASHED}.json", f"Result/singlequdit/ann-marie/result-{DASHED}.json"],
        ),
        (f"results/rydberg/{HEX}.json", [f"Result/rydberg/None/result-{HEX}.json"]),
        (f"status/rydberg/{HEX}.json", [f"Status/rydberg/None/status-{HEX}.json"]),
        (f"events/rydberg/{HEX}.json", [f"Events/rydberg/{HEX}.json"]),
        (f"staged/{HEX}.1.json", [f"Staged/{HEX}.1.json"]),
        ("staged/.probe", ["Staged/.probe"]),
        ("jobs/queued/rydberg", ["Queued_Jobs/rydberg"]),
        ("status", ["Status"]),
    ],
)
def test_each_document_has_its_place(path: str, expected: list[str]):
    """The documents lie where sqooler's Dropbox provider puts them and looks for them."""
    assert list(dropbox.places(path)) == expected


@pytest.mark.slow
@given(BACKENDS, IDS)
def test_what_is_listed_is_what_was_written(backend: str, job_id: str):
    """A document found at any of its places has its name in its folder again, whatever case Dropbox remembers."""
    for path in paths(backend, job_id):
        folder, _, name = path.rpartition("/")
        listed = dropbox.listing(folder)
        for place in dropbox.places(path):
            assert place.startswith(f"{listed.place}/")
            found = place.removeprefix(f"{listed.place}/")
            assert ("/" in found) == listed.recursive
            assert dropbox.name_in(folder, found) == name
            above, slash, last = found.rpartition("/")
            assert dropbox.name_in(folder, above.lower() + slash + last) == name


@given(BACKENDS, BACKENDS, IDS, IDS)
def test_two_documents_never_share_a_place(backend: str, other: str, job_id: str, another: str):
    """Documents at different paths have no place in common."""
    owner: dict[str, str] = {}
    for path in {*paths(backend, job_id), *paths(other, another)}:
        for place in dropbox.places(path):
            assert owner.setdefault(place, path) == path


@given(BACKENDS, IDS)
def test_a_place_is_below_the_root(backend: str, job_id: str):
    """No id and no user in it leads out of its folder, or to an empty name."""
    for path in paths(backend, job_id):
        for place in dropbox.places(path):
            assert all(part.strip(".") for part in place.split("/"))


@given(BACKENDS, st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_what_is_no_document_has_no_name(backend: str, found: str):
    """Whatever lies in a folder has the name of a document only if that document would lie there."""
    for path in paths(backend, HEX):
        folder = path.rpartition("/")[0]
        for where in (found, f"None/{found}", f"{found}/config.json", f"a/b/{found}"):
            name = dropbox.name_in(folder, where)
            places = [place.lower() for place in dropbox.places(f"{folder}/{name}")]
            assert name is None or f"{dropbox.listing(folder).place}/{where}".lower() in places


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("jobs/queued/rydberg", f"{HEX}.json"),
        ("jobs/queued/rydberg", f"status-{HEX}.json"),
        ("results/rydberg", f"result-{HEX}.json"),
        ("results/rydberg", f"ann/result-{HEX}.json"),
        ("status/rydberg", f"bob/status-{DATED}.json"),
        ("backends/configs", "config.json"),
        ("backends/configs", "rydberg/other.json"),
    ],
)
def test_what_lies_elsewhere_is_no_document(folder: str, found: str):
    """A file without the prefix, or in the folder of another user, is not taken for a document."""
    assert dropbox.name_in(folder, found) is None


def test_an_id_without_a_user_in_it_has_a_folder_all_the_same():
    """What stands between dashes and cannot be a folder stands for no user."""
    for job_id in ("a-b-", "a-b-.", "a--"):
        assert dropbox.places(layout.result("rydberg", job_id)) == (f"Result/rydberg/None/result-{job_id}.json",)
