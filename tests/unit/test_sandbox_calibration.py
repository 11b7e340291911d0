"""A calibration may ask a machine: the job that stands on it does, within its limits; nobody else waits for long."""

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import BadSetting
from tasks.backends import registry
from tasks.sandbox import child
from tasks.sandbox.rlimits import Meter
from tests.unit import sandbox_fakes

ASKED: list[str] = []


class Asking(sandbox_fakes.Backend):
    """Asks its machine for its calibration."""

    @property
    def calibration(self) -> Any:
        """Answer with how often it was asked."""
        ASKED.append(self.step)
        return {"asked": len(ASKED)}


def made(name: str) -> Asking:
    """Return the backend, as a registry does."""
    return Asking(name)


def test_a_machine_is_asked_once_and_by_its_job() -> None:
    """Not where it is loaded, from where the jobs of all plug-ins are forked; and what was asked is described."""
    loaded = child.load(f"{__name__}:made", "good")
    document = json.dumps({"experiment_0": {"shots": 3}}).encode()
    steps = child.Steps(loaded, "j", document, Meter(None), lambda _: None)
    steps.run("validate", None)
    steps.run("compile", 1)
    assert ASKED == []
    answer, _ = steps.run("execute", None)
    told, text = steps.run("describe", None)
    assert told["calibration_sha256"] == answer["calibration_sha256"]
    assert json.loads(text)["calibration"] == {"asked": 1}
    assert len(ASKED) == 1


def test_a_machine_that_does_not_answer_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once, and its answer is taken when it comes."""
    answers, asked = threading.Event(), list[int]()

    class Waiting(SimpleNamespace):
        config = sandbox_fakes.CONFIG

        @property
        def calibration(self) -> Any:
            asked.append(1)
            answers.wait()
            return {"readout": 0.01}

    monkeypatch.setattr(registry, "ANSWERING", 0.05)
    monkeypatch.setattr(registry, "load", lambda _: Waiting())
    for _ in range(2):
        with pytest.raises(BadSetting, match="the calibration of waiting cannot be used: TimeoutError"):
            registry.version("waiting")
    assert len(asked) == 1
    late = registry._ASKED["waiting"]
    answers.set()
    late.result(10)
    assert json.loads(registry.version("waiting").text)["calibration"] == {"readout": 0.01}
