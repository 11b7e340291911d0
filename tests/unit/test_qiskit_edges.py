"""What is at the edge of what a primitive of Qiskit may be asked: nothing, numbers that are none, options of two."""

import math
from types import MappingProxyType

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr, types
from qiskit.providers import JobStatus
from quledger_client.errors import Refused
from quledger_client.qiskit import EstimatorV2, SamplerV2
from quledger_client.qiskit.options import EstimatorOptions, SamplerOptions

from tests.unit.qiskit_laboratory import ideal
from tests.unit.test_qiskit_primitives import turned


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64(-math.inf)])
def test_a_parameter_that_is_no_finite_number_is_refused_by_its_gate(value: float):
    """Also in a branch, and of a gate that is written out; Qiskit's own words do not say where."""
    circuit = QuantumCircuit(2, 1, name="odd")
    circuit.rzz(value, 0, 1)
    with circuit.if_test((0, 1)):
        circuit.p(value, 0)
    words = rf"the circuit odd has p\({value}\), rzz\({value}\); parameters must be finite numbers"
    for run in (
        lambda: ideal().run(circuit),
        lambda: SamplerV2(ideal()).run([circuit]),
        lambda: EstimatorV2(ideal()).run([(circuit, "ZZ")]),
    ):
        with pytest.raises(Refused, match=words):
            run()


def test_a_run_of_nothing_is_no_job_and_has_an_empty_result():
    """As with Qiskit's own primitives: no PUBs, or parameters whose array is empty."""
    backend, rotation = ideal(), turned().remove_final_measurements(inplace=False)
    for primitive in (SamplerV2(backend), EstimatorV2(backend)):
        job = primitive.run([])
        assert (list(job.result()), job.jobs, job.labels, job.status()) == ([], (), {}, JobStatus.DONE)
        assert not job.cancel()
    none = np.zeros((2, 0, 1))
    (counted,) = SamplerV2(backend).run([(turned(), none)], shots=5).result()
    assert (counted.data.shape, counted.data.c.shape, counted.data.c.num_shots) == ((2, 0), (2, 0), 5)
    (found,) = EstimatorV2(backend).run([(rotation, "Z", none)]).result()
    assert found.data.evs.shape == found.data.stds.shape == (2, 0)


def test_options_are_copied():
    """What is changed of one primitive is not changed of another one, nor of what they were made from."""
    shared = SamplerOptions(default_shots=7, labels={"sample": "A7"})
    for options in (shared, MappingProxyType(vars(shared))):
        one, other = SamplerV2(ideal(), options), SamplerV2(ideal(), options)
        one.options.default_shots, one.options.labels["sample"] = 9, "B8"
        assert other.options == shared == SamplerOptions(default_shots=7, labels={"sample": "A7"})
    exact = EstimatorOptions(default_precision=0.0)
    one, other = EstimatorV2(ideal(), exact), EstimatorV2(ideal(), exact)
    one.options.experiment["seed"] = 1
    assert other.options == exact == EstimatorOptions(default_precision=0.0)


@pytest.mark.parametrize("name", ["kept", "level", "q"])
def test_the_number_of_a_loop_may_have_the_name_of_anything_else(name: str):
    """Of a register, a variable, or the qubits: a branch in the loop reads those."""
    kept, out = ClassicalRegister(2, "kept"), ClassicalRegister(1, "out")
    circuit = QuantumCircuit(QuantumRegister(2, "qubits"), kept, out)
    level = circuit.add_var("level", expr.lift(1, types.Uint(2)))
    circuit.x(0)
    circuit.measure(0, kept[0])
    with circuit.for_loop([1, 2], Parameter(name)) as number:
        circuit.rx(number * math.pi, 0)
        with circuit.if_test(expr.equal(kept if name == "kept" else level, 1)):
            circuit.x(1)
    circuit.measure(1, out)
    assert ideal().run(circuit, shots=5).result().get_counts() == {"0 01": 5}
