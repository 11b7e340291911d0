"""`quledger retention`: what is older than it is kept, and its removal."""

from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from deployments.cli.existing import existing
from deployments.cli.operator import actor
from deployments.cli.output import Json, print_output
from models import clock
from models.errors import BadSetting
from models.words import count_of
from storage.log.expiry import Sum, payloads_before, remove_payloads
from tasks.jobs.retention import old_results, remove_results
from tasks.services import Services

_Days = Annotated[float | None, Parameter(negative="")]
MAX_DAYS = 36500


def retention(
    *,
    results_days: _Days = None,
    payloads_days: _Days = None,
    apply: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Show which results and payloads are older than they are kept; with `--apply`, remove them. Histories stay.

    Example: `quledger retention --results-days 730`, and once more with `--apply`.

    Args:
        results_days: How long a result is kept; by default QULEDGER_RESULTS_DAYS, without which all are.
        payloads_days: How long a payload is kept; by default QULEDGER_PAYLOADS_DAYS, without which all are.
        apply: Remove them.
    """
    services = existing()
    settings = services.settings
    kept = {
        "results": settings.results_days if results_days is None else results_days,
        "payloads": settings.payloads_days if payloads_days is None else payloads_days,
    }
    if all(days is None for days in kept.values()):
        raise BadSetting("nothing says how long they are kept: --results-days, --payloads-days, or their settings")
    if not all(days is None or 0 < days <= MAX_DAYS for days in kept.values()):
        raise BadSetting(f"say a number of days above 0, up to {MAX_DAYS}")
    value: dict[str, Any] = {"applied": apply}
    lines = []
    for what, days in kept.items():
        if days is not None:
            found = (
                _remove(services, what, timedelta(days=days)) if apply else _find(services, what, timedelta(days=days))
            )
            value[what] = {"days": days, **found._asdict()}
            done = "removed" if apply else "would be removed"
            lines.append(f"{done}: {count_of(found.number, what.removesuffix('s'))} of {found.bytes / 1e6:,.1f} MB")
    if not apply:
        lines.append("Nothing was removed; --apply does it")
    print_output(value, lambda: print("\n".join(lines)), as_json=as_json)
    return 0


def _find(services: Services, what: str, kept: timedelta) -> Sum:
    before = clock.now() - kept
    return old_results(services, before) if what == "results" else payloads_before(services.log.engine, before)


def _remove(services: Services, what: str, kept: timedelta) -> Sum:
    before = clock.now() - kept
    if what == "results":
        services.check_access()
        return remove_results(services, before, kept, actor())
    found = payloads_before(services.log.engine, before)
    return Sum(remove_payloads(services.log.engine, before), found.bytes)
