"""Figures of results."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from quledger_client.outcomes import Mean
    from quledger_client.results import ExperimentResult, Result

try:
    import matplotlib.pyplot as plt
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this needs matplotlib: pip install 'quledger-client[plot]'", name="matplotlib"
    ) from error

Kind = Literal["counts", "means", "fringe", "wires"]

MAX_BARS = 64
"""Outcomes of a histogram; of more the most frequent are drawn."""

MAX_SPAN = 256
"""From the lowest to the highest level of a histogram; bars of levels further apart stand side by side."""

_CURVE_POINTS = 400


def plot(result: "Result", kind: Kind | None = None, *, ax: Any = None, **options: Any) -> Any:
    """Draw a result, and return the axes.

    Args:
        kind: `counts`: a histogram of one experiment; `means`: the means of all experiments, with standard errors;
            `fringe`: those of one wire, with a sine that is fitted; `wires`: the mean of each wire of one experiment,
            such as its atoms. `counts` of one experiment and `means` of several if left out.
        ax: axes to draw on; new ones if left out.
        options: `experiment` of `counts` and `wires`; of `means` and `fringe` `x`, where each experiment stands, and
            `label`, what that is; `wire` of `fringe`.

    Raises:
        ValueError: it cannot be drawn so.
    """
    chosen = kind or ("counts" if len(result) == 1 and result[0].expectation is None else "means")
    if chosen not in _DRAW:
        raise ValueError(f"there are the kinds {', '.join(_DRAW)}")
    axes = ax if ax is not None else plt.subplots(layout="constrained")[1]
    _DRAW[chosen](axes, result, **options)
    return axes


def _counts(axes: Any, result: "Result", *, experiment: int | str = 0) -> None:
    found: ExperimentResult = result[experiment]
    counts = found.counts()
    most = set(sorted(counts, key=lambda outcome: -counts[outcome])[:MAX_BARS])
    shown = {outcome: count for outcome, count in counts.items() if outcome in most}
    levels = _levels(found, shown)
    places: Sequence[Any] = levels or list(shown)
    axes.bar(places, list(shown.values()))
    _count_whole(axes.yaxis)
    noun = "shot" if found.shots == 1 else "shots"
    left_out = f", the {MAX_BARS} most frequent of {len(counts)} outcomes" if len(counts) > len(shown) else ""
    axes.set(
        xlabel="level" if levels else "outcome", ylabel="shots", title=f"{found.name}: {found.shots:,} {noun}{left_out}"
    )
    if levels:
        _count_whole(axes.xaxis)
    elif len(shown) > 8 or max(map(len, shown), default=0) > 4:  # noqa: PLR2004 - what fits side by side
        axes.tick_params(axis="x", labelrotation=90)


def _levels(found: "ExperimentResult", outcomes: Iterable[str]) -> list[int]:
    """Return where outcomes stand that are levels of one wire; nothing of others, and of levels too far apart."""
    from quledger_client.outcomes import numbers  # noqa: PLC0415 - as below

    shown = [] if found.is_bits else [numbers(outcome, is_bits=False) for outcome in outcomes]
    levels = [each[0] for each in shown if len(each) == 1]
    fit = len(levels) == len(shown) > 0 and max(levels) - min(levels) < MAX_SPAN
    return levels if fit else []


def _count_whole(axis: Any) -> None:
    """Have whole numbers alone at an axis."""
    axis.get_major_locator().set_params(integer=True)


def _means(axes: Any, result: "Result", *, x: Sequence[float] | None = None, label: str = "") -> None:
    columns, word = _columns(result)
    places = _places(x, len(result))
    for number, means in columns.items():
        values, errors = [each.value for each in means], [each.error for each in means]
        axes.errorbar(places, values, yerr=errors, marker="o", linestyle="none", capsize=2, label=f"{word} {number}")
    _name_places(axes, x, label)
    axes.set(ylabel="expectation value" if word == "value" else "mean")
    if len(columns) > 1:
        axes.legend()


def _fringe(axes: Any, result: "Result", *, x: Sequence[float] | None = None, label: str = "", wire: int = 0) -> None:
    from quledger_client.fringes import fit_fringe  # noqa: PLC0415 - for this kind alone

    columns, word = _columns(result)
    if wire not in columns:
        raise ValueError(f"there is no {word} {wire}")
    places = _places(x, len(result))
    values, errors = [each.value for each in columns[wire]], [each.error for each in columns[wire]]
    fitted = fit_fringe(places, values, errors)
    first, last = min(places), max(places)
    curve = [first + (last - first) * step / _CURVE_POINTS for step in range(_CURVE_POINTS + 1)]
    axes.errorbar(places, values, yerr=errors, marker="o", linestyle="none", capsize=2, label="measured")
    words = f"amplitude {fitted.amplitude:.3g}, angular frequency {fitted.frequency:.3g}"
    axes.plot(curve, [fitted.at(each) for each in curve], label=words)
    _name_places(axes, x, label)
    axes.set(ylabel=f"mean of {word} {wire}" if word != "value" else "expectation value")
    axes.legend()


def _wires(axes: Any, result: "Result", *, experiment: int | str = 0) -> None:
    found: ExperimentResult = result[experiment]
    means = found.means()
    if not means:
        raise ValueError("its outcomes are no numbers")
    axes.bar(range(len(means)), [each.value for each in means], yerr=[each.error for each in means], capsize=3)
    word = "bit" if found.is_bits else "wire"
    axes.set(xlabel=word, ylabel="mean", title=found.name, xticks=range(len(means)))


_DRAW: dict[str, Callable[..., None]] = {"counts": _counts, "means": _means, "fringe": _fringe, "wires": _wires}


def _columns(result: "Result") -> "tuple[dict[int, list[Mean]], str]":
    """Return the means of each wire, bit or value in all experiments, and which of these three they are."""
    from quledger_client.outcomes import Mean  # noqa: PLC0415 - as annotated

    values = result.expectations()
    if values and len(values) == len(result):
        return {0: [Mean(*each) for each in values]}, "value"
    rows = [each.means() for each in result]
    width = min(map(len, rows))
    if not width:
        raise ValueError("the outcomes of an experiment are no numbers, or nothing was measured")
    word = "bit" if all(each.is_bits for each in result) else "wire"
    return {number: [row[number] for row in rows] for number in range(width)}, word


def _name_places(axes: Any, x: Sequence[float] | None, label: str) -> None:
    """Say what stands below the axes: what the caller calls it, else the places of the experiments, or his numbers."""
    axes.set(xlabel=label or ("experiment" if x is None else "x"))
    if x is None:
        _count_whole(axes.xaxis)


def _places(x: Sequence[float] | None, count: int) -> list[float]:
    places = [float(each) for each in (range(count) if x is None else x)]
    if len(places) != count:
        raise ValueError(f"x has {len(places)} values for {count} experiments")
    return places
