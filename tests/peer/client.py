"""Runs in the peer's environment: one call of one of sqooler's own providers."""

import json
import os
from typing import Any

from sqooler.schemes import DropboxLoginInformation, LocalLoginInformation, MongodbLoginInformation
from sqooler.storage_providers import mongodb
from sqooler.storage_providers.dropbox import DropboxProvider
from sqooler.storage_providers.local import LocalProvider

USER = os.environ.get("SQOOLER_USER", "ann")


def provider_at(store: str) -> Any:
    """Return sqooler's provider for a folder, a MongoDB server, or the Dropbox of the environment."""
    if store.startswith("dropbox://"):
        names = ("app_key", "app_secret", "refresh_token")
        login = {name: os.environ[f"DROPBOX_{name.upper()}"] for name in names}
        return DropboxProvider(DropboxLoginInformation(**login))
    if not store.startswith("mongodb://"):
        return LocalProvider(LocalLoginInformation(base_path=store))
    client = mongodb.MongoClient(store)
    mongodb.MongoClient = lambda _address: client  # its own address is always one of mongodb+srv://
    login = MongodbLoginInformation(mongodb_username="", mongodb_password="", mongodb_database_url="")
    return mongodb.MongodbProvider(login)


def main(store: str, call: str, *arguments: str) -> Any:
    """Do one call on the storage and return what the provider says."""
    provider = provider_at(store)
    if call == "submit":
        backend, document = arguments
        job_id = provider.upload_job(job_dict=json.loads(document), display_name=backend, username=USER)
        provider.upload_status(display_name=backend, username=USER, job_id=job_id)
        return job_id
    if call == "backends":
        return provider.get_backends()
    if call == "config":
        return provider.get_backend_dict(*arguments).model_dump()
    about = {"operational": provider.get_backend_status, "public_key": provider.get_public_key}
    if call in about:
        return about[call](*arguments).model_dump(mode="json")
    backend, job_id = arguments
    if call == "status":
        return provider.get_status(backend, USER, job_id).model_dump()
    return provider.get_result(backend, USER, job_id).model_dump()
