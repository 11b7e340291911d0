"""Calibrations over HTTP: everybody may look, operators withdraw, and a list holds the caller's own results alone."""

from models.calibrations import version_of
from tests.api.conftest import FrontDoor
from tests.unit.sandbox_fakes import CONFIG

ONE = version_of(CONFIG, {"readout": 0.01})


def test_calibrations_over_http(door: FrontDoor):
    """They are listed and shown; a withdrawal needs an operator and a reason."""
    door.services.calibrations.publish("rydberg", ONE)
    (period,) = door.ask("alice", "GET", "/v1/backends/rydberg/calibrations").json()
    assert (period["sha256"], period["until"]) == (ONE.sha256, None)
    shown = door.ask("alice", "GET", f"/v1/calibrations/{ONE.sha256[:10]}").json()
    assert shown["content"]["calibration"] == {"readout": 0.01}
    path = f"/v1/calibrations/{ONE.sha256}/withdraw"
    assert door.ask("alice", "POST", f"{path}?reason=x").status_code == 403
    assert door.ask("olga", "POST", path).status_code == 422
    assert door.ask("olga", "POST", f"{path}?reason=laser%20off").json()["withdrawn_by"] == "olga"
    back = f"/v1/calibrations/{ONE.sha256}/reinstate"
    assert door.ask("alice", "POST", f"{back}?reason=x").status_code == 403
    assert door.ask("olga", "POST", back).status_code == 422
    assert door.ask("olga", "POST", f"{back}?reason=it%20was%20on").json()["withdrawn_at"] is None
    assert door.ask("olga", "POST", f"{back}?reason=x").status_code == 422
    assert door.ask("alice", "GET", "/v1/results?withdrawn=true").json() == {"results": [], "next": None}
    assert door.ask("alice", "GET", "/v1/results").status_code == 422
    for path in ("/v1/calibrations/feedbeef", "/v1/results?standing_on=feedbeef", "/v1/backends/nosuch/calibrations"):
        assert door.ask("alice", "GET", path).status_code == 404
