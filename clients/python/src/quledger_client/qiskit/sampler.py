"""A sampler of Qiskit, whose runs are sampling jobs of the laboratory."""

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.primitives import BaseSamplerV2, DataBin
from qiskit.primitives.containers.sampler_pub import SamplerPub

from quledger_client.errors import Refused
from quledger_client.qiskit.jobs import QuledgerPrimitiveJob
from quledger_client.qiskit.options import SamplerOptions, checked, own
from quledger_client.qiskit.outcomes import registers_of
from quledger_client.qiskit.programs import program_of
from quledger_client.runs import as_json, seeded

if TYPE_CHECKING:
    from quledger_client.qiskit.backend import QuledgerBackend


class SamplerV2(BaseSamplerV2):  # type: ignore[misc]  # Qiskit is published without types
    """Samples circuits on a backend; a run is a job, with an experiment for each set of parameters.

    Args:
        options: see `SamplerOptions`; a dictionary of some of them will do.
    """

    def __init__(self, backend: "QuledgerBackend", options: SamplerOptions | Mapping[str, Any] | None = None) -> None:
        self.backend = backend
        self.options: SamplerOptions = own(SamplerOptions, options)

    def run(
        self,
        pubs: Iterable[Any],
        *,
        shots: int | None = None,
        labels: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> QuledgerPrimitiveJob:
        """Hand in a run.

        Args:
            shots: of PUBs that do not say their own.
            labels: words to find it by, beside those of the options.
            key: the same key is the same job, however often it is handed in.

        Raises:
            Refused: it has faults; all of them are listed.
        """
        wanted = self.options.default_shots if shots is None else shots
        experiments, about = sampling([SamplerPub.coerce(pub, wanted) for pub in pubs], self.backend, self.options)
        labels = {**self.options.labels, **(labels or {})}
        run = self.backend.hand_in(experiments, about, labels=labels, group=self.options.group, key=key)
        return QuledgerPrimitiveJob(run)


def sampling(
    pubs: Iterable[SamplerPub], backend: "QuledgerBackend", options: SamplerOptions
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the experiments of a run, PUB by PUB, and what is said about it."""
    further = checked(options.experiment)
    experiments: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    for number, pub in enumerate(pubs):
        if not pub.circuit.cregs:
            text = f"the {number}-th pub's circuit has no classical register, so its result will be empty"
            warnings.warn(text, UserWarning, stacklevel=3)
        if wrong := [each.name for each in pub.circuit.cregs if hasattr(DataBin, each.name)]:
            raise Refused(f"no register may be named {', '.join(wrong)}")
        program = program_of(pub.circuit, backend.target)
        bound = pub.parameter_values.bind_all(program.circuit)
        experiments += [
            {"program": program.text(each), "shots": pub.shots, **program.options(), **further}
            for each in np.ravel(bound)
        ]
        said.append(
            {
                "shape": list(pub.shape),
                "shots": pub.shots,
                "bits": list(program.bits),
                "registers": registers_of(pub.circuit),
                "metadata": as_json(pub.circuit.metadata),
            }
        )
    return seeded(experiments, options.seed), {"kind": "sampler", "pubs": said}
