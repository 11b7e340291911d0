"""What the simulators of chains of spins share: gates one after the other on the state of the whole chain."""

import math
from abc import abstractmethod
from collections.abc import Sequence

from models.documents import Experiment, Instruction
from tasks.backends.coldatoms.backend import ColdAtomBackend, acts
from tasks.backends.coldatoms.chain import ChainState
from tasks.backends.coldatoms.sampling import Readout, probabilities_of
from tasks.backends.cost import Cost


class ChainBackend(ColdAtomBackend):
    """A simulator of a chain of spins: it says what each gate does, and what it costs."""

    @abstractmethod
    def apply(self, state: ChainState, item: Instruction) -> None:
        """Apply one gate."""

    @abstractmethod
    def updates(self, item: Instruction, dims: Sequence[int]) -> float:
        """Return the amplitude updates of one gate on wires of these levels."""

    def predict(self, experiment: Experiment) -> Cost:
        """Return the cost; an evolution of the whole chain dominates it."""
        dims = self.levels(experiment)
        return Cost(
            math.prod(dims), [self.updates(item, dims) if acts(item) else 0.0 for item in experiment.instructions]
        )

    def read(self, experiment: Experiment) -> Readout:
        """Compute the final state, shape (product of the levels,)."""
        dims = self.levels(experiment)
        state = ChainState(dims)
        for item in filter(acts, experiment.instructions):
            self.apply(state, item)
        return Readout.of_wires(probabilities_of(state.amplitudes), dims, self.measured(experiment))
