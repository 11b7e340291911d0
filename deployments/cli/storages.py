"""`quledger storages`: whether the storages can be used."""

import os

from deployments.cli.output import Json, print_output
from models.errors import StorageError, StorageInactive
from models.settings import EVERY, Settings
from storage.providers.contract import contract_faults
from storage.providers.registry import leaving_nothing, probe
from tasks.services import Services


def storages(*names: str, contract: bool = False, as_json: Json = False) -> int:
    """Connect to each storage, and see whether it takes what a job writes.

    Blocks of Prefect need PREFECT_API_URL. With `--contract` the code is 3 if a storage does otherwise than it says.

    Args:
        names: Of the storages; all of the settings by default.
        contract: Try all that a storage promises, in a folder of its own, which is empty afterwards.
    """
    settings = Settings.read()
    stores = Services(settings).stores
    for name in names:
        stores.expect(name)
    found: dict[str, str] = {}
    is_off: set[str] = set()
    differs = False
    for name in names or stores.names:
        try:
            store = stores.of(name)
            with leaving_nothing(store):
                faults = contract_faults(store) if contract else []
                if not faults:
                    probe(store)
        except StorageError as error:
            found[name] = str(error)
            is_off |= {name} if isinstance(error, StorageInactive) else set()
        else:
            found[name] = "; ".join(faults)
            differs = differs or bool(faults)
    if not names and settings.takes_every_block and "PREFECT_API_URL" not in os.environ:
        found[EVERY] = "blocks are not looked for; PREFECT_API_URL has to say by which Prefect they are kept"
    good = "it keeps the contract" if contract else "it can be used"
    lines = [f"{name or 'the storage'}: {trouble or good}" for name, trouble in found.items()]
    print_output(found, lambda: print("\n".join(lines)), as_json=as_json)
    if differs:
        return 3
    return 1 if any(trouble for name, trouble in found.items() if name not in is_off) else 0
