"""Runs in the peer's environment: one call of sqooler's own functions for signatures."""

import json
from typing import Any

from sqooler.schemes import LocalLoginInformation
from sqooler.security import JWK, JWSDict, create_jwk_pair, jwk_from_config_str, sign_payload
from sqooler.storage_providers.local import LocalProvider


def main(store: str, call: str, *arguments: str) -> Any:
    """Do one call and return what the package says."""
    provider = LocalProvider(LocalLoginInformation(base_path=store))
    if call == "key":
        return provider.get_public_key(*arguments).model_dump(mode="json")
    if call == "verifies":
        # The document as it lies there, and the key that its header names.
        path, kid = arguments
        document = JWSDict(**provider.get(*path.rsplit("/", 1)))
        return document.verify_signature(JWK(**provider.get("backends/public_keys", kid)))
    if call == "sign":
        setting, payload = arguments
        return sign_payload(json.loads(payload), jwk_from_config_str(setting)).model_dump()
    return create_jwk_pair(*arguments)[0].to_config_str()
