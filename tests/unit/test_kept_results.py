"""What was made of results is kept up to a bound."""

import pytest

from deployments.api import kept_results
from deployments.api.kept_results import KeptResults
from deployments.api.result_files import FORMS, Form
from deployments.api.result_process import Made
from tasks.jobs.accepted import Accepted


def test_what_is_kept_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used longest ago goes first; what is too large for it, or is of another form, is not found."""
    monkeypatch.setattr(kept_results, "MAX_BYTES", 10)
    monkeypatch.setattr(kept_results, "MAX_ONE", 6)
    monkeypatch.setattr(kept_results, "MAX_NUMBER", 4)
    kept, form = KeptResults(), FORMS["npz"]
    results = [Accepted(job_id="j", sha256=str(number)) for number in range(9)]

    def found() -> list[int]:
        return [number for number, each in enumerate(results) if kept.get(each, form)]

    for number in range(3):
        kept.put(results[number], form, Made(None, memoryview(b"12345")))
        kept.get(results[0], form)
    assert found() == [0, 2]
    kept.put(results[2], form, Made(None, memoryview(b"1")))
    kept.put(results[3], form, Made(None, memoryview(b"1234")))
    kept.put(results[4], form, Made(None, memoryview(b"1234567")))
    assert found() == [0, 2, 3]
    for number in (5, 6, 7, 8):
        kept.put(results[number], form, Made((0, 10), memoryview(b"")))
    assert found() == [5, 6, 7, 8]
    assert kept.get(results[8], FORMS["json"]) is None
    assert kept.get(results[8], Form(form.write, {"item": 1})) is None
    assert kept.get(results[8].model_copy(update={"kid": "k"}), form) is None
