"""What the API says of backends."""

from jsonschema import Draft202012Validator

from tests.api.conftest import SPIN, FrontDoor


def test_a_document_is_looked_at_before_it_is_sent(door: FrontDoor) -> None:
    """By the schema of its backend; who is nobody learns nothing, and there is none of an unknown one."""
    answer = door.ask("alice", "GET", "/v1/backends/singlequdit/schema")
    assert answer.headers["content-type"] == "application/schema+json"
    schema = Draft202012Validator(answer.json())
    assert schema.is_valid(SPIN)
    assert not schema.is_valid({"experiment_0": SPIN["experiment_0"] | {"shots": 10_000_000}})
    assert door.ask("alice", "GET", "/v1/backends/unknown/schema").status_code == 404
    assert door.ask(None, "GET", "/v1/backends/singlequdit/schema").status_code == 401
    described = door.ask(None, "GET", "/v1/openapi.json").json()["paths"]["/v1/backends/{name}/schema"]
    assert "application/schema+json" in described["get"]["responses"]["200"]["content"]
