"""Backends of other packages: which of them are used, and what is said of those that cannot be."""

from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest

from models.backend import Access, BackendConfig
from models.errors import BadSetting, UnknownBackend
from tasks.backends import registry


def test_the_built_in_backends_have_names() -> None:
    """Each built-in backend is found by its display name and made once."""
    assert registry.names()[:4] == ["singlequdit", "multiqudit", "fermions", "rydberg"]
    for name in registry.names()[:4]:
        assert registry.load(name).config.display_name == name
        assert registry.load(name) is registry.load(name)


def test_an_unknown_backend_is_named_with_those_that_exist() -> None:
    """The error for an unknown name says which names there are."""
    with pytest.raises(UnknownBackend, match="singlequdit"):
        registry.load("quantumleap")


class Machine:
    """A backend of another package, which knows nothing of this one."""

    config: Any = BackendConfig(
        description="a machine",
        version="1.0",
        display_name="machine",
        cold_atom_type="mixed",
        gates=[],
        max_experiments=1,
        max_shots=1,
        simulator=False,
        supported_instructions=[],
        num_wires=1,
        wire_order="interleaved",
        num_species=1,
    ).model_dump()

    def validate(self, document: Any) -> Any:
        return document

    def compile(self, experiments: Any, seed: int) -> Any:
        return [experiments, seed]

    def execute(self, program: Any) -> list[Any]:
        return [program]


class Halfway(Machine):
    """It cannot run anything."""

    execute: Any = None


class Misnamed(Machine):
    """It calls itself differently."""

    config: Any = Machine.config | {"display_name": "other"}


class Shouting(Machine):
    """Its name has letters that no backend's may have."""

    config: Any = Machine.config | {"display_name": "MACHINE"}


class Unconfigured(Machine):
    """Its configuration is not one."""

    config: Any = "machine"


class Declared(Machine):
    """It says what it needs."""

    access: ClassVar[Any] = {"network": True, "devices": ["/dev/ttyUSB0"]}


class Frugal(Machine):
    """It needs nothing."""

    access: ClassVar[Any] = {}


class Vague(Machine):
    """It names a path that depends on where it is."""

    access: ClassVar[Any] = {"paths": ["calibration"], "programs": True}


class Unheard(Machine):
    """It wants what nobody knows."""

    access: ClassVar[Any] = {"everything": True}


class Schemed(Machine):
    """It says what its documents look like."""

    document_schema: ClassVar[Any] = {"type": "object"}


class Unschemed(Machine):
    """What it says of its documents is no JSON."""

    document_schema: ClassVar[Any] = {"type": {1, 2}}


class Broken:
    """It cannot be made."""

    def __init__(self) -> None:
        raise OSError("no connection to the laser")


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Offer a backend of this file under the name `machine`."""

    def offer(attribute: str, name: str = "machine") -> None:
        point = EntryPoint(name, f"{__name__}:{attribute}", registry.GROUP)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.GROUP else [])

    registry.load.cache_clear()
    monkeypatch.setattr(registry, "SETTLED_NS", 10**30)  # what is offered changes here without an installation
    yield offer
    registry.load.cache_clear()


def test_a_plug_in_is_a_backend(plug_in: Any) -> None:
    """A backend of another package is listed and runs, with its configuration read into ours."""
    plug_in("Machine")
    assert registry.names()[-1] == "machine"
    machine = registry.load("machine")
    assert machine.config.version == "1.0"
    assert list(machine.execute(machine.compile(machine.validate({}), 3))) == [[{}, 3]]


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("Halfway", "no execute"),
        ("Misnamed", "its display name is 'other', not 'machine'"),
        ("Unconfigured", "config"),
        ("Shouting", "config is wrong in display_name .*a-z0-9"),
        ("Vague", "access is wrong in paths.0"),
        ("Unheard", "access is wrong in everything"),
        ("Unschemed", "document_schema is no JSON object"),
        ("Broken", "laser"),
        ("Nothing", "Nothing"),
    ],
)
def test_a_plug_in_that_does_not_fit_is_named(plug_in: Any, attribute: str, reason: str) -> None:
    """What is wrong with a plug-in is said with its name, and the built-in backends still load."""
    plug_in(attribute)
    with pytest.raises(BadSetting, match=f"'machine'.*{reason}"):
        registry.load("machine")
    assert registry.load("rydberg").config.display_name == "rydberg"


@pytest.mark.parametrize(
    ("attribute", "access"),
    [("Declared", Access(network=True, devices=("/dev/ttyUSB0",))), ("Frugal", Access()), ("Machine", None)],
)
def test_a_plug_in_declares_what_it_needs_or_is_warned_of_once(
    plug_in: Any, caplog: pytest.LogCaptureFixture, attribute: str, access: Access | None
) -> None:
    """One that does not say is let have all, which the operator reads; ours have nothing, and are not spoken of."""
    registry._warn_undeclared.cache_clear()
    plug_in(attribute)
    for _ in range(2):
        assert registry.access("machine") == access
        assert registry.access("rydberg") == Access()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == (
        ["backend_undeclared action=run"] if access is None else []
    )
    assert "machine" in registry.loaded()


def test_a_plug_in_that_cannot_be_used_is_reported_once(plug_in: Any, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked for; again when it fails in another way, or after it was good."""
    registry._REPORTED.clear()
    for attribute in ("Broken", "Broken", "Nothing", "Machine", "Nothing", "Nothing"):
        registry.load.cache_clear()
        registry._LOADED.discard("machine")
        plug_in(attribute)
        assert ("machine" in registry.usable()) is (attribute == "Machine")
    said = [record.getMessage() for record in caplog.records if "backend_unusable" in record.getMessage()]
    assert ["laser" in each for each in said] == [True, False, False]


@pytest.mark.parametrize(("attribute", "kind"), [("Schemed", "object"), ("Machine", None)])
def test_a_plug_in_may_say_what_it_takes(plug_in: Any, attribute: str, kind: str | None) -> None:
    """One that does not is said to take anything."""
    plug_in(attribute)
    assert registry.document_schema("machine").get("type") == kind


@pytest.mark.parametrize("name", ["rydberg", "Bad-Name", "../up"])
def test_a_plug_in_may_not_take_any_name(plug_in: Any, name: str) -> None:
    """A plug-in with the name of a built-in backend, or one that is no display name, is left out."""
    before = registry.names()
    plug_in("Machine", name)
    assert registry.names() == before
