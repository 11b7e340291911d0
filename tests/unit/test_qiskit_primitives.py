"""PUBs of Qiskit as experiments, and what comes back, on the real simulator."""

import itertools
import json
import math

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Clbit, Gate, Parameter
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import UnitaryGate
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers import JobStatus
from qiskit.quantum_info import SparsePauliOp
from quledger_client.errors import Refused
from quledger_client.qiskit import EstimatorV2, SamplerV2
from quledger_client.qiskit.estimator import estimation, operator_of, shots_for
from quledger_client.qiskit.jobs import status_of
from quledger_client.qiskit.options import KNOWN, EstimatorOptions, SamplerOptions
from quledger_client.qiskit.sampler import sampling
from quledger_client.runs import OF_THE_WHOLE

from models.errors import JobRejected
from models.job_language.qubits import GROUPS
from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import DEFAULT
from tests.unit.qiskit_laboratory import ideal, laboratory

THETA = Parameter("theta")


def turned() -> QuantumCircuit:
    """Return one qubit that is turned by theta and read."""
    circuit = QuantumCircuit(1, 1)
    circuit.rx(THETA, 0)
    circuit.measure(0, 0)
    return circuit


def test_parameters_are_broadcast():
    """An experiment for each set, in the order of the array, and the results in its shape."""
    values = np.array([[0, math.pi, 0], [math.pi, 0, math.pi]])
    backend = ideal()
    experiments, about = sampling([SamplerPub.coerce((turned(), values[..., None]), 5)], backend, SamplerOptions())
    assert len(experiments) == 6
    assert json.dumps(about)
    assert "rx(0)" in experiments[0]["program"]
    assert "rx(pi)" in experiments[3]["program"]
    (result,) = SamplerV2(backend).run([(turned(), values[..., None])], shots=5).result()
    assert result.data.shape == (2, 3)
    found = [[result.data.c.get_int_counts((row, column)) for column in range(3)] for row in range(2)]
    assert found == [[{0: 5}, {1: 5}, {0: 5}], [{1: 5}, {0: 5}, {1: 5}]]


def test_observables_are_broadcast_against_parameters():
    """Shape (2, 1) of parameters and (3,) of observables make (2, 3) values."""
    circuit = turned().remove_final_measurements(inplace=False)
    pub = (circuit, ["X", "Y", "Z"], np.array([[[0.0]], [[math.pi / 2]]]))
    experiments, about = estimation([EstimatorPub.coerce(pub, 0.1)], ideal(), EstimatorOptions(seed=5))
    assert [each["operator"][0]["pauli"] for each in experiments] == ["X 0", "Y 0", "Z 0"] * 2
    assert [each["seed"] for each in experiments] == [5, 6, 7, 8, 9, 10]
    assert about["pubs"][0]["shape"] == [2, 3]
    exact = EstimatorV2(ideal()).run([pub], precision=0).result()[0].data
    assert exact.evs == pytest.approx(np.array([[0, 0, 1], [0, -1, 0]]), abs=1e-9)
    assert not exact.stds.any()
    found = EstimatorV2(ideal(), {"seed": 3}).run([pub], precision=0.02).result()[0]
    assert found.data.evs == pytest.approx(exact.evs, abs=0.1)
    assert found.data.stds == pytest.approx(np.array([[0.02, 0.02, 0], [0.02, 0, 0.02]]), abs=1e-4)
    assert found.metadata["shots"] == 2500


@pytest.mark.parametrize(("precision", "shots"), [(0.1, 100), (0.01, 10_000), (1 / 64, 4096), (0.3, 12), (2, 1)])
def test_precision_is_shots(precision: float, shots: int):
    """Those that a Pauli product takes in the worst case."""
    assert shots_for(precision) == shots


@pytest.mark.parametrize("precision", [-0.1, math.nan, math.inf])
def test_a_precision_that_is_none(precision: float):
    """It is refused before anything is handed in."""
    with pytest.raises(ValueError, match="the 3-th pub has precision"):
        shots_for(precision, 3)


def test_operators():
    """The last character of a label is qubit 0; projectors are written out; the identity needs no qubit."""
    assert operator_of({"IXZ": 2.0}) == [{"pauli": "Z 0 X 1", "coeff": 2.0}]
    assert operator_of({"II": 0.5}) == [{"pauli": "I", "coeff": 0.5}]
    found = {each["pauli"]: each["coeff"] for each in operator_of({"0": 1.0})}
    assert found == {"I": 0.5, "Z 0": 0.5}
    with pytest.raises(Refused, match="a real number"):
        operator_of({"X": 1j})


def test_several_registers_keep_their_bits_together():
    """Also in an order of their own, with a bit in two of them, and with one that nothing is written to."""
    qubits, one, two, three = QuantumRegister(3), *(ClassicalRegister(2, name) for name in ("one", "two", "three"))
    both = ClassicalRegister(name="both", bits=[two[1], one[0]])
    circuit = QuantumCircuit(qubits, one, two, three, both)
    circuit.x(0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.measure([0, 1, 2], [two[1], one[0], one[1]])
    data = SamplerV2(ideal(), {"seed": 1}).run([circuit], shots=200).result()[0].data
    assert set(data.one.get_counts()) == {"00", "11"}
    assert data.two.get_counts() == {"10": 200}
    assert data.three.get_counts() == {"00": 200}
    first = data.one.get_bitstrings()
    assert [each[0] for each in data.both.get_bitstrings()] == [each[1] for each in first]
    assert {each[1] for each in data.both.get_bitstrings()} == {"1"}


def test_measurements_on_the_way_and_branches():
    """With a bit that is in no register, and registers whose names OpenQASM has for itself."""
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "if"), ClassicalRegister(2, "out"))
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.append(UnitaryGate(np.array([[0, 1], [1, 0]])), [1])
    circuit.measure(1, 2)
    backend = ideal()
    (result,) = SamplerV2(backend).run([circuit], shots=7).result()
    assert result.data["if"].get_counts() == {"1": 7}
    assert result.data.out.get_counts() == {"10": 7}
    assert backend.run(circuit, shots=7).result().get_counts() == {"10 1": 7}
    assert backend.run(circuit, shots=7, memory=True).result().get_memory() == ["10 1"] * 7


def test_a_bit_may_be_in_two_registers_that_branches_read():
    """Whichever of them they read; the counts of a run are of the bits, since no cut makes registers of them."""
    one, two = ClassicalRegister(2, "one"), ClassicalRegister(2, "two")
    both = ClassicalRegister(name="both", bits=[one[1], two[0]])
    circuit = QuantumCircuit(QuantumRegister(2), one, two, both)
    circuit.x(0)
    circuit.measure(0, one[1])
    for condition in ((both, 1), expr.equal(one, 2), expr.less(expr.bit_xor(one, two), 3)):
        with circuit.if_test(condition):
            circuit.x(1)
    with circuit.switch(both) as case, case(1):
        circuit.x(0)
    circuit.measure([1, 0], two)
    backend = ideal()
    (result,) = SamplerV2(backend).run([circuit], shots=7).result()
    assert {name: result.data[name].get_counts() for name in ("one", "two", "both")} == {
        "one": {"10": 7},
        "two": {"01": 7},
        "both": {"11": 7},
    }
    assert backend.run(circuit, shots=7).result().get_counts() == {"0110": 7}


def test_counts_with_a_bit_in_no_register_are_those_of_its_bits():
    """Also where it comes first."""
    circuit = QuantumCircuit(QuantumRegister(1), [Clbit()], ClassicalRegister(2, "two"))
    circuit.x(0)
    circuit.measure([0, 0], [0, 2])
    assert ideal().run(circuit, shots=3).result().get_counts() == {"101": 3}


def test_a_loop_may_be_left():
    """And what follows in a turn passed over."""
    circuit = QuantumCircuit(2, 2)
    with circuit.for_loop(range(5)):
        circuit.x(0)
        circuit.measure(0, 0)
        with circuit.if_test((0, 1)):
            circuit.continue_loop()
        circuit.x(1)
        circuit.measure(1, 1)
        with circuit.if_test((1, 1)):
            circuit.break_loop()
    circuit.measure([0, 1], [0, 1])
    assert ideal().run(circuit, shots=3).result().get_counts() == {"10": 3}


def test_exact_values_are_those_of_a_simulator_without_errors():
    """Elsewhere a precision of 0 is refused as Qiskit's own estimator of backends does."""
    circuit = QuantumCircuit(1)
    circuit.ry(1.0, 0)
    (exact,) = EstimatorV2(ideal()).run([(circuit, "Z")], precision=0).result()
    assert exact.data.evs == pytest.approx(math.cos(1), abs=1e-12)
    prepared = QuantumCircuit(1)
    prepared.initialize([0.6, 0.8j])
    (exact,) = EstimatorV2(ideal()).run([(prepared, "Y")], precision=0).result()
    assert exact.data.evs == pytest.approx(0.96, abs=1e-12)
    noisy = EstimatorV2(laboratory().backend("noisyqubits"))
    with pytest.raises(ValueError, match="the 1-th pub has precision 0, but noisyqubits errs"):
        noisy.run([(circuit, "Z"), (circuit, "Z", None, 0)], precision=0.1)


def test_what_measures_nothing_is_nothing():
    """All bits are 0."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    assert SamplerV2(ideal()).run([circuit], shots=3).result()[0].data.c.get_counts() == {"00": 3}
    with pytest.warns(UserWarning, match="no classical register"):
        assert not SamplerV2(ideal()).run([QuantumCircuit(1)]).result()[0].data.keys()


def test_a_transpiled_circuit_keeps_its_qubits():
    """What is read of them has their errors; nothing is compiled again."""
    provider = laboratory()
    noisy = provider.backend("noisyqubits")
    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.measure_all()
    placed = transpile(circuit, noisy, initial_layout=[4], optimization_level=1)
    job = noisy.run(placed, shots=10_000, seed_simulator=3)
    assert job.jobs[0].result()[0].data["transpiled"]["program"].count("$4") >= 2
    assert job.result().get_counts()["0"] == pytest.approx(1100, abs=150)
    observable = SparsePauliOp("Z").apply_layout(placed.layout)
    raw = EstimatorV2(noisy).run([(placed.remove_final_measurements(inplace=False), observable)], precision=0.01)
    better = EstimatorV2(noisy, {"mitigation": "pseudo_inverse"})
    mitigated = better.run([(placed.remove_final_measurements(inplace=False), observable)], precision=0.01)
    # P(0 | 1) = 0.11, P(1 | 0) = 0.015
    assert raw.result()[0].data.evs == pytest.approx(-0.78, abs=0.05)
    assert mitigated.result()[0].data.evs == pytest.approx(-1, abs=0.05)


def test_a_run_of_many_experiments_is_several_jobs_and_one_run():
    """Found again by the id of any, and by label once."""
    provider = laboratory()
    backend = provider.backend("qubits")
    backend.info.configuration["max_experiments"] = 3
    values = np.linspace(0, math.pi, 5)[:, None]
    job = SamplerV2(backend, {"labels": {"sample": "A7"}}).run([(turned(), values)], shots=2)
    assert len(job.jobs) == 2
    assert job.labels["sample"] == "A7"
    assert job.result()[0].data.shape == (5,)
    assert [len(each.document()["experiment_0"]["quledger_run"].get("pubs", ())) for each in job.jobs] == [1, 0]
    again = provider.job(job.jobs[1].id)
    assert again.job_id() == job.job_id()
    assert again.result()[0].data.c.get_counts(4) == {"1": 2}
    assert [each.job_id() for each in provider.jobs(label={"sample": "A7"})] == [job.job_id()]
    assert again.done()
    assert not again.cancel()
    one = backend.run(turned().assign_parameters([0.0]), shots=3, labels={"sample": "B"})
    assert next(provider.jobs(label={"sample": "B"})).result().get_counts() == {"0": 3}
    assert one.done()


def test_a_run_that_is_too_dear_for_one_job_is_several():
    """As many as its predicted cost needs, of one size; what one job alone cannot hold is refused as ever."""
    backend = laboratory().backend("noisyqubits")
    chain = QuantumCircuit(8, name="chain")
    for qubit in range(7):
        chain.cx(qubit, qubit + 1)
    chain.x(0)
    chain.measure_all()
    job = backend.run([chain] * 7, shots=96_000)
    assert [len(each.document()) for each in job.jobs] == [3, 3, 1]
    assert len(job.result().results) == 7
    with pytest.raises(Refused, match="amplitude updates, the limit"):
        backend.run([chain] * 2, shots=10**7)
    runner = Qubits("qubits", DEFAULT, noisy=False)
    program = "OPENQASM 3.0; qubit[12] q; bit[12] c; c = measure q;"
    large = {f"experiment_{place}": {"program": program, "shots": 10**7} for place in range(2)}
    with pytest.raises(JobRejected) as refused:
        runner.compile(runner.validate(large), seed=1)  # a result of 320 MB
    assert all(any(word in str(each) for word in OF_THE_WHOLE) for each in refused.value.faults)


def test_a_run_of_which_a_part_was_refused_is_in_no_list():
    """And hides no other."""
    provider = laboratory()
    backend = provider.backend("qubits")
    backend.info.configuration["max_experiments"] = 1
    sampler = SamplerV2(backend, {"labels": {"sample": "C"}})
    values = turned().assign_parameters([0.0])
    good = sampler.run([(values, None, 5)])
    with pytest.raises(Refused, match=r"jobs\[1\].*shots"):
        sampler.run([(values, None, 5), (values, None, 10**9)])
    assert [each.job_id() for each in provider.jobs(label={"sample": "C"})] == [good.job_id()]


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["QUEUED", "QUEUED"], JobStatus.QUEUED),
        (["DONE", "QUEUED"], JobStatus.RUNNING),
        (["CANCELLED", "EXECUTED"], JobStatus.RUNNING),
        (["ERROR", "QUEUED"], JobStatus.RUNNING),
        (["DONE", "CANCELLED"], JobStatus.CANCELLED),
        (["ERROR", "CANCELLED"], JobStatus.ERROR),
        (["DONE", "DONE"], JobStatus.DONE),
    ],
)
def test_a_run_has_ended_when_all_of_its_jobs_have(states: list[str], status: JobStatus):
    """Then one that failed decides, then one that was cancelled."""
    assert status_of(states) is status


def test_what_cannot_be_run_is_refused():
    """Before anything is handed in, or by the laboratory."""
    backend = ideal()
    with pytest.raises(Refused, match=r"parameters without a value: theta of circuit-\d+; assign"):
        backend.run(turned())
    with pytest.raises(Refused, match="13 qubits"):
        backend.run(QuantumCircuit(13))
    asking = QuantumCircuit(1, 1, name="asking")
    with asking.if_test(asking.add_input("level", types.Bool())):
        asking.x(0)
    with pytest.raises(Refused, match="the circuit asking has inputs, which nothing gives a value: level"):
        backend.run(asking)
    with pytest.raises(Refused, match="run takes circuits; got int"):
        backend.run([1])
    for run in (
        lambda: backend.run(turned().assign_parameters([0.0]), shot=3, meas_level=1),
        lambda: SamplerV2(backend, {"experiment": {"shot": 3, "meas_level": 1}}).run(
            [turned().assign_parameters([0.0])]
        ),
    ):
        with pytest.raises(Refused) as caught:
            run()
        assert [each.field for each in caught.value.faults] == ["meas_level", "shot"]
    with pytest.raises(Refused, match="shots"):
        backend.run(turned().assign_parameters([0.0]), shots=0)
    with pytest.raises(Refused, match=r"seed: got -1; it must be a whole number from 0 to 4294967295"):
        backend.run(turned().assign_parameters([0.0]), seed_simulator=-1)
    for made, name in ((lambda on: on.delay(3, 0), "delay"), (lambda on: on.append(Gate("own", 1, []), [0]), "own")):
        circuit = QuantumCircuit(1, 1)
        circuit.measure(0, 0)
        with circuit.if_test((0, 1)):
            made(circuit)
        with pytest.raises(Refused, match=f"has {name}, which the laboratory has no gates for"):
            backend.run(circuit)
    named = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1, "keys"), ClassicalRegister(1, "shape"))
    with pytest.raises(Refused, match="no register may be named keys, shape"):
        SamplerV2(backend).run([named])
    with pytest.raises(Refused, match=r"the coefficient \(?nan.*; it must be a real number, and finite"):
        EstimatorV2(backend).run([(QuantumCircuit(1), {"Z": math.nan})])


def test_options_are_those_of_the_laboratory():
    """Qiskit's measurement level of bits is the only one there is."""
    assert {*GROUPS, *itertools.chain(*GROUPS.values()), "seed"} == KNOWN
    run = ideal().run(turned().assign_parameters([0.0]), shots=2, meas_level=2, method="state_vector")
    assert run.result().get_counts() == {"0": 2}
