import json
import math
from collections import Counter
from importlib.metadata import EntryPoint
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest

from models.backend import Access, BackendConfig
from models.errors import BadSetting, UnknownBackend
from tasks.backends import registry
from tasks.backends.coldatoms.sampling import Readout


def document(shots: int = 100, seed: int | None = None, experiments: int = 1) -> dict[str, Any]:
    """Return a job of two rotated qubits."""
    gates = [["rlx", [0], [1.0]], ["rlx", [1], [0.5]], ["measure", [0], []], ["measure", [1], []]]
    one = {"instructions": gates, "num_wires": 2, "shots": shots, "seed": seed}
    return {f"experiment_{index}": one for index in range(experiments)}


def program(job: Any, seed: int = 1, name: str = "multiqudit") -> Any:
    """Return the compiled job, as it comes out of JSON."""
    backend = registry.load(name)
    return json.loads(json.dumps(backend.compile(backend.validate(job), seed)))


def memories(job: Any, seed: int = 1, name: str = "multiqudit") -> list[list[str]]:
    """Return the memory of each experiment."""
    return [result["data"]["memory"] for result in registry.load(name).execute(program(job, seed, name))]


def test_a_seed_of_the_user_fixes_the_memory() -> None:
    """The same seed gives the same memory, whatever the job's own entropy."""
    assert memories(document(seed=7), seed=1) == memories(document(seed=7), seed=2)
    assert memories(document(seed=7)) != memories(document(seed=8))


def test_one_number_fixes_the_whole_job() -> None:
    """Without seeds of the user the job's entropy fixes every memory, and the experiments differ."""
    once, again, other = (
        memories(document(experiments=3), 5),
        memories(document(experiments=3), 5),
        memories(document(experiments=3), 6),
    )
    assert once == again
    assert once != other
    assert len({tuple(memory) for memory in once}) == 3


def test_the_program_holds_the_seeds_that_run() -> None:
    """The compiled program names each experiment's seed, the user's or a derived one that any JSON reader keeps."""
    assert program(document(seed=7))["experiments"][0]["seed"] == 7
    derived = [item["seed"] for item in program(document(experiments=5), 2**63 - 1)["experiments"]]
    assert len(set(derived)) == 5
    assert all(0 <= seed < 2**53 for seed in derived)


def test_the_global_generator_is_left_alone() -> None:
    """Sampling neither reads nor moves numpy's global generator."""
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    memory = memories(document())
    assert np.random.random() == expected  # noqa: NPY002
    assert memories(document()) == memory


def test_shots_follow_the_distribution() -> None:
    """A hundred thousand shots agree with the exact distribution within five standard deviations."""
    shots = 100_000
    backend = registry.load("multiqudit")
    exact = backend.probabilities(backend.validate(document())[0])  # type: ignore[attr-defined]
    counts = Counter(memories(document(shots=shots))[0])
    assert counts.keys() <= exact.keys()
    for outcome, p in exact.items():
        assert abs(counts[outcome] - shots * p) < 5 * math.sqrt(shots * p * (1 - p))


def test_shots_come_in_random_order() -> None:
    """The shots are independent of one another: the first half of the memory has the distribution of the second."""
    memory = memories(document(shots=100_000))[0]
    first, second = Counter(memory[:50_000]), Counter(memory[50_000:])
    for outcome in first:
        assert abs(first[outcome] - second[outcome]) < 6 * math.sqrt(2 * first[outcome])
    repeats = sum(a == b for a, b in pairwise(memory)) / len(memory)
    expected = sum((count / len(memory)) ** 2 for count in Counter(memory).values())
    assert abs(repeats - expected) < 0.01


@pytest.mark.parametrize("name", ["multiqudit", "fermions", "rydberg"])
def test_without_a_measure_the_memory_is_empty(name: str) -> None:
    """Nothing measured gives a result with no outcome and an empty distribution."""
    job = {"experiment_0": {"instructions": [["barrier", [], []]], "num_wires": 1, "shots": 9}}
    backend = registry.load(name)
    (result,) = backend.execute(program(job, name=name))
    assert (result["shots"], result["data"]["memory"]) == (9, [])
    assert backend.probabilities(backend.validate(job)[0]) == {}  # type: ignore[attr-defined]


def test_a_result_is_what_the_contract_says() -> None:
    """A result carries the experiment's name, its shots, one string per shot and the instructions that ran."""
    job = {
        "experiment_03": {
            "instructions": [["rlx", ["1"], [math.pi]], ["measure", [1], []]],
            "num_wires": 2,
            "shots": "4",
        }
    }
    (result,) = registry.load("rydberg").execute(program(job, name="rydberg"))
    assert json.loads(json.dumps(result)) == {
        "header": {"name": "experiment_03", "extra metadata": "text"},
        "shots": 4,
        "success": True,
        "data": {
            "memory": ["1"] * 4,
            "instructions": [
                {"name": "rlx", "wires": [1], "params": [math.pi]},
                {"name": "measure", "wires": [1], "params": []},
            ],
        },
    }


def test_a_program_of_another_backend_is_refused() -> None:
    """A program runs only on the backend that compiled it."""
    with pytest.raises(ValueError, match="rydberg"):
        list(registry.load("rydberg").execute(program(document())))


def test_wires_that_are_not_measured_are_summed_out() -> None:
    """The distribution of some wires is the marginal of that of all."""
    weights = np.random.default_rng(1).random((2, 3, 4, 5))
    weights /= weights.sum()
    found = Readout.of_wires(weights, (2, 3, 4, 5), (3, 1)).distribution()
    marginal = weights.sum(axis=(0, 2))
    assert found == pytest.approx({f"{d} {b}": marginal[b, d] for b in range(3) for d in range(5)}, abs=1e-15)


@pytest.mark.parametrize("weights", [[0.5, 0.4], [0.5, 0.51], [math.nan, 1.0]])
def test_weights_must_add_up_to_one(weights: list[float]) -> None:
    """A distribution that is not normalised within rounding is an error of the program."""
    with pytest.raises(ArithmeticError):
        Readout.of_wires(np.array(weights), (2,), (0,))


def test_rounding_is_normalised_away() -> None:
    """A sum that is off by rounding only is put right."""
    assert sum(Readout.of_wires(np.array([0.5, 0.5 + 1e-9]), (2,), (0,)).weights) == pytest.approx(1, abs=1e-15)


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
