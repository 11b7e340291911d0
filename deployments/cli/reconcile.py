"""`quledger reconcile`: brings right what a crash left behind, also while no Prefect answers."""

import asyncio
import os
import sys
from typing import Annotated

from cyclopts import Parameter

from deployments.cli.existing import existing
from deployments.cli.output import Json, print_output
from tasks.jobs.leases import expire_leases
from tasks.prefect_settings import import_prefect, prepare
from tasks.services import Services
from tasks.sweeping import sweep_leftovers, sweep_storages

SAID = {
    "expired": "leases that had expired",
    "relayed": "jobs written into the storage",
    "failed": "jobs that could not be",
    "crashed": "dead runs ended in Prefect",
    "held": "jobs held",
    "left_out": "storages left out",
}
"""What each number is, for people."""


def reconcile(*, new_storage: Annotated[bool, Parameter(negative="")] = False, as_json: Json = False) -> int:
    """Bring right what a crash left behind: expired leases, documents that do not follow the log.

    Args:
        new_storage: A storage that is empty, though jobs were written there, is new and not lost: write them again.
    """
    services = existing()
    if new_storage:
        new = services.stores.take_as_new()
        services.cursor.begin_anew([*new, *([""] if services.stores.full("") in new else [])])
    unreachable = services.check_access()
    services.rollback.compare_all()
    expired = expire_leases(services)
    relayed = services.relay.update_all()
    services.marks.end()
    sweep_leftovers(services)
    sweep_storages(services)
    counts = {
        "expired": len(expired),
        "relayed": relayed.done,
        "failed": relayed.failed,
        "crashed": _crash_dead_runs(services),
    }
    held = services.holds.count()
    counts |= ({"held": held} if held else {}) | ({"left_out": len(unreachable)} if unreachable else {})
    text = ", ".join(f"{SAID[what]}: {number}" for what, number in counts.items())
    print_output(counts, lambda: print(text), as_json=as_json)
    if held:
        print("quledger: the log is behind its mirror; run `quledger restore`", file=sys.stderr)
    return 1 if relayed.failed or held or unreachable else 0


def _crash_dead_runs(services: Services) -> int:
    """End in Prefect the runs that died here, and return how many there were; 0 where no Prefect is named."""
    if "PREFECT_API_URL" not in os.environ:
        return 0  # the embedded server would be started just to be asked
    prepare(services.settings)
    import_prefect(services.settings)
    from flows.prefect_api.run_sync import crash_dead_runs  # noqa: PLC0415 - Prefect is imported once its settings stand

    return asyncio.run(crash_dead_runs(services))
