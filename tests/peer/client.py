"""Runs in the peer's environment: one call of sqooler's own LocalProvider, its answer as JSON."""

import json
import sys
from typing import Any

from sqooler.schemes import LocalLoginInformation
from sqooler.storage_providers.local import LocalProvider

USER = "ann"


def main(store: str, call: str, *arguments: str) -> Any:
    """Do one call on the storage and return what the provider says."""
    provider = LocalProvider(LocalLoginInformation(base_path=store))
    if call == "submit":
        backend, document = arguments
        job_id = provider.upload_job(job_dict=json.loads(document), display_name=backend, username=USER)
        provider.upload_status(display_name=backend, username=USER, job_id=job_id)
        return job_id
    if call == "backends":
        return provider.get_backends()
    if call == "config":
        return provider.get_backend_dict(*arguments).model_dump()
    if call == "operational":
        return provider.get_backend_status(*arguments).model_dump()
    backend, job_id = arguments
    if call == "status":
        return provider.get_status(backend, USER, job_id).model_dump()
    return provider.get_result(backend, USER, job_id).model_dump()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
