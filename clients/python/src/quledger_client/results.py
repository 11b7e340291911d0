"""What a job has found."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from quledger_client.errors import QuledgerError
from quledger_client.outcomes import Mean, are_bits, in_order, means

if TYPE_CHECKING:
    import pandas as pd

    from quledger_client.plots import Kind


class ExperimentResult:
    """What one experiment has found.

    Attributes:
        name: of the experiment in the job document.
        shots: how many there were.
        data: all that the backend returned.
    """

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.name: str = value["header"]["name"]
        self.shots: int = value["shots"]
        self.data: Mapping[str, Any] = value["data"]

    @property
    def memory(self) -> list[str]:
        """The outcome of each shot, in order; empty where none was kept or nothing was measured."""
        return list(self.data["memory"])

    @cached_property
    def _counts(self) -> dict[str, int]:
        given = self.data.get("counts")
        found = Counter(self.data["memory"]) if given is None else given
        return dict(sorted(found.items(), key=lambda pair: in_order(pair[0])))

    def counts(self) -> dict[str, int]:
        """Return how often each outcome was found."""
        return dict(self._counts)

    def probabilities(self) -> dict[str, float]:
        """Return the share of each outcome."""
        total = sum(self._counts.values())
        return {outcome: count / total for outcome, count in self._counts.items()}

    @property
    def expectation(self) -> float | None:
        """The expectation value of an estimation; None of all else."""
        return self.data.get("exp_value")

    @property
    def standard_error(self) -> float | None:
        """The standard error of the expectation value; None of all else."""
        return self.data.get("stds")

    @cached_property
    def is_bits(self) -> bool:
        """Whether its outcomes are bit strings, bit 0 the last character; else they are numbers with blanks between."""
        return self.data.get("counts") is not None and are_bits(self._counts)

    def means(self) -> list[Mean]:
        """Return the mean, with its standard error, of what each measured wire or bit showed; of bits bit 0 first."""
        return means(self._counts, is_bits=self.is_bits)

    def __repr__(self) -> str:
        found = f"{self.expectation:g} ± {self.standard_error:.2g}" if self.expectation is not None else self._preview()
        return f"<{self.name}: {self.shots} shots, {found}>"

    def _preview(self) -> str:
        first = ", ".join(f"{outcome}: {count}" for outcome, count in list(self._counts.items())[:8])
        return first + (", ..." if len(self._counts) > 8 else "") or "nothing measured"  # noqa: PLR2004 - fits a line


class Result(Sequence[ExperimentResult]):
    """The result of a job: one `ExperimentResult` for each experiment, in the order of the document.

    Attributes:
        document: all that the server answered.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        try:
            self.job_id: str = document["job_id"]
            self.backend: str = document["display_name"]
            self.experiments = tuple(ExperimentResult(each) for each in document["results"])
        except (KeyError, TypeError):
            message = "the answer is no result"
        else:
            return
        raise QuledgerError(message)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, str):
            found = next((each for each in self.experiments if each.name == place), None)
            if found is None:
                raise KeyError(place)
            return found
        return self.experiments[place]

    def __len__(self) -> int:
        return len(self.experiments)

    def __iter__(self) -> Iterator[ExperimentResult]:
        return iter(self.experiments)

    def counts(self, experiment: int | str = 0) -> dict[str, int]:
        """Return how often each outcome of an experiment was found.

        Args:
            experiment: its place, or its name in the job document.
        """
        return self._of(experiment).counts()

    def probabilities(self, experiment: int | str = 0) -> dict[str, float]:
        """Return the share of each outcome of an experiment."""
        return self._of(experiment).probabilities()

    def memory(self, experiment: int | str = 0) -> list[str]:
        """Return the outcome of each shot of an experiment, in order."""
        return self._of(experiment).memory

    def expectations(self) -> list[tuple[float, float]]:
        """Return expectation value and standard error of each experiment that has one."""
        return [
            (each.expectation, each.standard_error or 0.0) for each in self.experiments if each.expectation is not None
        ]

    def to_series(self, experiment: int | str = 0) -> "pd.Series[int]":
        """Return the counts of an experiment as a pandas Series (needs pandas)."""
        from quledger_client import frames  # noqa: PLC0415 - pandas may be missing

        return frames.series_of(self._of(experiment))

    def to_frame(self, *, shots: bool = False) -> "pd.DataFrame":
        """Return counts and shares of all experiments as a pandas DataFrame (needs pandas).

        Args:
            shots: a row for each shot instead, with its outcome, and a column for each place of the outcomes.
        """
        from quledger_client import frames  # noqa: PLC0415 - pandas may be missing

        return frames.shots_frame(self.experiments) if shots else frames.counts_frame(self.experiments)

    def plot(self, kind: "Kind | None" = None, *, ax: Any = None, **options: Any) -> Any:
        """Draw it, and return the axes (needs matplotlib); see `quledger_client.plots.plot`."""
        from quledger_client import plots  # noqa: PLC0415 - matplotlib may be missing

        return plots.plot(self, kind, ax=ax, **options)

    def __repr__(self) -> str:
        more = ", ..." if len(self) > 3 else ""  # noqa: PLR2004 - what fits a line
        return f"Result({self.job_id} on {self.backend}: {', '.join(map(repr, self.experiments[:3]))}{more})"

    def _repr_html_(self) -> str:
        from quledger_client.notebook import result_html  # noqa: PLC0415 - in notebooks alone

        return result_html(self)

    def _of(self, experiment: int | str) -> ExperimentResult:
        found: ExperimentResult = self[experiment]
        return found
