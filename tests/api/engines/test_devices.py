"""A device outside as its users see it, and what a drain does with its jobs: nothing."""

import json
from datetime import timedelta
from typing import Any

from flows.publish_backends import publish
from models import clock
from storage import layout
from storage.audit.verify import Verifier
from storage.identity.devices import standing
from tasks.backends import registry
from tests.api.conftest import FrontDoor
from tests.api.engines.engine_calls import EngineCalls
from tests.api.oqtopus_laboratory import Oqtopus

INFO = {"device_id": "K-7", "qubits": [{"id": 0}], "couplings": []}


def seen(outside: FrontDoor, alice: Oqtopus) -> dict[str, Any]:
    """Return the device as its users see it, asked anew."""
    outside.app.state.calls.visits.write()
    outside.app.state.calls.laboratory._served.clear()
    found: dict[str, Any] = alice.ask("GET", "/devices/kawasaki").raise_for_status().json()
    return found


def test_users_see_what_the_engine_says_of_its_device(outside: FrontDoor, alice: Oqtopus):
    """A machine; unavailable until its engine was heard of, and whenever that says so."""
    outside.directory.issue("device/kawasaki", actor="test")
    found = seen(outside, alice)
    assert (found["device_type"], found["status"], found["n_qubits"]) == ("QPU", "unavailable", 3)
    assert found["description"].startswith("The qubit device K-7, run by an engine of its own")

    engine = EngineCalls(outside)
    body = {"device_info": json.dumps(INFO), "calibrated_at": "2026-01-02"}
    assert engine.ask("PATCH", "/devices/kawasaki/device_info", json=body).json() == {"message": "Device data updated"}
    assert engine.ask("PATCH", "/devices/kawasaki", json={"n_qubits": 2}).status_code == 200
    assert engine.ask("PATCH", "/devices/kawasaki/status", json={"status": "available"}).status_code == 200
    found = seen(outside, alice)
    assert (found["status"], found["n_qubits"]) == ("available", 2)
    assert json.loads(found["device_info"]) == INFO
    assert found["calibrated_at"] == "2026-01-02T00:00:00.000000+00:00"
    view = outside.ask("alice", "GET", "/v1/backends/kawasaki").json()["config"]
    assert (view["simulator"], view["status_msg"], view["max_experiments"]) == (False, "available", 1)

    for _ in range(2):
        engine.ask("PATCH", "/devices/kawasaki/status", json={"status": "unavailable"})
    assert seen(outside, alice)["status"] == "unavailable"
    assert outside.ask("alice", "GET", "/v1/backends/kawasaki").json()["config"]["status_msg"] == "unavailable"
    assert list(Verifier(outside.services.log.engine, outside.services.stores).all()) == []


def test_a_device_outside_is_published_with_the_last_look_of_its_engine(outside: FrontDoor, engine: EngineCalls):
    """And a backend that is run here with that of the drain, which publishes both."""
    engine.jobs()
    outside.app.state.calls.visits.write()
    publish(outside.services, ["kawasaki", "rydberg"])
    store = outside.services.stores.of("")
    told = {name: json.loads(store.get(layout.config(name))) for name in ("kawasaki", "rydberg")}
    last = standing(outside.services.log.engine, "kawasaki").seen_at
    assert last is not None
    assert told["kawasaki"]["last_queue_check"] == last.replace(microsecond=0).isoformat()
    assert told["rydberg"]["last_queue_check"] >= (clock.now() - timedelta(minutes=1)).isoformat()
    assert (registry.served_outside("kawasaki"), registry.served_outside("qubits")) == (True, False)
