"""Results are read, counted, and made into tables and figures."""

import math
import random
from typing import Any

import pytest

from quledger_client import QuledgerError, Result


def experiment(number: int, memory: list[str], **data: Any) -> dict[str, Any]:
    """Return what one experiment has found."""
    shots = sum(data["counts"].values()) if "counts" in data else len(memory)
    return {"header": {"name": f"experiment_{number}"}, "shots": shots, "data": {"memory": memory, **data}}


def result(*experiments: dict[str, Any]) -> Result:
    """Return a result."""
    return Result({"job_id": "j1", "display_name": "b", "results": list(experiments)})


SPINS = result(experiment(0, ["3 0", "10 1", "3 1", "3 0"]), experiment(1, ["1 1"]))
BITS = result(experiment(0, ["01", "11"], counts={"11": 1, "01": 3}))
VALUE = result(experiment(0, [], exp_value=0.5, stds=0.1))


def test_counts_and_shares_are_in_the_order_of_the_numbers():
    assert list(SPINS.counts().items()) == [("3 0", 2), ("3 1", 1), ("10 1", 1)]
    assert SPINS.probabilities("experiment_0") == {"3 0": 0.5, "3 1": 0.25, "10 1": 0.25}
    assert SPINS.memory(1) == ["1 1"]
    assert [each.name for each in SPINS] == ["experiment_0", "experiment_1"]
    assert len(SPINS[0:2]) == 2
    with pytest.raises(KeyError):
        SPINS["experiment_2"]
    with pytest.raises(IndexError):
        SPINS.counts(2)


def test_means_are_of_wires_and_of_bits():
    first, second = SPINS[0].means()
    assert (first.value, second.value) == (4.75, 0.5)
    assert (first.error, second.error) == (pytest.approx(1.75), pytest.approx(0.28867513))
    assert [mean.value for mean in BITS[0].means()] == [1.0, 0.25]
    assert (BITS[0].is_bits, SPINS[0].is_bits) == (True, False)
    assert result(experiment(0, ["a b", "1"]))[0].means() == []
    assert result(experiment(0, []))[0].means() == []


def test_an_estimation_has_a_value():
    assert VALUE.expectations() == [(0.5, 0.1)]
    assert VALUE.counts() == {}
    assert "0.5 ± 0.1" in repr(VALUE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[", "is not JSON"),
        (b'{"results": [{"data": {"memory": [', "is not JSON"),
        (b'{"job_id": "j", "display_name": "b", "results": [{"data": {"memory": ["1"]}}]}', "is no result"),
        (b'{"job_id": "j", "display_name": "b", "results": 3}', "is no result"),
    ],
)
def test_what_is_no_result_is_said(text: bytes, said: str):
    with pytest.raises(QuledgerError, match=said):
        Result.read(text)


def test_a_notebook_shows_text_as_text():
    shown = result(experiment(0, ["<script>alert(1)</script>"] * 3))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    many = result(*(experiment(n, [str(k) for k in range(40)]) for n in range(20)))._repr_html_()
    assert "24 outcomes more" in many
    assert "4 experiments more" in many


def test_tables():
    pytest.importorskip("pandas")
    series = SPINS.to_series()
    assert (series.to_dict(), series.index.name, series.name) == (SPINS.counts(), "outcome", "count")
    frame = SPINS.to_frame()
    assert list(frame.columns) == ["experiment", "outcome", "count", "frequency"]
    assert frame.values.tolist()[-1] == ["experiment_1", "1 1", 1, 1.0]
    shots = SPINS.to_frame(shots=True)
    assert list(shots.columns) == ["experiment", "shot", "outcome", "wire_0", "wire_1"]
    assert shots["wire_0"].tolist() == [3, 10, 3, 3, 1]
    assert shots["shot"].tolist() == [0, 1, 2, 3, 0]
    assert shots["outcome"].astype(str).tolist() == SPINS.memory() + SPINS.memory(1)
    assert BITS.to_frame(shots=True)[["bit_0", "bit_1"]].values.tolist() == [[1, 0], [1, 1]]
    assert VALUE.to_frame().values.tolist() == [["experiment_0", 0.5, 0.1, 0]]
    assert len(VALUE.to_frame(shots=True)) == 0


def fringe(points: int = 30) -> tuple[Result, list[float]]:
    """Return spins of one half whose share goes as 0.5 + 0.4 cos(1.7 x + 0.6), and the values of x."""
    drawn, places = random.Random(5), [0.3 * n for n in range(points)]
    shares = [0.5 + 0.4 * math.cos(1.7 * x + 0.6) for x in places]
    memories = [["1" if drawn.random() < share else "0" for _ in range(2000)] for share in shares]
    return result(*(experiment(n, memory) for n, memory in enumerate(memories))), places


def test_a_fringe_is_found():
    pytest.importorskip("numpy")
    from quledger_client.fringes import fit_fringe  # noqa: PLC0415 - numpy may be missing

    found, x = fringe()
    means = [each.means()[0] for each in found]
    fitted = fit_fringe(x, [mean.value for mean in means], [mean.error for mean in means])
    assert fitted.frequency == pytest.approx(1.7, abs=0.01)
    assert fitted.phase == pytest.approx(0.6, abs=0.05)
    assert (fitted.offset, fitted.amplitude) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.4, abs=0.01))
    assert 0.6 < fitted.residual < 1.4
    assert fitted.at(1.0) == pytest.approx(0.5 + 0.4 * math.cos(2.3), abs=0.02)
    with pytest.raises(ValueError, match="5 points"):
        fit_fringe([1, 2], [1, 2])
    with pytest.raises(ValueError, match="same x"):
        fit_fringe([1] * 9, [1] * 9)
    assert fit_fringe(range(9), [2.0] * 9, [0.0] * 9).amplitude == pytest.approx(0, abs=1e-9)


def test_figures(tmp_path: Any):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    swept, x = fringe()
    axes = swept.plot("fringe", x=x, label="phase")
    assert axes.get_xlabel() == "phase"
    assert len(axes.lines[-1].get_xdata()) == 401
    assert "angular frequency 1.7" in axes.get_legend_handles_labels()[1][0]
    assert swept.plot("fringe", x=x).get_xlabel() == swept.plot("means", x=x).get_xlabel() == "x"
    numbered = swept.plot("means")
    assert numbered.get_xlabel() == "experiment"
    assert all(tick == int(tick) for tick in numbered.get_xticks())
    assert [bar.get_height() for bar in SPINS.plot("counts").patches] == [2, 1, 1]
    assert [bar.get_height() for bar in SPINS.plot("wires").patches] == [4.75, 0.5]
    assert SPINS.plot().get_legend_handles_labels()[1] == ["wire 0", "wire 1"]
    assert BITS.plot().get_title() == "experiment_0: 4 shots"
    assert VALUE.plot().get_ylabel() == "expectation value"
    assert swept.plot(ax=axes) is axes
    level = result(experiment(0, ["3", "5", "5"])).plot()
    assert [bar.get_x() + bar.get_width() / 2 for bar in level.patches] == pytest.approx([3, 5])
    assert level.get_xlabel() == "level"
    assert all(tick == int(tick) for tick in level.get_yticks())
    far = result(experiment(0, ["0", "1000"])).plot()
    assert [label.get_text() for label in far.get_xticklabels()] == ["0", "1000"]
    assert BITS.plot().get_xlabel() == "outcome"
    many = result(experiment(0, [str(n) for n in range(100)])).plot()
    assert "the 64 most frequent of 100 outcomes" in many.get_title()
    axes.figure.savefig(tmp_path / "fringe.png")
    for kind, options in (("pie", {}), ("fringe", {"wire": 3}), ("means", {"x": [1]})):
        with pytest.raises(ValueError, match=r"there are the kinds|no wire 3|1 values for 30"):
            swept.plot(kind, **options)
    with pytest.raises(ValueError, match="no numbers"):
        result(experiment(0, ["a"])).plot("wires")
    matplotlib.pyplot.close("all")
