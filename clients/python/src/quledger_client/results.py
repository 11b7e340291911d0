"""What a job has found."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

from quledger_client.errors import QuledgerError
from quledger_client.outcomes import Mean, Times, are_bits, listed, means, sorted_outcomes
from quledger_client.wire import Answer

if TYPE_CHECKING:
    import pandas as pd

    from quledger_client.packed import PackedRows
    from quledger_client.plots import Kind


class ExperimentResult:
    """What one experiment has found.

    Attributes:
        name: of the experiment in the job document.
        shots: how many there were.
    """

    def __init__(self, value: Mapping[str, Any], rows: "PackedRows | None" = None) -> None:
        self.name: str = value["header"]["name"]
        self.shots: int = value["shots"]
        self._data: Mapping[str, Any] = value["data"]
        self._value, self._rows = value, rows

    @cached_property
    def _whole(self) -> Mapping[str, Any]:
        return self._value if self._rows is None else self._rows.put_back(self._value)

    @property
    def data(self) -> Mapping[str, Any]:
        """All that the backend returned."""
        data: Mapping[str, Any] = self._whole["data"]
        return data

    @property
    def memory(self) -> list[str]:
        """The outcome of each shot, in order; empty where none was kept or nothing was measured."""
        return list(self.data["memory"])

    @cached_property
    def _counts(self) -> dict[str, int]:
        return listed(*self._found)

    @cached_property
    def _found(self) -> tuple[Sequence[str], Times]:
        """The outcomes in the order of their numbers, and how often each was found."""
        rows, counts, times = self._rows, self._data.get("counts"), cast("Times", [])
        if rows is not None and (rows.is_counted or counts is None):
            outcomes, times = rows.outcomes, rows.times
            if not isinstance(outcomes, list):
                return outcomes, times
        else:
            counts = Counter(self.data["memory"]) if counts is None else counts
            outcomes, times = list(counts), list(counts.values())
        ordered = sorted_outcomes(outcomes)
        if ordered == outcomes:
            return outcomes, times
        counted = listed(outcomes, times)
        return ordered, [counted[outcome] for outcome in ordered]

    @property
    def has_memory(self) -> bool:
        """Whether the outcome of each shot was kept."""
        return bool(len(self._data["memory"] if self._rows is None else self._rows.codes))

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
        return self._data.get("exp_value")

    @property
    def standard_error(self) -> float | None:
        """The standard error of the expectation value; None of all else."""
        return self._data.get("stds")

    @cached_property
    def is_bits(self) -> bool:
        """Whether its outcomes are bit strings, bit 0 the last character; else they are numbers with blanks between."""
        return self._data.get("counts") is not None and are_bits(self._counts)

    def means(self) -> list[Mean]:
        """Return the mean, with its standard error, of what each measured wire or bit showed; of bits bit 0 first."""
        return means(self._counts, is_bits=self.is_bits)

    def __repr__(self) -> str:
        found = f"{self.expectation:g} ± {self.standard_error:.2g}" if self.expectation is not None else self._preview()
        return f"<{self.name}: {self.shots} shot{'' if self.shots == 1 else 's'}, {found}>"

    def _preview(self) -> str:
        first = ", ".join(f"{outcome}: {count}" for outcome, count in list(self._counts.items())[:8])
        return first + (", ..." if len(self._counts) > 8 else "") or "nothing measured"  # noqa: PLR2004 - fits a line


class Result(Sequence[ExperimentResult]):
    """The result of a job: one `ExperimentResult` for each experiment, in the order of the document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._begin(document)

    @classmethod
    def read(cls, text: bytes) -> "Result":
        """Return the result in an answer of the server, JSON or .npz; its shots are read when they are asked for.

        Raises:
            QuledgerError: there is none in it.
        """
        if not text.startswith(b"PK"):
            return cls(Answer(body=text).json())
        from quledger_client.packed import unpacked  # noqa: PLC0415 - it needs numpy

        result = cls.__new__(cls)
        result._begin(*unpacked(text))  # noqa: SLF001 - it is of this class
        return result

    def _begin(self, document: Mapping[str, Any], rows: "Sequence[PackedRows]" = ()) -> None:
        self._document, self._is_whole = document, not rows
        try:
            self.job_id: str = document["job_id"]
            self.backend: str = document["display_name"]
            self.experiments = tuple(
                ExperimentResult(each, of_shots) for each, of_shots in zip_longest(document["results"], rows)
            )
        except (KeyError, TypeError):
            message = "the answer is no result"
        else:
            return
        raise QuledgerError(message)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """All that the server answered."""
        if self._is_whole:
            return self._document
        return {**self._document, "results": [each._whole for each in self]}  # noqa: SLF001 - of this file

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
