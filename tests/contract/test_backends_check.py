"""`quledger backends check`: the template is good, and what is broken in it is named."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

import pytest

from models.conformance import trials
from tasks.backends import conformance as tried
from tasks.backends import plug_in, registry
from tasks.backends.conformance import Check, conformance
from tasks.jobs.checking import Checker
from tasks.services import Services
from tests.program import Program
from tests.waiting import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "my_machine"

BROKEN = """
import os
import sys
import threading
import time

from my_machine import Faulty, MyMachine


class Lax(MyMachine):
    config = MyMachine.config | {"supported_instructions": ["measure"], "max_shots": 0}

    def validate(self, document):
        if any(each["instructions"] is None for each in document.values() if isinstance(each, dict) and len(each) == 3):
            return [{"name": name, "shots": 20} for name in document]
        try:
            return [{"name": each["name"]} for each in super().validate(document)]
        except Faulty as error:
            error.faults = error.faults[:1]
            raise


class Refuses(MyMachine):
    example = {"experiment_0": {}}


class Bare(MyMachine):
    example = None


class Terse(MyMachine):
    example = {"turn": 1.57}  # of a shape of its own, so that only those are tried that no backend takes

    def validate(self, document):
        return super().validate(MyMachine.example if document == self.example else document)


class Chance(Terse):
    def compile(self, experiments, seed):
        return super().compile(experiments, os.getpid())


class Unseeded(Terse):
    def execute(self, program):
        return super().execute(program | {"seed": os.getpid()})


class Short(Terse):
    def execute(self, program):
        return []


class Dies(Terse):
    def execute(self, program):
        os._exit(1)


class Opens(MyMachine):
    access = {"network": "perhaps"}


class Locked(MyMachine):
    @property
    def access(self):
        raise PermissionError("no key")


class Leaves(MyMachine):
    def __init__(self):
        sys.exit(4)


goes_on = threading.Event()


class Waits(MyMachine):
    def __init__(self):
        goes_on.wait()


class Unread(MyMachine):
    @property
    def example(self):
        raise FileNotFoundError("example.json")


class Adrift(MyMachine):
    @property
    def calibration(self):
        while True:
            time.sleep(1)


class Searches(MyMachine):
    def validate(self, document):
        while not document:
            time.sleep(1)
        return super().validate(document)


class Speaks(MyMachine):
    print("imported")

    def __init__(self):
        print("made")

    def validate(self, document):
        print("validated", flush=True)
        return super().validate(document)


class Mute(MyMachine):
    example = {name: MyMachine.example["experiment_0"] for name in ("one", "two", "three")}

    def execute(self, program):
        time.sleep(0.5)
        return list(super().execute(program))


for each in MyMachine.__subclasses__() + Terse.__subclasses__():
    each.config = each.config | {"display_name": each.__name__.lower()}
"""

NAMED = {
    "Lax": (
        "a document whose instructions are null is taken",
        "at a document that is null `validate` raises AttributeError",
        "a document with a fault in each of two experiments is refused with 1 fault instead of all 2",
        "of 1 experiment and 20 shots `validate` returns 1 experiment and 0 shots",
        "config.max_shots is 0; at least 1 is needed",
        "config.supported_instructions lacks the gate 'pulse'",
    ),
    "Refuses": ("it does not take it: ",),
    "Bare": ("it has no `example`; name a file with one by --document",),
    "Chance": ("of one document and one seed `compile` makes two programs",),
    "Unseeded": ("of one program it has two results",),
    "Short": ("the backend must return one result per experiment",),
    "Dies": ("the job's process",),
    "Opens": ("its access is wrong in network",),
    "Locked": ("(broken_machines:Locked) cannot be loaded: PermissionError: no key",),
    "Leaves": ("(broken_machines:Leaves) cannot be loaded: SystemExit: 4",),
    "Waits": ("the plug-in 'waits' is not loaded after 3 s",),
    "Unread": ("its `example` cannot be used: FileNotFoundError",),
    "Adrift": ("the calibration of adrift cannot be used: TimeoutError",),
}
TRIED = ("that is null", "whose instructions are null", "with a fault in each of two experiments")
"""Of the documents that a backend has to refuse; the template is tried with all of them."""

ODD = ("Searches", "Speaks", "Mute")
"""What else is tried of them."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """The command line where the template and all that is broken are installed."""
    site = tmp_path / "site"
    about = site / "machines-1.dist-info"
    about.mkdir(parents=True)
    (site / "my_machine.py").write_text((TEMPLATE / "my_machine.py").read_text())
    (site / "broken_machines.py").write_text(BROKEN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: machines\nVersion: 1\n")
    points = "".join(f"{name.lower()} = broken_machines:{name}\n" for name in (*NAMED, *ODD))
    (about / "entry_points.txt").write_text(f"[quledger.backends]\nmymachine = my_machine:MyMachine\n{points}")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{site}")
    registry.load.cache_clear()
    monkeypatch.setattr(registry, "_LOADED", set())
    monkeypatch.setattr(registry, "_LOADS", plug_in.Loads(registry.load_here))
    monkeypatch.delitem(sys.modules, "broken_machines", raising=False)
    return Program(tmp_path / "home", capsys)


def test_the_template_is_installed_with_what_is_there(tmp_path: Path) -> None:
    """`pip install --no-build-isolation`, in the environment that the lock makes, offers the backend."""
    copy = shutil.copytree(TEMPLATE, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index", "--target"]
    done = subprocess.run([*command, tmp_path / "site", copy], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (offered,) = next(distributions(name="my-machine", path=[str(tmp_path / "site")])).entry_points
    assert (offered.group, offered.name, offered.value) == ("quledger.backends", "mymachine", "my_machine:MyMachine")
    assert (tmp_path / "site" / "my_machine.py").exists()


def test_the_template_is_good(program: Program) -> None:
    """Everything was looked at, and there is nothing to say."""
    checks = program.json("backends", "check", "mymachine")
    assert len(checks) == 10
    assert [each for each in checks if each["faults"] or each["advice"]] == []
    assert "32 documents that it has to refuse" in {each["check"] for each in checks}


async def checked(services: Services, *names: str, seconds: float = 20.0) -> dict[str, list[Check]]:
    """Return what is found of each."""
    limits = services.limits.model_copy(update={"wall_seconds": seconds})
    async with Checker(services, limits=limits) as checker, services.sandbox.borrowed():
        return {name: await conformance(services, checker, name.lower(), None) for name in names}


def test_what_is_broken_is_named(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each way; and what can be looked at is, whatever else is wrong."""
    monkeypatch.setattr(tried, "ANSWERING", 3.0)
    monkeypatch.setattr(plug_in, "LOADING", 3.0)
    monkeypatch.setattr(registry, "ANSWERING", 1.0)
    monkeypatch.setattr(tried, "trials", lambda *given: [each for each in trials(*given) if each.about in TRIED])

    async def found(services: Services) -> dict[str, list[str]]:
        checks = await checked(services, *NAMED)
        return {name: [fault for each in several for fault in each.faults] for name, several in checks.items()}

    with program.services() as services:
        faults = asyncio.run(found(services))
    missed = [(name, said) for name in NAMED for said in NAMED[name] if not any(said in each for each in faults[name])]
    assert missed == [], faults
    assert program("backends", "check", "bare")[0] == 3


def test_a_plug_in_that_hangs_holds_up_no_other(
    program: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is waited for once, is named with what to do wherever backends are listed, and is had when it comes."""
    monkeypatch.setattr(plug_in, "LOADING", 1.0)
    monkeypatch.setattr(plug_in, "SLOW", 0.2)
    code, out, err = program("backends")
    assert (code, "mymachine" in out, "rydberg" in out, "waits" in out) == (0, True, True, False)
    assert "the plug-in 'waits' is not loaded after 1 s, and is left out" in err
    assert "`quledger backends check waits` tries it alone" in err
    assert "waits is still being loaded" in caplog.text
    begun = time.monotonic()
    assert "waits" not in registry.usable()
    assert time.monotonic() - begun < 0.5
    assert "backend_unusable action=leave_out: the plug-in 'waits'" in caplog.text
    sys.modules["broken_machines"].goes_on.set()
    until(lambda: "waits" in registry.usable())


def test_a_check_ends_where_the_backend_does_not(program: Program) -> None:
    """A document at which it goes on and on is none that it refuses; the others are not waited for."""
    with program.services() as services:
        found = asyncio.run(checked(services, "Searches", seconds=3.0))["Searches"]
    (faults,) = (each.faults for each in found if each.faults)
    assert "at a document that is null `validate` goes on and on: the job took more than 3 s" in faults
    assert faults[-1] == "28 documents after that were not tried"


def test_what_a_backend_prints_is_not_in_what_is_answered(program: Program) -> None:
    """Its output is JSON whatever is imported."""
    code, out, err = program("backends", "check", "speaks", "--json")
    assert (code, err.removeprefix("imported\n")) == (0, "made\n")
    assert [each for each in json.loads(out) if each["faults"] or each["advice"]] == []


def test_a_long_silence_is_mentioned(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is no fault."""
    monkeypatch.setattr(tried, "SLOW", 0.3)
    with program.services() as services:
        found = asyncio.run(checked(services, "Mute"))["Mute"]
    assert [fault for each in found for fault in each.faults] == []
    (advice,) = (said for each in found for said in each.advice)
    assert re.fullmatch(r"it said nothing in \d\.\d of its \d\.\d s; a generator in `execute` .*", advice)


def test_one_of_ours_is_tried_with_a_document(program: Program, tmp_path: Path) -> None:
    """And a backend that is not there, or a file that is none, is the caller's to put right."""
    said = program.said("backends", "check", "singlequdit", "--document", str(ROOT / "examples/rabi_oscillation.json"))
    assert said.endswith("singlequdit: nothing is wrong\n")
    assert "no backend is called" in program.refused("backends", "check", "nowhere")
    program.refused("backends", "check", "mymachine", "--document", str(tmp_path / "missing.json"))


def test_the_templates_own_tests_pass(tmp_path: Path) -> None:
    """As whoever copies it runs them."""
    copy = shutil.copytree(TEMPLATE, tmp_path / "mine")
    environment = os.environ | {"PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "tests"]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "4 passed" in done.stdout) == (0, True), done.stdout + done.stderr
