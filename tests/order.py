"""In which order the files of tests are begun: none that takes long is begun last, while nothing else is left to do."""

from collections.abc import Iterable

LONG = (
    "api/test_schema.py",
    "acceptance/test_by_itself.py",
    "deployments/test_processes.py",
    "acceptance/test_hostile_plug_in.py",
    "acceptance/test_secrets.py",
    "crash/test_matrix.py",
    "acceptance/test_drain.py",
    "acceptance/test_control_room.py",
    "acceptance/test_hostile_launches.py",
    "acceptance/test_mongodb.py",
    "acceptance/test_cli.py",
    "acceptance/test_storages.py",
    "browser/test_pages.py",
    "acceptance/test_dropbox.py",
    "acceptance/test_set_back.py",
    "acceptance/test_pool.py",
    "acceptance/test_postgres.py",
    "browser/test_ui.py",
    "acceptance/test_health.py",
    "acceptance/test_signing.py",
    "acceptance/test_surroundings.py",
    "acceptance/test_kill.py",
    "crash/test_faults.py",
    "deployments/test_services.py",
    "crash/test_log_outage.py",
    "contract/test_backends_check.py",
    "crash/test_overtaken.py",
    "acceptance/test_standstill.py",
    "migration/test_releases.py",
    "contract/test_archives.py",
    "api/test_oqtopus_files.py",
    "acceptance/test_storage_down.py",
    "crash/test_neighbours.py",
    "crash/test_state_machine.py",
    "api/test_oqtopus_user.py",
    "acceptance/test_starts.py",
    "acceptance/test_vacuum.py",
    "contract/test_cancelling.py",
    "acceptance/test_prune.py",
    "acceptance/test_verify_cli.py",
    "acceptance/test_qubits.py",
    "api/test_oqtopus_killed.py",
    "acceptance/test_sqooler.py",
    "api/test_killed.py",
)
"""Files that take more than ten seconds, below `tests`, the longest first; most of that time they wait."""

LAST = 0.2
"""This part of the other files, which compute most of their time, is kept for the end."""


def in_order(files: Iterable[str]) -> list[str]:
    """Return the files as they are best begun: the long ones from the longest on, and the others between them."""
    given = list(dict.fromkeys(files))
    long = [name for name in LONG if name in given]
    others = [name for name in given if name not in LONG]
    spread = len(others) * (1 - LAST)
    places = {name: float(place) for place, name in enumerate(others)}
    places |= {name: place * spread / len(long) for place, name in enumerate(long)}
    return sorted(long + others, key=places.__getitem__)
