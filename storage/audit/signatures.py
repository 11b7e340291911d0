"""The signatures in a storage that belong to no job: those of the published configurations, and the keys themselves."""

from collections.abc import Collection, Iterator

from models.audit import Finding
from models.errors import DocumentMissing, echo
from models.names import is_display_name
from storage import layout
from storage.providers.protocol import StorageProvider
from storage.signatures.public_keys import PublicKeys
from storage.signatures.signing import Signatures


def audit_signatures(storage: StorageProvider, signatures: Signatures, vouched: Collection[str]) -> Iterator[Finding]:
    """Yield each configuration whose signature does not hold, and each key that is broken, replaced or foreign.

    Args:
        vouched: ids of the keys with which, by the log, results were signed.
    """
    for path, why in _configurations(storage, signatures):
        yield Finding(job_id="", what="signature", message=f"{path}: {why}")
    for path, why in PublicKeys(storage).faults():
        yield Finding(job_id="", what="signature", message=f"{echo(path)[1:-1]} is no public key: {why}")
    for path, why in signatures.contradictions(vouched):
        yield Finding(job_id="", what="signature", message=f"{path} {why}")


def _configurations(storage: StorageProvider, signatures: Signatures) -> Iterator[tuple[str, str]]:
    for entry in storage.entries(layout.CONFIGS):
        backend = entry.name.removesuffix(".json")
        path = f"{layout.CONFIGS}/{entry.name}"
        if backend == entry.name or not is_display_name(backend):
            continue
        try:
            # Whoever follows a link reads what nobody has published here.
            fault = (
                signatures.fault_of_config(backend, storage.get(path))
                if entry.regular
                else "it is no document of its own (a link or a folder)"
            )
        except DocumentMissing:
            continue
        if fault is not None:
            yield path, fault
